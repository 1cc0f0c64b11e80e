"""Token counts by a model's own tokenizer, without the model."""

from collections.abc import Sequence
from typing import Protocol

from tokenizers import Tokenizer


class TokenCounter(Protocol):
    """Counts as the embedding model would."""

    special_tokens: int
    """How many the model adds to every text."""

    def spans(self, text: str) -> tuple[list[int], list[int]]:
        """Where each token begins and ends in ``text``, in characters; no special tokens."""

    def counts(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text, special tokens included."""


class HubTokenCounter:
    """Counts with a ``tokenizer.json``."""

    def __init__(self, tokenizer_json: bytes) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer_json.decode())
        # Such files often say at which length to cut off or to fill up; counts must not.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.special_tokens: int = self._tokenizer.num_special_tokens_to_add(False)

    def spans(self, text: str) -> tuple[list[int], list[int]]:
        """Where each token begins and ends in ``text``, in characters; no special tokens."""
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return [start for start, _ in offsets], [end for _, end in offsets]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text, special tokens included."""
        return [len(one) for one in self._tokenizer.encode_batch_fast(list(texts))]
