"""Checks texts before any work is put into them, and cuts them into parts for the tokenizer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from groundmesh.errors import FieldViolation, InvalidArgument, Reason
from groundmesh_embedder.backends.base import Encoded

PART_CHARS = 32_768
"""The tokenizer takes some 10 ms for this many, so no caller waits long behind another's."""
MOST_VIOLATIONS = 16
"""Wrong texts named in one error; the rest would tell nothing new."""


@dataclass(frozen=True)
class TextLimits:
    """What one call may bring."""

    max_texts: int = 1024
    max_text_bytes: int = 131_072

    def check(self, texts: Sequence[str], *, field: str) -> None:
        """InvalidArgument that names ``field`` or the first of its wrong texts."""
        if not texts:
            raise InvalidArgument.of_field(field, "must hold at least one text")
        if len(texts) > self.max_texts:
            raise InvalidArgument.of_field(
                field, f"holds {len(texts)} texts; at most {self.max_texts} go into one call"
            )
        wrong = [(f"{field}[{index}]", self._fault(text)) for index, text in enumerate(texts)]
        _raise_violations([(name, fault) for name, fault in wrong if fault])

    def check_one(self, text: str, *, field: str) -> None:
        """The same for a field that holds a single text."""
        if fault := self._fault(text):
            raise InvalidArgument.of_field(field, fault)

    def _fault(self, text: str) -> str:
        if not text or text.isspace():
            return "must not be empty"
        # Counting the bytes takes a copy: only for texts that could have too many.
        if len(text) * 4 > self.max_text_bytes and len(text.encode()) > self.max_text_bytes:
            return f"has more than {self.max_text_bytes} bytes"
        return ""


def refuse_truncation(inputs: Sequence[Encoded], *, field: str) -> None:
    """InvalidArgument (INPUT_TOO_LONG) that names each input the model would cut off."""
    _raise_violations(
        [
            (f"{field}[{index}]", f"has {encoded.tokens} tokens; the model reads {encoded.read}")
            for index, encoded in enumerate(inputs)
            if encoded.truncated
        ],
        reason=Reason.INPUT_TOO_LONG,
    )


def parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in order, in parts of about ``PART_CHARS``."""
    start = chars = 0
    for end, text in enumerate(texts, start=1):
        chars += len(text)
        if chars >= PART_CHARS:
            yield texts[start:end]
            start, chars = end, 0
    if start < len(texts):
        yield texts[start:]


def _raise_violations(
    wrong: Sequence[tuple[str, str]], *, reason: Reason = Reason.INVALID_FIELD
) -> None:
    if not wrong:
        return
    name, fault = wrong[0]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    fields = tuple(FieldViolation(*each) for each in wrong[:MOST_VIOLATIONS])
    raise InvalidArgument(f"{name}: {fault}{more}", reason=reason, fields=fields)
