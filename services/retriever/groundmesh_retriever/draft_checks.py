"""What a document must be like to be written: its description, its access, its chunks."""

import hashlib
import json
import re

from groundmesh.errors import FieldViolation, InvalidArgument, PermissionDenied, Reason
from groundmesh.identity import ALL_LABELS, Principal
from groundmesh_retriever.filters import check_scalar, is_field
from groundmesh_retriever.model import Chunk, ChunkSpan, DocumentDraft, Place
from groundmesh_retriever.stores.base import MAX_TEXT_BYTES

MAX_URI_BYTES = 2_048
"""The longest URI."""
MAX_LABELS = 64
"""The most reader labels of a document."""
MAX_LABEL_BYTES = 128
"""The longest reader label."""
_MAX_TITLE_BYTES = 1_024
_MAX_MEDIA_TYPE_BYTES = 255
_MAX_METADATA_FIELDS = 64
_MAX_METADATA_BYTES = 32_768
_MAX_PLACE_BYTES = 16_384
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_draft(draft: DocumentDraft) -> None:
    """InvalidArgument with every wrong field of a document's description."""
    wrong: list[FieldViolation] = []
    for check in (_check_strings, _check_content, _check_labels, _check_metadata):
        try:
            check(draft)
        except InvalidArgument as error:
            wrong.extend(error.fields)
    if wrong:
        raise InvalidArgument(
            "; ".join(f"{each.field}: {each.description}" for each in wrong), fields=wrong
        )


def check_text(text: str, field: str, limit: int) -> None:
    """InvalidArgument for a text that is too long or that a database can't keep."""
    if len(text.encode()) > limit:
        raise InvalidArgument.of_field(field, f"at most {limit} bytes")
    if "\0" in text:
        raise InvalidArgument.of_field(field, "must not hold the character NUL")


def text_sha256_of(text: bytes) -> str:
    """The SHA-256 of a document's text; InvalidArgument for one that is empty or no UTF-8."""
    try:
        blank = not text.decode().strip()
    except UnicodeDecodeError as error:
        raise InvalidArgument.of_field("text_part", f"is no UTF-8: {error.reason}") from None
    if blank:
        raise InvalidArgument.of_field(
            "text_part", "the text is empty", reason=Reason.DOCUMENT_EMPTY
        )
    return hashlib.sha256(text).hexdigest()


def check_may_give(principal: Principal, labels: tuple[str, ...]) -> None:
    """PermissionDenied for labels that the principal does not hold itself."""
    if not principal.reads_all and not principal.labels.issuperset(labels):
        raise PermissionDenied(
            "a document can be given only reader labels that you hold yourself",
            reason=Reason.LABELS_NOT_HELD,
        )


def check_may_replace(principal: Principal, labels: tuple[str, ...]) -> None:
    """PermissionDenied for a document that the principal may not read."""
    if labels and not principal.reads_all and principal.labels.isdisjoint(labels):
        raise PermissionDenied(
            "a document of this URI is there, with reader labels that you do not hold",
            reason=Reason.LABELS_NOT_HELD,
        )


def cut(text: bytes, spans: list[ChunkSpan], *, first: int, after: int) -> list[Chunk]:
    """The chunks of these spans: ``first`` is the ordinal due, ``after`` the last start so far."""
    chunks = []
    for i, span in enumerate(spans):
        at = f"chunks.chunks[{i}]"
        if span.ordinal != first + i:
            raise InvalidArgument.of_field(f"{at}.ordinal", f"must be {first + i}, in order")
        if not after <= span.start_byte < span.end_byte <= len(text):
            raise InvalidArgument.of_field(
                f"{at}.start_byte",
                f"must be {after} or more and before end_byte, which is {len(text)} at most",
            )
        after = span.start_byte
        chunks.append(Chunk(span, _slice(text, span, at)))
        _check_rest(span, at)
    return chunks


def _slice(text: bytes, span: ChunkSpan, at: str) -> str:
    if span.end_byte - span.start_byte > MAX_TEXT_BYTES:
        raise InvalidArgument.of_field(
            f"{at}.end_byte", f"a chunk has at most {MAX_TEXT_BYTES} bytes"
        )
    try:
        return text[span.start_byte : span.end_byte].decode()
    except UnicodeDecodeError:
        raise InvalidArgument.of_field(
            f"{at}.start_byte", "start_byte and end_byte must not be inside a character"
        ) from None


def _check_rest(span: ChunkSpan, at: str) -> None:
    if span.tokens < 0:
        raise InvalidArgument.of_field(f"{at}.tokens", "must not be negative")
    if _place_bytes(span.place) > _MAX_PLACE_BYTES:
        raise InvalidArgument.of_field(f"{at}.place", f"at most {_MAX_PLACE_BYTES} bytes")


def _place_bytes(place: Place) -> int:
    return sum(len(text.encode()) for text in (place.sheet or "", *place.heading_path))


def _check_strings(draft: DocumentDraft) -> None:
    if not draft.uri:
        raise InvalidArgument.of_field("document.uri", "must be set")
    check_text(draft.uri, "document.uri", MAX_URI_BYTES)
    check_text(draft.title, "document.title", _MAX_TITLE_BYTES)
    check_text(draft.media_type, "document.media_type", _MAX_MEDIA_TYPE_BYTES)


def _check_content(draft: DocumentDraft) -> None:
    if not _SHA256.fullmatch(draft.content_sha256):
        raise InvalidArgument.of_field("document.content_sha256", "must be 64 hex digits")
    if draft.content_bytes < 0:
        raise InvalidArgument.of_field("document.content_bytes", "must not be negative")


def _check_labels(draft: DocumentDraft) -> None:
    if len(draft.reader_labels) > MAX_LABELS:
        raise InvalidArgument.of_field("document.reader_labels", f"at most {MAX_LABELS}")
    for i, label in enumerate(draft.reader_labels):
        at = f"document.reader_labels[{i}]"
        check_text(label, at, MAX_LABEL_BYTES)
        if label in {"", ALL_LABELS}:
            raise InvalidArgument.of_field(at, f"must be neither empty nor {ALL_LABELS}")


def _check_metadata(draft: DocumentDraft) -> None:
    at = "document.metadata"
    if len(draft.metadata) > _MAX_METADATA_FIELDS:
        raise InvalidArgument.of_field(at, f"at most {_MAX_METADATA_FIELDS} fields")
    for field, value in draft.metadata.items():
        if not is_field(field):
            raise InvalidArgument.of_field(
                at, f"field {field[:80]!r}: 1 to 64 of letters, digits and _, no digit first"
            )
        check_scalar(value, field=f"{at}.{field}")
        if isinstance(value, str):
            check_text(value, f"{at}.{field}", _MAX_METADATA_BYTES)
    if len(json.dumps(dict(draft.metadata))) > _MAX_METADATA_BYTES:
        raise InvalidArgument.of_field(at, f"at most {_MAX_METADATA_BYTES} bytes as JSON")
