"""What comes of each of the sample documents, from its bytes to its chunks."""

import json
from pathlib import Path

import pytest

from groundmesh.errors import MeshError, Reason
from groundmesh_gateway.preparing import Chunk, Job, Prepared, prepare
from groundmesh_gateway.splitting import HubTokenCounter, Splitting
from tests import tokenizer_files
from tests.sample_documents import (
    FAILURES,
    SAMPLES,
    name_of,
    reference_of,
    samples,
    share_of_words,
    words,
)

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample documents are not here")

MAX_TOKENS = 256
COUNTER = HubTokenCounter(tokenizer_files.wordpiece())


def text_of(found: Prepared, chunk: Chunk) -> str:
    return found.text[chunk.start_byte : chunk.end_byte].decode()


def prepared(path: Path) -> Prepared:
    job = Job(
        uri=path.as_uri(),
        media_type="",
        title="",
        splitting=Splitting(MAX_TOKENS, 32),
        passage_prompt="",
        model_tokens=MAX_TOKENS,
        max_text_bytes=1 << 24,
    )
    return prepare(job, path.read_bytes(), COUNTER)


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Prepared | Reason]:
    found: dict[str, Prepared | Reason] = {}
    for path in samples():
        try:
            found[name_of(path)] = prepared(path)
        except MeshError as error:
            found[name_of(path)] = error.reason
    return found


def test_each_is_read_or_refused_for_the_right_reason(
    outcomes: dict[str, Prepared | Reason],
) -> None:
    listed = json.loads((SAMPLES / "MANIFEST.json").read_text(encoding="utf-8"))
    names = {entry["file"] for entry in listed if not entry["file"].startswith("expected/")}
    assert names <= set(outcomes)
    assert {n: found for n, found in outcomes.items() if isinstance(found, Reason)} == FAILURES


def test_chunks_are_none_too_long_and_hold_all_words(
    outcomes: dict[str, Prepared | Reason],
) -> None:
    for name, found in outcomes.items():
        if isinstance(found, Reason):
            continue
        chunks = list(found.chunks())
        assert len(chunks) == found.chunk_count > 0, name
        assert max(chunk.tokens for chunk in chunks) <= MAX_TOKENS, name
        texts = " ".join(text_of(found, chunk) for chunk in chunks)
        assert words(found.text.decode()) <= words(texts), name


def test_what_is_known_to_be_in_a_file_was_found(outcomes: dict[str, Prepared | Reason]) -> None:
    shares = {}
    for path in samples():
        found = outcomes[name_of(path)]
        if (reference := reference_of(path)) and isinstance(found, Prepared):
            shares[name_of(path)] = share_of_words(reference, found.text.decode())
    assert len(shares) == 7 + 10 + 3
    assert {name: share for name, share in shares.items() if share < 0.98} == {}


def test_places_are_kept(outcomes: dict[str, Prepared | Reason]) -> None:
    sheets = _places(outcomes["xlsx/haystack-basic_tables_two_sheets.xlsx"], "sheet")
    assert sheets == ["Basic Table", "Table Missing Value"]
    assert _places(outcomes["pptx/haystack-sample_pptx_with_link.pptx"], "slide") == [1, 2]
    assert _places(outcomes["docx/haystack-sample_docx_2_page_breaks.docx"], "page")[0] == 1
    assert _places(outcomes["pdf/haystack-sample_pdf_2.pdf"], "page") == [1, 2, 3, 4]
    paths = _places(outcomes["docx/docling-unit_test_headers.docx"], "heading_path")
    assert paths[0] == ("Test Document",)
    manual = _places(
        outcomes["debian-developers-reference/developers-reference.html"], "heading_path"
    )
    assert len(manual) > 200


def _places(found: Prepared | Reason, kind: str) -> list[object]:
    assert isinstance(found, Prepared)
    return list(dict.fromkeys(getattr(chunk.place, kind) for chunk in found.chunks()))


def test_the_same_text_in_other_encodings_is_the_same(
    outcomes: dict[str, Prepared | Reason],
) -> None:
    texts = set()
    for kind in ("-utf-16", "-utf-16-le"):
        found = outcomes[f"txt/unstructured-fake-text{kind}.txt"]
        assert isinstance(found, Prepared)
        texts.add(found.text.strip())
    assert len(texts) == 1
