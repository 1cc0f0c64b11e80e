"""An ingestion that takes itself up again when the mesh, or a part of it, is lost."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from groundmesh.client import Client, DocumentIngested, IngestEvent, IngestProgress, Outcome, Upload
from groundmesh.errors import DeadlineExceeded, MeshError, Unavailable

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Before each try; in all longer than `groundmesh up` takes to start a service again."""

Tell = Callable[[MeshError, int, float], None]
"""Told why the stream broke off, how many documents are left, and the pause before the next try."""


async def resumed(
    mesh: Client, uploads: Sequence[Upload], *, collection: str, tell: Tell
) -> AsyncGenerator[IngestEvent, None]:
    """The events of an ingestion that outlives its streams.

    A stream that broke off is sent again, without what is done: what was in already when it broke,
    unheard, comes as unchanged. The tries are counted from the last document that was done; past
    them the error is raised.
    """
    left = {upload.uri: upload for upload in uploads}
    pauses, chunks = iter(PAUSES_S), 0
    while True:
        chunks_before = chunks
        events = mesh.ingest(list(left.values()), collection=collection, create=False)
        try:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, IngestProgress):
                        yield replace(event, chunks=chunks_before + event.chunks)
                        continue
                    if left.pop(event.uri, None) is not None:
                        pauses = iter(PAUSES_S)
                        chunks += _written(event)
                        yield event
        except (Unavailable, DeadlineExceeded) as error:
            pause_s = next(pauses, None)
            if pause_s is None:
                raise
            tell(error, len(left), pause_s)
            await asyncio.sleep(pause_s)
        else:
            return


def _written(event: DocumentIngested) -> int:
    return event.chunk_count if event.outcome in (Outcome.INDEXED, Outcome.REPLACED) else 0
