"""Office files, books and mail: their text, and what stands where."""

import pytest

from groundmesh.errors import Reason
from groundmesh_gateway.parsing.document import Place
from tests.documents_by_hand import parsed, refusal
from tests.office_by_hand import OLE, docx, epub, odt, paragraph, pptx, xlsx

ENCRYPTED_PART = (
    '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml">'
    "<manifest:encryption-data/></manifest:file-entry>"
)
AES = '<EncryptedData><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>'


class TestWord:
    BODY = (
        paragraph("Handbook", "Heading1")
        + paragraph("First words.")
        + paragraph("Leave", "Heading2")
        + paragraph("Thirty days.")
        + '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'
        + paragraph("Over the page.")
    )

    def test_headings_and_pages_are_places(self) -> None:
        document = parsed(docx(self.BODY), "a.docx")
        assert document.text == (
            "# Handbook\n\nFirst words.\n\n## Leave\n\nThirty days.\n\nOver the page."
        )
        assert document.title == "Handbook"
        found = [
            (document.text[mark.offset :].split("\n")[0], mark.place, mark.begins_section)
            for mark in document.marks
        ]
        assert found == [
            ("# Handbook", Place(("Handbook",), page=1), True),
            ("## Leave", Place(("Handbook", "Leave"), page=1), True),
            ("Over the page.", Place(("Handbook", "Leave"), page=2), False),
        ]

    def test_one_that_does_not_say_where_pages_end_has_none(self) -> None:
        (mark,) = parsed(docx(paragraph("Text", "Heading1")), "a.docx").marks
        assert mark.place == Place(("Text",))

    def test_merged_cells_are_in_each_place_that_they_reach(self) -> None:
        rows = [
            [("wide", '<w:gridSpan w:val="2"/>'), ("tall", '<w:vMerge w:val="restart"/>')],
            [("a", ""), ("b | c", ""), ("", "<w:vMerge/>")],
        ]
        late = "<w:tr><w:trPr><w:gridBefore w:val='2'/></w:trPr>" + _cell("late", "") + "</w:tr>"
        table = "".join(
            "<w:tr>" + "".join(_cell(text, how) for text, how in row) + "</w:tr>" for row in rows
        )
        text = parsed(docx(f"<w:tbl>{table}{late}</w:tbl>"), "a.docx").text
        assert text.split("\n") == [
            "| wide | wide | tall |",
            "| --- | --- | --- |",
            r"| a | b \| c | tall |",
            "|  |  | late |",
        ]

    def test_merged_cells_within_merged_cells_do_not_multiply(self) -> None:
        inner = ""
        for _ in range(6):
            inner = (
                "<w:tbl><w:tr>" + _cell("x", '<w:gridSpan w:val="63"/>', inner) + "</w:tr></w:tbl>"
            )
        assert len(parsed(docx(inner), "a.docx").text) < 100_000


def _cell(text: str, properties: str, before: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{before}{paragraph(text)}</w:tc>"


def test_each_sheet_has_its_name_as_place() -> None:
    data = xlsx({"Costs": [["what", "EUR"], ["rent", "1 | 2"]], "None": [], "Old": [["x"]]})
    document = parsed(data, "a.xlsx")
    assert document.text == (
        "# Costs\n\n| what | EUR |\n| --- | --- |\n| rent | 1 \\| 2 |\n\n# Old\n\n| x |\n| --- |"
    )
    found = [(document.text[mark.offset :][:6], mark.place) for mark in document.marks]
    assert found == [("# Cost", Place(sheet="Costs")), ("# Old\n", Place(sheet="Old"))]
    assert all(mark.begins_section for mark in document.marks)


def test_each_slide_has_its_number_and_title_as_place() -> None:
    document = parsed(pptx(["Plan", "do it"], ["Review", "look at it"]), "a.pptx")
    assert document.text == "# Plan\n\ndo it\n\n# Review\n\nlook at it"
    assert [mark.place for mark in document.marks] == [
        Place(("Plan",), slide=1),
        Place(("Review",), slide=2),
    ]


def test_an_open_document_has_headings_lists_and_tables() -> None:
    body = (
        '<text:h text:outline-level="1">Top</text:h><text:p>Words.</text:p><text:list>'
        "<text:list-item><text:p>one</text:p></text:list-item>"
        "<text:list-item><text:p>two</text:p></text:list-item></text:list>"
        "<table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>"
        "<table:table-cell><text:p>b</text:p></table:table-cell></table:table-row></table:table>"
    )
    document = parsed(odt(body), "a.odt")
    assert document.text.split("\n\n")[:2] == ["# Top", "Words."]
    assert "- one\n- two" in document.text
    assert "| a | b |" in document.text
    assert [mark.place for mark in document.marks] == [Place(("Top",))]


def test_a_book_has_chapters() -> None:
    document = parsed(epub("<h1>One</h1><p>text</p>", "<h1>Two</h1><pre>a\n  b</pre>"), "a.epub")
    assert document.text == "# One\n\ntext\n\n# Two\n\n```\na\n  b\n```"
    assert document.title == "A book"
    assert [mark.place.heading_path for mark in document.marks] == [("One",), ("Two",)]


def test_rich_text_in_its_own_encoding() -> None:
    data = rb"{\rtf1\ansi\ansicpg1252 Gr\'f6\'dfe {\b bold} \u8364? text\par next}"
    assert parsed(data, "a.rtf").text == "Größe bold € text\n\nnext"


def test_mail_has_fields_text_and_the_text_of_attachments() -> None:
    data = (
        "From: Ann <a@example.org>\nTo: b@example.org\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n"
        "Message-ID: <secret@example.org>\nMIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="x"\n\n'
        "--x\nContent-Type: text/plain; charset=iso-8859-1\n"
        "Content-Transfer-Encoding: quoted-printable\n\nSch=F6ne Worte.\n"
        "--x\nContent-Type: text/plain; name=n.txt\n"
        "Content-Disposition: attachment; filename=n.txt\n\nattached words\n--x--\n"
    )
    document = parsed(data.encode(), "a.eml")
    assert document.title == "Grüße"
    assert "From: Ann <a@example.org>" in document.text
    assert "Schöne Worte." in document.text
    assert "attached words" in document.text
    assert "secret" not in document.text


class TestRefusals:
    @pytest.mark.parametrize(
        ("data", "uri"),
        [
            (OLE + "EncryptedPackage".encode("utf-16-le"), "a.docx"),
            (odt("<text:p>x</text:p>", manifest=ENCRYPTED_PART), "a.odt"),
            (epub("<p>x</p>", parts={"META-INF/encryption.xml": AES}), "a.epub"),
        ],
    )
    def test_encrypted_ones(self, data: bytes, uri: str) -> None:
        assert refusal(data, uri).reason is Reason.DOCUMENT_ENCRYPTED

    @pytest.mark.parametrize("left", [0.3, 0.6, 0.9])
    @pytest.mark.parametrize(
        ("data", "uri"),
        [
            (docx(paragraph("text")), "a.docx"),
            (pptx(["text"]), "a.pptx"),
            (xlsx({"Sheet": [["text"]]}), "a.xlsx"),
            (odt("<text:p>text</text:p>"), "a.odt"),
            (epub("<p>text</p>"), "a.epub"),
        ],
    )
    def test_truncated_ones(self, data: bytes, uri: str, left: float) -> None:
        assert refusal(data[: int(len(data) * left)], uri).reason is Reason.DOCUMENT_DAMAGED

    @pytest.mark.parametrize("uri", ["a.docx", "a.pptx", "a.xlsx", "a.odt", "a.epub", "a.rtf"])
    def test_text_under_a_wrong_name(self, uri: str) -> None:
        assert refusal(b"just some words", uri).reason is Reason.DOCUMENT_DAMAGED

    @pytest.mark.parametrize(
        ("data", "uri"),
        [
            (docx(""), "a.docx"),
            (pptx([]), "a.pptx"),
            (xlsx({"Sheet": []}), "a.xlsx"),
            (odt(""), "a.odt"),
            (epub(""), "a.epub"),
            (rb"{\rtf1 }", "a.rtf"),
            (b",,\n,,\n", "a.csv"),
            (b"{}\n", "a.jsonl"),
        ],
    )
    def test_those_without_text(self, data: bytes, uri: str) -> None:
        assert refusal(data, uri).reason is Reason.DOCUMENT_HAS_NO_TEXT
