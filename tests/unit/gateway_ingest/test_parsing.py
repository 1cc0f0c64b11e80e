"""Text out of documents, and the reasons when there is none to be had."""

import codecs

import pytest

from groundmesh.errors import InvalidArgument, Reason
from groundmesh_gateway.parsing import parse
from groundmesh_gateway.parsing.document import Place
from groundmesh_gateway.parsing.media_types import DOCX, EPUB, ODT, PPTX, RTF, XLSX
from tests.documents_by_hand import parsed, pdf
from tests.office_by_hand import OLE, docx, epub, odt, paragraph, pptx, xlsx, zipped

GERMAN = "Die Straße führt über die Brücke, größer als früher. " * 5
RUSSIAN = "Широкая электрификация южных губерний даст мощный толчок подъёму. " * 5


def reason_of(data: bytes, uri: str, media_type: str = "") -> Reason:
    with pytest.raises(InvalidArgument) as caught:
        parse(data, uri=uri, declared_media_type=media_type)
    return caught.value.reason


class TestMediaType:
    @pytest.mark.parametrize(
        ("uri", "expected"),
        [
            ("file:///a/notes.txt", "text/plain"),
            ("https://example.org/a/NOTES.TXT?version=1.html#part", "text/plain"),
            ("file:///a/my%20notes.md", "text/markdown"),
            ("notes.html", "text/html"),
            ("table.csv", "text/csv"),
            ("a.rst", "text/x-rst"),
            ("a.py", "text/x-python"),
            ("a.rs", "text/plain"),
            ("a.ts", "text/x-typescript"),
            ("a.yaml", "text/plain"),
            ("README", "text/plain"),
            ("https://example.org", "text/plain"),
        ],
    )
    def test_it_is_by_the_suffix(self, uri: str, expected: str) -> None:
        assert parse(b"some text", uri=uri).media_type == expected

    def test_what_is_declared_goes_before_the_suffix(self) -> None:
        declared = "Text/Markdown; charset=utf-8"
        assert (
            parse(b"# A", uri="a.txt", declared_media_type=declared).media_type == "text/markdown"
        )

    @pytest.mark.parametrize("declared", ["application/octet-stream", "rubbish", "/", "a/b/c"])
    def test_what_says_nothing_is_not_taken_as_declared(self, declared: str) -> None:
        assert parse(b"a", uri="a.md", declared_media_type=declared).media_type == "text/markdown"

    def test_a_signature_goes_before_all(self) -> None:
        found = parse(pdf("mislabelled"), uri="a.txt", declared_media_type="text/plain")
        assert found.media_type == "application/pdf"

    @pytest.mark.parametrize("uri", ["https://example.org/page", "a.txt", "a.docx", "a.pdf"])
    def test_html_is_known_by_its_beginning(self, uri: str) -> None:
        found = parse(b"\xef\xbb\xbf \n<!DOCTYPE html><p>hello", uri=uri)
        assert found.media_type == "text/html"

    def test_but_not_where_text_of_another_kind_begins_like_it(self) -> None:
        assert parse(b"<html> is a tag", uri="a.md").media_type == "text/markdown"

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (docx(paragraph("text")), DOCX),
            (pptx(["text"]), PPTX),
            (xlsx({"Sheet": [["text"]]}), XLSX),
            (odt("<text:p>text</text:p>"), ODT),
            (epub("<p>text</p>"), EPUB),
            (rb"{\rtf1 text}", RTF),
        ],
    )
    def test_containers_are_known_by_what_is_in_them(self, data: bytes, kind: str) -> None:
        assert parse(data, uri="a.txt", declared_media_type="text/plain").media_type == kind

    @pytest.mark.parametrize(
        ("data", "uri"),
        [
            (b"PK\x03\x04rest", "a.txt"),
            (zipped({"a.txt": "text"}), "a.zip"),
            (zipped({"a.txt": "text"}), "a.docx"),
            (zipped({"mimetype": "application/vnd.oasis.opendocument.graphics"}), "a.odt"),
            (OLE + b"WordDocument", "a.doc"),
            (b"text", "a.tar.gz"),
            (b"\x89PNG\r\n\x1a\n" + bytes(100), "a.png"),
            (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, "a.txt"),
            (bytes(range(256)) * 40, "unknown"),
        ],
    )
    def test_what_no_parser_reads_is_refused(self, data: bytes, uri: str) -> None:
        assert reason_of(data, uri) is Reason.UNSUPPORTED_MEDIA_TYPE


class TestPlainText:
    @pytest.mark.parametrize(
        ("text", "encoding"),
        [
            (GERMAN, "utf-8"),
            (GERMAN, "utf-8-sig"),
            (GERMAN, "utf-16"),
            (GERMAN, "utf-32"),
            (GERMAN, "cp1252"),
            (RUSSIAN, "utf-16-le"),
            (RUSSIAN, "cp1251"),
            (RUSSIAN, "koi8-r"),
        ],
    )
    def test_encodings_are_detected(self, text: str, encoding: str) -> None:
        assert parsed(text.encode(encoding), "a.txt").text == text

    def test_a_few_broken_bytes_do_not_change_the_encoding(self) -> None:
        data = (GERMAN + RUSSIAN).encode() + b" \xff end"
        assert parsed(data, "a.txt").text == GERMAN + RUSSIAN + " \ufffd end"

    def test_newlines_are_line_feeds_and_controls_are_dropped(self) -> None:
        text = "one\r\ntwo\rthree\x0cfour\x00 \x1bfive\ttabbed" + " and more text" * 20
        expected = "one\ntwo\nthree\nfour five\ttabbed" + " and more text" * 20
        assert parsed(codecs.BOM_UTF8 + text.encode(), "a.txt").text == expected

    def test_empty_ones_are_refused(self) -> None:
        assert reason_of(b"", "a.txt") is Reason.DOCUMENT_EMPTY
        assert reason_of(b" \r\n\t ", "a.txt") is Reason.DOCUMENT_EMPTY
        assert reason_of(codecs.BOM_UTF8, "a.txt") is Reason.DOCUMENT_HAS_NO_TEXT


class TestMarkdown:
    SOURCE = (
        "intro\n\n# Top *one*\n\ntext\n\n## `code` & [link](x)\n\n```\n# not a heading\n```\n\n"
        "Setext\nover two lines\n======\n\n> ## Quoted\n\n#\n\n### Deep\n"
    )

    def test_the_text_is_the_source_and_headings_are_marks(self) -> None:
        document = parsed(self.SOURCE.encode(), "a.md")
        assert document.text == self.SOURCE
        assert document.title == "Top one"
        found = [
            (document.text[mark.offset :][:8], mark.place.heading_path) for mark in document.marks
        ]
        assert found == [
            ("# Top *o", ("Top one",)),
            ("## `code", ("Top one", "code & link")),
            ("Setext\no", ("Setext over two lines",)),
            ("> ## Quo", ("Setext over two lines", "Quoted")),
            ("### Deep", ("Setext over two lines", "Quoted", "Deep")),
        ]

    def test_front_matter_names_the_title_and_is_no_heading(self) -> None:
        source = '---\ntags: [a]\ntitle: "What it is"\n---\n# Other\n'
        document = parsed(source.encode(), "a.md")
        assert document.text == source
        assert document.title == "What it is"
        assert [mark.place.heading_path for mark in document.marks] == [("Other",)]

    def test_a_heading_of_a_page_is_cut(self) -> None:
        place = parsed(b"# " + b"word " * 1000, "a.md").marks[0].place
        assert len(place.heading_path[0]) == 200


class TestHtml:
    PAGE = """<!DOCTYPE html><html><head><title>A &amp; B
      title</title><style>p { color: red }</style><script>alert("no")</script></head><body>
      <nav>Menu</nav>
      <h1>Head</h1><p>One <b>bold</b> <a href="http://example.org/x">link</a>, 1 &lt; 2.</p>
      <h2>Lists<a class="headerlink" href="#l">¶</a></h2><ul><li>first<li>second</ul>
      <table><tr><th>Key<th>Value<tr><td>a<td>1</table>
      <pre>def f():
    # a comment
    return 1</pre><p>snake_case_name *as is*</p><img src="x" alt="picture"></body></html>"""

    def test_it_becomes_readable_markdown(self) -> None:
        document = parsed(self.PAGE.encode(), "a.html")
        assert document.title == "A & B title"
        assert document.text.split("\n\n") == [
            "# Head",
            "One bold link, 1 < 2.",
            "## Lists",
            "- first\n- second",
            "| Key | Value |\n| --- | --- |\n| a | 1 |",
            "```\ndef f():\n    # a comment\n    return 1\n```",
            "snake_case_name *as is*\n",
        ]

    def test_its_own_contents_are_no_menu(self) -> None:
        page = '<nav class="site"><a>Shop</a></nav><nav id="toc"><a>1 One</a></nav><h1>One</h1>'
        assert parsed(page.encode(), "a.html").text == "1 One\n\n# One\n"

    def test_raised_and_lowered_text_stays_apart(self) -> None:
        page = "<p>10<sup>6</sup> H<sub>2</sub>O, as said<sup>[1]</sup>.</p>"
        assert parsed(page.encode(), "a.html").text == "10^6^ H~2~O, as said[1].\n"

    def test_headings_are_marks(self) -> None:
        document = parsed(self.PAGE.encode(), "a.html")
        found = [(document.text[mark.offset :][:6], mark.place) for mark in document.marks]
        assert found == [
            ("# Head", Place(heading_path=("Head",))),
            ("## Lis", Place(heading_path=("Head", "Lists"))),
        ]

    @pytest.mark.parametrize("charset", ["windows-1252", "ISO-8859-1"])
    def test_the_declared_encoding_is_taken(self, charset: str) -> None:
        page = (
            f'<html><head><meta charset="{charset}"></head><body><p>„Größe“ 5 €</p></body></html>'
        )
        assert parsed(page.encode("cp1252"), "a.html").text == "„Größe“ 5 €\n"

    def test_one_without_text_is_refused(self) -> None:
        page = b"<html><body><img src=x><script>1</script></body></html>"
        assert reason_of(page, "a.html") is Reason.DOCUMENT_HAS_NO_TEXT

    def test_depth_is_no_danger(self) -> None:
        deep = b"<div>" * 100_000
        assert reason_of(deep, "a.html") is Reason.DOCUMENT_HAS_NO_TEXT


class TestPdf:
    def test_pages_are_marks(self) -> None:
        document = parsed(pdf("Page one.", "", "Page (three)", title="On pages"), "a.pdf")
        assert document.text == "Page one.\n\nPage (three)"
        assert document.title == "On pages"
        found = [(document.text[mark.offset :][:9], mark.place.page) for mark in document.marks]
        assert found == [("Page one.", 1), ("Page (thr", 3)]

    def test_leaders_are_dropped(self) -> None:
        assert parsed(pdf("Contents . . . . . . . . . . 12"), "a.pdf").text == "Contents … 12"

    def test_one_without_a_text_layer_is_refused(self) -> None:
        assert reason_of(pdf(""), "a.pdf") is Reason.DOCUMENT_HAS_NO_TEXT

    @pytest.mark.parametrize("data", [b"%PDF-1.4\nrubbish", pdf("whole")[:200], b"<p>no PDF</p>"])
    def test_a_damaged_or_mislabelled_one_is_refused(self, data: bytes) -> None:
        assert reason_of(data, "a.pdf") is Reason.DOCUMENT_DAMAGED
