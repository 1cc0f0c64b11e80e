"""All sample documents through a served gateway, in one stream."""

import pytest

from groundmesh_gateway.parsing import media_types
from tests.mesh.ingest_bench import document, ingest_bench
from tests.sample_documents import FAILURES, SAMPLES, name_of, samples

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample documents are not here")


async def test_each_is_ingested_or_refused_for_the_right_reason() -> None:
    files = {path.as_uri(): path for path in samples()}
    async with ingest_bench() as bench:
        events = await bench.ingest(
            *(document(uri, path.read_bytes()) for uri, path in files.items())
        )
        again = await bench.ingest(
            *(document(uri, path.read_bytes()) for uri, path in files.items())
        )
    failures = {name: str(reason) for name, reason in FAILURES.items()}
    outcomes = {name_of(files[uri]): outcome for uri, outcome in events.outcomes().items()}
    assert outcomes == {name_of(path): "INDEXED" for path in files.values()} | failures
    assert set(again.outcomes().values()) == {"UNCHANGED", *failures.values()}
    written = bench.retriever.written.values()
    assert len(written) == len(files) - len(failures)
    places = [chunk.place for each in written for chunk in each.chunks]
    assert {place.sheet for place in places} >= {"Basic Table", "Table Missing Value", "Sheet1"}
    assert {place.slide for place in places} >= {1, 2, 3, 4, 5, 6}
    assert {place.page for place in places} >= {1, 2, 3, 114}
    kinds = {each.document.media_type for each in written}
    assert kinds >= {
        *(media_types.DOCX, media_types.PPTX, media_types.XLSX, media_types.ODT, media_types.RTF),
        *(media_types.EPUB, media_types.EMAIL, media_types.PDF, media_types.HTML),
        *(media_types.PLAIN, "text/csv", "text/markdown", "text/x-org", "text/x-rst"),
    }
