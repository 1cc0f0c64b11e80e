"""What every parser gives: text, and where in it a reader would say that something stands."""

from dataclasses import dataclass

from groundmesh.errors import InvalidArgument, MeshError, Reason, ResourceExhausted

MAX_HEADING_CHARS = 200
"""Headings are shown with every citation; a longer one is a paragraph set in large type."""


@dataclass(frozen=True)
class Place:
    """Where something stands; headings are the outermost first, pages and slides count from 1."""

    heading_path: tuple[str, ...] = ()
    page: int | None = None
    sheet: str | None = None
    slide: int | None = None


@dataclass(frozen=True)
class Mark:
    """From this character of the text on, up to the next mark, one is at ``place``."""

    offset: int
    place: Place
    begins_section: bool = False
    """Whether a heading, a sheet or a slide begins here: the best point to split at."""


@dataclass(frozen=True)
class ExtractedDocument:
    """A document as text; ``title`` is empty when it has none, ``marks`` are in order."""

    text: str
    title: str
    marks: tuple[Mark, ...] = ()


_CODES: dict[Reason, type[MeshError]] = {
    Reason.DOCUMENT_TOO_LARGE: ResourceExhausted,
    Reason.PARSER_TIMED_OUT: ResourceExhausted,
    Reason.PARSER_OUT_OF_MEMORY: ResourceExhausted,
}


def unusable(reason: Reason, message: str) -> MeshError:
    """The error of a document that can't be taken in, as ``errors.proto`` lists them."""
    return _CODES.get(reason, InvalidArgument)(message, reason=reason)


def heading(text: str) -> str:
    """A heading on one line, cut to ``MAX_HEADING_CHARS``."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_HEADING_CHARS else line[: MAX_HEADING_CHARS - 1] + "…"
