"""Files that other parsers are tested with; they are no part of the repository."""

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from groundmesh.errors import MeshError, Reason
from groundmesh_gateway.parsing import parse
from tests.documents_by_hand import parsed

SAMPLES = (
    Path(os.environ.get("GROUNDMESH_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
    / "docs-formats"
)
WORD = re.compile(r"\w+")
REASONS = {
    "txt/unstructured-empty.txt": Reason.DOCUMENT_EMPTY,
    "txt/unstructured-fake-text-all-whitespace.txt": Reason.DOCUMENT_EMPTY,
    "pdf/haystack-non_text_searchable.pdf": Reason.DOCUMENT_HAS_NO_TEXT,
    "pdf/unstructured-password.pdf": Reason.DOCUMENT_ENCRYPTED,
}

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample documents are not here")


def share_of_words(expected: str, found: str) -> float:
    wanted = Counter(word.lower() for word in WORD.findall(expected))
    missing = wanted - Counter(word.lower() for word in WORD.findall(found))
    return 1 - missing.total() / wanted.total()


def test_each_of_our_formats_gives_text_or_the_right_reason() -> None:
    found = {}
    for kind in ("html", "md", "pdf", "txt"):
        for path in (SAMPLES / kind).iterdir():
            name = f"{kind}/{path.name}"
            try:
                assert parse(path.read_bytes(), uri=path.as_uri()).document.text.strip()
            except MeshError as error:
                found[name] = error.reason
    assert found == REASONS


def test_all_other_formats_say_that_they_are_unsupported() -> None:
    for kind in ("docx", "pptx", "xlsx", "odt", "epub", "eml", "rtf"):
        for path in (SAMPLES / kind).iterdir():
            with pytest.raises(MeshError) as caught:
                parse(path.read_bytes(), uri=path.as_uri())
            assert caught.value.reason is Reason.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("name", ["html", "pdf"])
def test_a_manual_has_the_words_of_its_plain_text(name: str) -> None:
    folder = SAMPLES / "debian-developers-reference"
    expected = (folder / "developers-reference.txt").read_text(encoding="utf-8")
    path = folder / f"developers-reference.{name}"
    assert share_of_words(expected, parsed(path.read_bytes(), path.as_uri()).text) > 0.98


def test_the_same_text_in_other_encodings_is_the_same() -> None:
    folder = SAMPLES / "txt"
    texts = {
        parsed((folder / f"unstructured-fake-text{kind}.txt").read_bytes(), "a.txt").text.strip()
        for kind in ("-utf-16", "-utf-16-le")
    }
    assert len(texts) == 1
