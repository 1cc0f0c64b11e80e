"""A model's tokenizer and chat template, from the tokenizer that the engine has loaded."""

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from jinja2 import TemplateError

from groundmesh.errors import FailedPrecondition, InvalidArgument
from groundmesh_generator.backends.base import TokenizerFile
from groundmesh_generator.prompts import ChatPrompt, Prompt, TextPrompt

THREADS = 2
"""A short prompt passes a long one that is in work."""


class ModelTokenizer:
    """Encodes prompts in threads of its own."""

    def __init__(self, loaded: Any) -> None:
        """``loaded`` is a fast tokenizer of transformers. Writing it out takes a moment."""
        if not hasattr(loaded, "backend_tokenizer"):
            raise FailedPrecondition("the model has no tokenizer.json, and none can be made of it")
        self._loaded = loaded
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="tokenizer")
        self.file = _written(loaded)
        """The tokenizer as it counts here, which transformers may have put right on loading."""

    async def encode(self, prompt: Prompt, *, field: str) -> list[int]:
        """See ``Backend.encode``."""
        loop = asyncio.get_running_loop()
        encode = partial(self._encode, prompt, field=field)
        return await loop.run_in_executor(self._threads, encode)

    def close(self) -> None:
        """End the threads, after what they do now."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _encode(self, prompt: Prompt, *, field: str) -> list[int]:
        if isinstance(prompt, TextPrompt):
            return self._tokens(prompt.text, special=True)
        # A template writes the special tokens itself.
        return self._tokens(self._templated(prompt, field=field), special=False)

    def _tokens(self, text: str, *, special: bool) -> list[int]:
        encoding = self._loaded.backend_tokenizer.encode(text, add_special_tokens=special)
        ids: list[int] = encoding.ids
        return ids

    def _templated(self, chat: ChatPrompt, *, field: str) -> str:
        if not self._loaded.chat_template:
            raise InvalidArgument.of_field(
                f"{field}.chat", f"the model has no chat template; send {field}.text"
            )
        messages = [{"role": str(each.role), "content": each.content} for each in chat.messages]
        try:
            text: str = self._loaded.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=False
            )
        except TemplateError as error:
            raise InvalidArgument.of_field(
                f"{field}.chat.messages", f"the model's chat template refuses them: {error}"
            ) from error
        return text


def _written(loaded: Any) -> TokenizerFile:
    content = loaded.backend_tokenizer.to_str().encode()
    template = loaded.get_chat_template() if loaded.chat_template else ""
    return TokenizerFile(content, hashlib.sha256(content).hexdigest(), template)
