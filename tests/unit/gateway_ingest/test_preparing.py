"""Bytes to chunks, without a process around it."""

from groundmesh_gateway.parsing.document import Place
from groundmesh_gateway.preparing import Chunk, Job, Prepared, prepare
from groundmesh_gateway.splitting import HubTokenCounter, Splitting
from tests import tokenizer_files
from tests.documents_by_hand import pdf
from tests.office_by_hand import pptx, xlsx

COUNTER = HubTokenCounter(tokenizer_files.wordpiece())


def text_of(found: Prepared, chunk: Chunk) -> str:
    return found.text[chunk.start_byte : chunk.end_byte].decode()


def prepared(uri: str, data: bytes) -> Prepared:
    job = Job(
        uri=uri,
        media_type="",
        title="",
        splitting=Splitting(max_tokens=200, overlap_tokens=20),
        passage_prompt="",
        model_tokens=200,
        max_text_bytes=1 << 20,
    )
    return prepare(job, data, COUNTER)


def test_no_chunk_goes_over_to_another_sheet() -> None:
    found = prepared("a.xlsx", xlsx({"Größen": [["a"], ["ä"]], "Two": [["b"]], "Three": [["c"]]}))
    assert [(chunk.place, text_of(found, chunk).split()[1]) for chunk in found.chunks()] == [
        (Place(sheet="Größen"), "Größen"),
        (Place(sheet="Two"), "Two"),
        (Place(sheet="Three"), "Three"),
    ]


def test_no_chunk_goes_over_to_another_slide() -> None:
    found = prepared("a.pptx", pptx(["One", "x"], ["Two", "y"]))
    assert [(chunk.place, text_of(found, chunk)) for chunk in found.chunks()] == [
        (Place(("One",), slide=1), "# One\n\nx"),
        (Place(("Two",), slide=2), "# Two\n\ny"),
    ]


def test_a_chunk_may_go_over_a_page() -> None:
    (chunk,) = prepared("a.pdf", pdf("A sentence that", "goes on.")).chunks()
    assert chunk.place == Place(page=1)
