"""PDF, page by page."""

import re
from collections.abc import Iterator

from pypdfium2 import PdfDocument, PdfiumError
from pypdfium2.raw import FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY

from groundmesh.errors import Reason
from groundmesh_gateway.parsing.decoding import tidy
from groundmesh_gateway.parsing.document import ExtractedDocument, Mark, Place, heading, unusable

_BETWEEN_PAGES = "\n\n"
_DIVIDED = re.compile("\\b(\\w+)[\u0002\u00ad\ufffe](?:\\r?\\n)?(\\w+)")
"""How PDFium shows a word with a hyphen at the end of a line, its own or a typesetter's."""
_WORD = re.compile(r"\w+(?:-\w+)*")
_LEADERS = re.compile(r"(?: ?\.){5,}")
"""The dots between a title and its page number: dozens of tokens that say nothing."""


def parse(data: bytes) -> ExtractedDocument:
    """The text of each page in the order of its content; a mark for each page that has any."""
    try:
        with PdfDocument(data) as document:
            title = document.get_metadata_value("Title")
            pages = _mended(list(_pages(document)))
    except PdfiumError as error:
        if error.err_code in {FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY}:
            raise unusable(Reason.DOCUMENT_ENCRYPTED, "it needs a password") from error
        raise unusable(Reason.DOCUMENT_DAMAGED, f"it is no sound PDF: {error}") from error
    marks, offset = [], 0
    for number, text in pages:
        marks.append(Mark(offset, Place(page=number)))
        offset += len(text) + len(_BETWEEN_PAGES)
    text = _BETWEEN_PAGES.join(text for _, text in pages)
    return ExtractedDocument(text=text, title=heading(title), marks=tuple(marks))


def _pages(document: PdfDocument) -> Iterator[tuple[int, str]]:
    for index in range(len(document)):
        page = document[index]
        text_page = page.get_textpage()
        yield index + 1, text_page.get_text_bounded()
        text_page.close()
        page.close()


def _mended(pages: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The pages that have text, tidied, with divided words made whole again."""
    words = {word.lower() for _, text in pages for word in _WORD.findall(text)}

    def whole(match: re.Match[str]) -> str:
        joined, hyphened = match[1] + match[2], f"{match[1]}-{match[2]}"
        own_hyphen = joined.lower() not in words and hyphened.lower() in words
        return hyphened if own_hyphen else joined

    mended = ((n, tidy(_LEADERS.sub(" …", _DIVIDED.sub(whole, text))).strip()) for n, text in pages)
    return [(number, text) for number, text in mended if text]
