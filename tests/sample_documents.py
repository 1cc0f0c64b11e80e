"""Files that other parsers are tested with, and what must come of each; no part of the repository.

The share of a reference's words: words are runs of Unicode letters and digits, compared without
case, each as often as it stands there. What a Markdown reference has beside its text does not
count: markup, targets of links and of images.
"""

import os
import re
from collections import Counter
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from groundmesh.errors import Reason

SAMPLES = (
    Path(os.environ.get("GROUNDMESH_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    / "docs-formats"
)
FAILURES = {
    "txt/unstructured-empty.txt": Reason.DOCUMENT_EMPTY,
    "txt/unstructured-fake-text-all-whitespace.txt": Reason.DOCUMENT_EMPTY,
    "pdf/haystack-non_text_searchable.pdf": Reason.DOCUMENT_HAS_NO_TEXT,
    "pdf/unstructured-password.pdf": Reason.DOCUMENT_ENCRYPTED,
}
"""All others are read. The PDF that its note calls damaged is, too: its text is whole."""

_WORD = re.compile(r"[^\W_]+")
_TAG = re.compile(r"<[^>]*>")


def samples(folder: Path = SAMPLES) -> list[Path]:
    """All files but those that tell of the others."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if path.parent not in {folder, folder / "expected"})


def name_of(path: Path) -> str:
    """As the manifest has it."""
    return f"{path.parent.name}/{path.name}"


def reference_of(path: Path) -> str:
    """The text that is known to be in a file; empty when it is not known."""
    folder = path.parents[1]
    expected = folder / "expected" / f"{path.name}.md"
    if expected.exists():
        return markdown_text(expected.read_text(encoding="utf-8"))
    if path.name.startswith("unstructured-eng_spa_mult."):
        return (folder / "txt" / "unstructured-eng_spa_mult.txt").read_text(encoding="utf-8")
    manual = path.with_suffix(".txt")
    if path.parent.name.startswith("debian-") and path.suffix != ".txt" and manual.exists():
        return manual.read_text(encoding="utf-8")
    return ""


def share_of_words(reference: str, found: str) -> float:
    """How much of the reference's words was found."""
    wanted = words(reference)
    return 1 - (wanted - words(found)).total() / wanted.total()


def words(text: str) -> Counter[str]:
    """The words of a text."""
    return Counter(word.casefold() for word in _WORD.findall(text))


def markdown_text(source: str) -> str:
    """What a reader of the rendered page sees."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return "\n".join(_text(token) for token in parser.parse(source))


def _text(token: Token) -> str:
    if token.children:
        return "".join(map(_text, token.children))
    if token.type in {"softbreak", "hardbreak"}:
        return "\n"
    return _TAG.sub(" ", token.content) if token.type.startswith("html_") else token.content
