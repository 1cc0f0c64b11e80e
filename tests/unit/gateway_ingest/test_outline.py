"""A text with its outline splits as its document did."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from groundmesh_gateway.outline import from_outline, to_outline
from groundmesh_gateway.parsing.document import ExtractedDocument, Mark, Place
from groundmesh_gateway.preparing import Job, prepare
from groundmesh_gateway.splitting import HubTokenCounter, Splitting
from tests import tokenizer_files

PATHS = st.lists(st.text(min_size=1, max_size=5), max_size=3).map(tuple)


@st.composite
def documents(draw: st.DrawFn) -> ExtractedDocument:
    text = draw(st.text(min_size=1, max_size=60))
    offsets = draw(st.lists(st.integers(0, len(text)), unique=True, max_size=5).map(sorted))
    numbers = st.none() | st.integers(1, 9)
    sheets = st.none() | st.text(max_size=5)
    places = st.builds(Place, heading_path=PATHS, page=numbers, sheet=sheets, slide=numbers)
    marks = tuple(Mark(offset, draw(places), draw(st.booleans())) for offset in offsets)
    return ExtractedDocument(text, draw(st.text(max_size=9)), marks)


@given(documents())
def test_an_outline_says_all_but_the_text(document: ExtractedDocument) -> None:
    again = from_outline(document.text, to_outline(document, title=document.title))
    assert again == document


def test_a_text_without_an_outline_is_text_alone() -> None:
    assert from_outline("text", b"") == ExtractedDocument("text", "")


def test_a_kept_text_splits_as_its_document_would() -> None:
    data = b"".join(b"# Part %d\n\n" % n + b"Some words of it. " * 20 for n in range(4))
    counter = HubTokenCounter(tokenizer_files.wordpiece())

    def job(tokens: int, media_type: str, kept: int | None = None) -> Job:
        splitting = Splitting(tokens, 4)
        return Job("a.md", media_type, "", splitting, "", 64, 1 << 20, kept_text_bytes=kept)

    first = prepare(job(48, ""), data, counter)
    wanted = prepare(job(24, ""), data, counter)
    again = prepare(job(24, first.media_type, len(first.text)), first.text + first.outline, counter)
    assert again.chunk_lines == wanted.chunk_lines != first.chunk_lines
    assert hashlib.sha256(again.text).digest() == hashlib.sha256(wanted.text).digest()
    assert again.outline == wanted.outline
