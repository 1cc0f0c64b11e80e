"""Documents that mean harm, each in a real worker process: they cost themselves, nothing else."""

import hashlib
import socket
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from groundmesh.errors import MeshError, Reason
from groundmesh_gateway.preparing import Job, Prepared
from groundmesh_gateway.splitting import Splitting
from groundmesh_gateway.workers import TokenizerFile, WorkerLimits, WorkerPool
from tests import tokenizer_files
from tests.documents_by_hand import pdf
from tests.office_by_hand import docx, epub, odt, paragraph, pptx, relations, xlsx, zipped

TOKENIZER = TokenizerFile(
    tokenizer_files.wordpiece(), hashlib.sha256(tokenizer_files.wordpiece()).hexdigest()
)
LIMITS = WorkerLimits(
    timeout_s=20, timeout_per_mib_s=1, memory_bytes=256 << 20, max_text_bytes=1 << 20
)
SECRET = "hush-4711"
LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "lollollollollollollollol">'
    + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">'
        for before, name in zip("abcdefghi", "bcdefghij", strict=True)
    )
    + "]>"
)
MERGED = '<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr>{}</w:tc></w:tr></w:tbl>'
MUCH = "boom " * 200


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(1, LIMITS)
    yield pool
    await pool.close()


async def outcome(pool: WorkerPool, uri: str, data: bytes) -> Prepared | MeshError:
    """What came of a document; a sound one goes through right after."""
    try:
        return await prepare(pool, uri, data)
    except MeshError as error:
        return error
    finally:
        assert (await prepare(pool, "a.docx", docx(paragraph("sound")))).text == b"sound"


async def prepare(pool: WorkerPool, uri: str, data: bytes) -> Prepared:
    job = Job(
        uri=uri,
        media_type="",
        title="",
        splitting=Splitting(24, 4),
        passage_prompt="",
        model_tokens=24,
        max_text_bytes=LIMITS.max_text_bytes,
    )
    return await pool.prepare(job, data, TOKENIZER)


async def reasons(
    pool: WorkerPool, documents: Iterable[tuple[str, bytes]]
) -> dict[str, Reason | str]:
    """By URI, why each was refused, or that it was not."""
    found: dict[str, Reason | str] = {}
    for uri, data in documents:
        came = await outcome(pool, uri, data)
        found[uri] = came.reason if isinstance(came, MeshError) else "read"
    return found


async def test_what_unpacks_to_too_much(pool: WorkerPool) -> None:
    found = await reasons(
        pool,
        {
            "a.docx": docx(paragraph(MUCH) * 20_000),
            "merged.docx": docx(MERGED.format(paragraph(MUCH) * 20_000)),
            "a.pptx": pptx(["title", MUCH * 10_000]),
            "a.odt": odt(f"<text:p>{MUCH}</text:p>" * 20_000),
            "a.epub": epub(f"<p>{MUCH}</p>" * 20_000),
            "a.xlsx": xlsx({"Sheet": [[MUCH] * 20] * 200}),
            "a.csv": (MUCH.encode() + b",x\n") * 2_000,
        }.items(),
    )
    assert set(found.values()) == {Reason.DOCUMENT_TOO_LARGE}


async def test_entities_that_multiply(pool: WorkerPool) -> None:
    assert await reasons(
        pool,
        {
            "a.docx": docx(paragraph("&j;"), doctype=LAUGHS),
            "merged.docx": docx(MERGED.format(paragraph("&j;")), doctype=LAUGHS),
            "a.odt": odt("<text:p>&j;</text:p>", doctype=LAUGHS),
            "a.xlsx": xlsx({"Sheet": [["&j;"]]}, doctype=LAUGHS),
        }.items(),
    ) == {
        "a.docx": Reason.DOCUMENT_HAS_NO_TEXT,
        "merged.docx": Reason.DOCUMENT_HAS_NO_TEXT,
        "a.odt": Reason.DOCUMENT_DAMAGED,
        "a.xlsx": Reason.DOCUMENT_DAMAGED,
    }
    book = await prepare(pool, "a.epub", epub("<p>&j;</p>", doctype=LAUGHS))
    assert len(book.text) < 100


async def test_a_cell_at_the_far_end_of_a_sheet(pool: WorkerPool) -> None:
    found = await outcome(pool, "a.xlsx", xlsx({"Sheet": [["a"]]}, far_cell="XFD1048576"))
    assert isinstance(found, MeshError)
    assert found.reason in {Reason.PARSER_OUT_OF_MEMORY, Reason.PARSER_CRASHED}


async def test_depth(pool: WorkerPool) -> None:
    found = await reasons(
        pool,
        {
            "a.docx": docx("<w:tbl><w:tr><w:tc>" * 5_000 + "</w:tc></w:tr></w:tbl>" * 5_000),
            "a.odt": odt("<text:section>" * 5_000 + "</text:section>" * 5_000),
            "a.rtf": rb"{\rtf1" + b"{" * 100_000 + b"}" * 100_001,
            "a.html": b"<blockquote>" * 50_000,
            "a.jsonl": b'{"a":' * 50_000,
            "a.eml": b"Content-Type: multipart/mixed; boundary=x\n\n--x\n" * 5_000,
        }.items(),
    )
    assert "read" not in found.values()


@pytest.mark.e2e
async def test_ten_thousand_pages(pool: WorkerPool) -> None:
    found = await prepare(pool, "a.pdf", pdf(*(f"Page {n}" for n in range(1, 10_001))))
    assert (list(found.chunks())[-1].place.page or 0) > 9_990  # it begins on one of the last
    empty = await outcome(pool, "a.pdf", pdf(*[""] * 10_000))
    assert isinstance(empty, MeshError)
    assert empty.reason is Reason.DOCUMENT_HAS_NO_TEXT


@contextmanager
def listener() -> Iterator[tuple[str, list[object]]]:
    """An address, and who called there."""
    callers: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                callers.append(address)
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/x", callers
        finally:
            stop.set()
            thread.join(5)


def referring(target: str) -> Iterator[tuple[str, bytes]]:
    """Documents that ask for what is at ``target`` in every way that their formats have."""
    yield from referring_office_files(target)
    yield from referring_pages(target)


def external_entity(target: str) -> str:
    """A document type whose entities ``s`` and ``p`` are what is at ``target``."""
    return f'<!DOCTYPE x [<!ENTITY s SYSTEM "{target}"><!ENTITY % p SYSTEM "{target}"> %p;]>'


def referring_office_files(target: str) -> Iterator[tuple[str, bytes]]:
    """Office files that do."""
    entity = external_entity(target)
    image = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    links = relations(
        ("rId9", f"{image}/image", target),
        ("rId8", f"{image}/attachedTemplate", target),
        ("rId7", f"{image}/aFChunk", target),
        external=True,
    )
    field = (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>INCLUDETEXT'
        f' "{target}"</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )
    yield "a.docx", docx(paragraph("words &s;"), doctype=entity)
    yield "b.docx", docx(MERGED.format(paragraph("words &s;")), doctype=entity)
    yield (
        "c.docx",
        docx(
            f'{paragraph("words")}<w:p>{field}</w:p><w:altChunk r:id="rId7"/>',
            parts={"word/_rels/document.xml.rels": links},
        ),
    )
    yield "a.odt", odt("<text:p>words &s;</text:p>", doctype=entity)
    yield (
        "b.odt",
        odt(
            '<text:p>words</text:p><text:section text:name="s"><text:section-source'
            f' xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="{target}"/></text:section>'
        ),
    )
    yield "a.xlsx", xlsx({"Sheet": [["words", "&s;"]]}, doctype=entity)
    yield "b.xlsx", xlsx({"Sheet": [["words", f'=WEBSERVICE("{target}")']]})
    yield (
        "a.zip.docx",
        zipped({"[Content_Types].xml": "", "word/document.xml": entity, "../../x": "words"}),
    )


def referring_pages(target: str) -> Iterator[tuple[str, bytes]]:
    """Books, pages, marked-up texts and letters that do."""
    entity = external_entity(target)
    path = target.removeprefix("file://")
    yield "a.epub", epub(f'<p>words &s;</p><img src="{target}"/>', doctype=entity)
    yield "b.epub", epub(f'<p>words</p><object data="{target}"/><iframe src="{target}"/>')
    page = f'<p>words<iframe src="{target}"></iframe><object data="{target}"></object><img src='
    yield "a.html", f'{page}"{target}"><link rel="stylesheet" href="{target}">'.encode()
    yield "a.xhtml", f"<?xml version='1.0'?>{entity}<html><p>words &s;</p></html>".encode()
    yield "a.rst", f"words\n\n.. include:: {path}\n\n.. raw:: html\n   :file: {path}\n".encode()
    yield "b.rst", f"words\n\n.. csv-table::\n   :url: {target}\n".encode()
    yield "a.org", f'words\n#+INCLUDE: "{path}"\n'.encode()
    yield "a.md", f'words ![x]({target})\n\n<iframe src="{target}"></iframe>\n'.encode()
    yield (
        "a.rtf",
        rb'{\rtf1 words{\field{\*\fldinst{INCLUDETEXT "%s"}}}{\*\template %s}}'
        % (path.encode(), path.encode()),
    )
    yield (
        "a.eml",
        b"Subject: words\nContent-Type: multipart/mixed; boundary=x\n\n--x\n"
        b'Content-Type: message/external-body; access-type=URL; URL="%s"; name="%s"\n\n\n--x\n'
        b'Content-Type: text/html\n\n<p>words<img src="%s"></p>\n--x--\n'
        % (target.encode(), path.encode(), target.encode()),
    )


async def test_no_file_is_read(pool: WorkerPool, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(f"a,b\n{SECRET},2\n", encoding="utf-8")
    for uri, data in referring(secret.as_uri()):
        found = await outcome(pool, uri, data)
        said = found.message if isinstance(found, MeshError) else found.text.decode()
        assert SECRET not in said, uri


async def test_no_address_is_called(pool: WorkerPool) -> None:
    with listener() as (address, callers):
        found = await reasons(pool, referring(address))
        assert callers == []
    refused = {uri: reason for uri, reason in found.items() if reason != "read"}
    assert refused == {
        "a.odt": Reason.DOCUMENT_DAMAGED,  # its reader knows no document types
        "a.xlsx": Reason.DOCUMENT_DAMAGED,  # nor entities
        "a.zip.docx": Reason.DOCUMENT_HAS_NO_TEXT,
    }
