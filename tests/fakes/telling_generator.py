"""A generator without a model that answers each prompt as a test says."""

import re
from collections.abc import Callable, Iterator, Sequence

from groundmesh_generator.prompts import ChatPrompt, Prompt
from tests.fakes.paced_generator import PacedBackend

_PIECE = re.compile(r"(?s).{1,40}")


class TellingBackend(PacedBackend):
    """Says what ``tells`` makes of the prompt, in pieces that respect no word; a ``Backend``."""

    def __init__(self, tells: Callable[[ChatPrompt], str], *, context_tokens: int = 4096) -> None:
        """One question at a time, please."""
        super().__init__(repeat=False, context_tokens=context_tokens)
        self.prompts: list[ChatPrompt] = []
        """All that were answered or counted."""
        self._tells = tells

    async def encode(self, prompt: Prompt, *, field: str) -> Sequence[int]:
        """Make up the answer that comes next."""
        if isinstance(prompt, ChatPrompt):
            self.prompts.append(prompt)
            self.answer = self._tells(prompt)
        return await super().encode(prompt, field=field)

    def _words(self) -> Iterator[str]:
        return iter(_PIECE.findall(self.answer))
