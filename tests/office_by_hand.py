"""Documents in zip containers that tests make themselves: the least that readers take for one."""

import io
import zipfile
from collections.abc import Mapping
from string import ascii_uppercase

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
"""The first sector of a compound file."""

_OFFICE = "http://schemas.openxmlformats.org"
_RELS = f"{_OFFICE}/package/2006/relationships"
_DOC_RELS = f"{_OFFICE}/officeDocument/2006/relationships"
_WORD = f"{_OFFICE}/wordprocessingml/2006/main"
_SHEET = f"{_OFFICE}/spreadsheetml/2006/main"
_SLIDE = f"{_OFFICE}/presentationml/2006/main"
_DRAWING = f"{_OFFICE}/drawingml/2006/main"
_ODF = "urn:oasis:names:tc:opendocument:xmlns"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    """A zip file of these parts; one that is called ``mimetype`` is stored, as ODF and EPUB ask."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            kind = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(name, content, compress_type=kind)
    return out.getvalue()


def _package(main: str, kind: str, parts: Mapping[str, str | bytes], *others: str) -> bytes:
    """An Office Open XML package; ``others`` are overrides of content types."""
    types = f'<Override PartName="/{main}" ContentType="{kind}"/>' + "".join(others)
    return zipped(
        {
            "[Content_Types].xml": f'{_XML}<Types xmlns="{_OFFICE}/package/2006/content-types">'
            '<Default Extension="rels"'
            ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>{types}</Types>',
            "_rels/.rels": relations(("rId1", f"{_DOC_RELS}/officeDocument", main)),
            **parts,
        }
    )


def relations(*links: tuple[str, str, str], external: bool = False) -> str:
    """A part of relations: id, type and target of each."""
    mode = ' TargetMode="External"' if external else ""
    body = "".join(
        f'<Relationship Id="{name}" Type="{kind}" Target="{target}"{mode}/>'
        for name, kind, target in links
    )
    return f'{_XML}<Relationships xmlns="{_RELS}">{body}</Relationships>'


def paragraph(text: str, style: str = "") -> str:
    """A paragraph of WordprocessingML; a style of ``Heading1`` makes it a heading."""
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f'<w:p>{properties}<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def docx(body: str, *, doctype: str = "", parts: Mapping[str, str] | None = None) -> bytes:
    """A Word document with this body; ``doctype`` stands before its root."""
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{n}"><w:name w:val="heading {n}"/>'
        f'<w:pPr><w:outlineLvl w:val="{n - 1}"/></w:pPr></w:style>'
        for n in (1, 2, 3)
    )
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    return _package(
        "word/document.xml",
        f"{main}.document.main+xml",
        {
            "word/document.xml": f'{_XML}{doctype}<w:document xmlns:w="{_WORD}"'
            f' xmlns:r="{_DOC_RELS}"><w:body>{body}</w:body></w:document>',
            "word/styles.xml": f'{_XML}<w:styles xmlns:w="{_WORD}">{styles}</w:styles>',
            "word/_rels/document.xml.rels": relations(
                ("rId1", f"{_DOC_RELS}/styles", "styles.xml")
            ),
            **(parts or {}),
        },
        f'<Override PartName="/word/styles.xml" ContentType="{main}.styles+xml"/>',
    )


def xlsx(sheets: Mapping[str, list[list[str]]], *, doctype: str = "", far_cell: str = "") -> bytes:
    """A workbook of these sheets, all cells text; each with one more cell at ``far_cell``."""
    main = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    names = list(sheets)
    listed = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(names, 1)
    )
    links = [
        (f"rId{n}", f"{_DOC_RELS}/worksheet", f"worksheets/sheet{n}.xml")
        for n in range(1, len(names) + 1)
    ]
    return _package(
        "xl/workbook.xml",
        f"{main}.sheet.main+xml",
        {
            "xl/workbook.xml": f'{_XML}<workbook xmlns="{_SHEET}" xmlns:r="{_DOC_RELS}">'
            f"<sheets>{listed}</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": relations(*links),
            **{
                f"xl/worksheets/sheet{n}.xml": _sheet(sheets[name], doctype, far_cell)
                for n, name in enumerate(names, 1)
            },
        },
        *(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{main}.worksheet+xml"/>'
            for n in range(1, len(names) + 1)
        ),
    )


def _sheet(rows: list[list[str]], doctype: str, far_cell: str) -> str:
    body = "".join(
        f'<row r="{r}">'
        + "".join(
            f'<c r="{chr(ord("A") + c)}{r}" t="inlineStr"><is><t>{cell}</t></is></c>'
            for c, cell in enumerate(row)
        )
        + "</row>"
        for r, row in enumerate(rows, 1)
    )
    if far_cell:
        row = far_cell.lstrip(ascii_uppercase)
        body += f'<row r="{row}"><c r="{far_cell}"><v>1</v></c></row>'
    return f'{_XML}{doctype}<worksheet xmlns="{_SHEET}"><sheetData>{body}</sheetData></worksheet>'


def pptx(*slides: list[str]) -> bytes:
    """A presentation; of each slide the first text is its title."""
    main = "application/vnd.openxmlformats-officedocument.presentationml"
    numbers = range(1, len(slides) + 1)
    listed = "".join(f'<p:sldId id="{255 + n}" r:id="rId{n}"/>' for n in numbers)
    links = [(f"rId{n}", f"{_DOC_RELS}/slide", f"slides/slide{n}.xml") for n in numbers]
    return _package(
        "ppt/presentation.xml",
        f"{main}.presentation.main+xml",
        {
            "ppt/presentation.xml": f'{_XML}<p:presentation xmlns:p="{_SLIDE}"'
            f' xmlns:r="{_DOC_RELS}"><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>',
            "ppt/_rels/presentation.xml.rels": relations(*links),
            **{f"ppt/slides/slide{n}.xml": _slide(slides[n - 1]) for n in numbers},
        },
        *(
            f'<Override PartName="/ppt/slides/slide{n}.xml" ContentType="{main}.slide+xml"/>'
            for n in numbers
        ),
    )


def _slide(texts: list[str]) -> str:
    shapes = "".join(
        f'<p:sp><p:nvSpPr><p:cNvPr id="{n + 2}" name="s{n}"/><p:cNvSpPr/><p:nvPr>'
        f'<p:ph type="{"body" if n else "title"}"/></p:nvPr></p:nvSpPr><p:spPr/>'
        f"<p:txBody><a:bodyPr/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
        for n, text in enumerate(texts)
    )
    return (
        f'{_XML}<p:sld xmlns:p="{_SLIDE}" xmlns:a="{_DRAWING}"><p:cSld><p:spTree>'
        f"<p:nvGrpSpPr/><p:grpSpPr/>{shapes}</p:spTree></p:cSld></p:sld>"
    )


def odt(body: str, *, doctype: str = "", manifest: str = "") -> bytes:
    """An OpenDocument text with this body."""
    kind = "application/vnd.oasis.opendocument.text"
    return zipped(
        {
            "mimetype": kind,
            "META-INF/manifest.xml": f"{_XML}<manifest:manifest"
            f' xmlns:manifest="{_ODF}:manifest:1.0">'
            f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
            f"{manifest}</manifest:manifest>",
            "content.xml": f"{_XML}{doctype}<office:document-content"
            f' xmlns:office="{_ODF}:office:1.0" xmlns:text="{_ODF}:text:1.0"'
            f' xmlns:table="{_ODF}:table:1.0"><office:body><office:text>{body}</office:text>'
            "</office:body></office:document-content>",
        }
    )


def epub(*chapters: str, doctype: str = "", parts: Mapping[str, str] | None = None) -> bytes:
    """A book of these chapters, each the body of an XHTML page."""
    numbers = range(1, len(chapters) + 1)
    items = "".join(
        f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>' for n in numbers
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in numbers)
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f'{_XML}<container version="1.0"'
            ' xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/>'
            "</rootfiles></container>",
            "book.opf": f'{_XML}<package version="3.0" xmlns="http://www.idpf.org/2007/opf"'
            ' unique-identifier="id"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
            '<dc:identifier id="id">x</dc:identifier><dc:title>A book</dc:title>'
            f"</metadata><manifest>{items}</manifest><spine>{spine}</spine></package>",
            **{
                f"c{n}.xhtml": f'{_XML}{doctype}<html xmlns="http://www.w3.org/1999/xhtml">'
                f"<head><title>t</title></head><body>{chapters[n - 1]}</body></html>"
                for n in numbers
            },
            **(parts or {}),
        }
    )
