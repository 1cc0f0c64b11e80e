"""Passages that were found, as they travel."""

from collections.abc import Sequence
from struct import calcsize, iter_unpack

from groundmesh.chunk_context import context_of
from groundmesh.prompting import Passage
from groundmesh.v1 import common_pb2, retriever_pb2
from groundmesh_gateway.finding import FoundPassage

_CODES = {common_pb2.VECTOR_DTYPE_F32: "f", common_pb2.VECTOR_DTYPE_F16: "e"}


def found_passage(wire: retriever_pb2.ScoredChunk, index: int) -> FoundPassage:
    """A chunk as it came ``index``-th from the retriever."""
    chunk = wire.chunk
    return FoundPassage(
        Passage(wire.title, place_text(chunk.place), chunk.text),
        document=chunk.document,
        ordinal=chunk.ordinal,
        start_byte=chunk.start_byte,
        end_byte=chunk.end_byte,
        score=wire.score,
        cosine=wire.dense_score if wire.HasField("dense_score") else None,
        chunks=(index,),
        context=context_of((wire.title, *chunk.place.heading_path), chunk.text),
    )


def scored_chunk(
    passage: FoundPassage, found: retriever_pb2.SearchResponse
) -> retriever_pb2.ScoredChunk:
    """A passage as it is sent; ``found`` are the chunks that it is made of."""
    wire = retriever_pb2.ScoredChunk()
    wire.CopyFrom(found.chunks[passage.chunks[0]])
    wire.score = passage.score
    if passage.rerank_score is not None:
        wire.rerank_score = passage.rerank_score
    if len(passage.chunks) > 1:
        chunks = [found.chunks[index].chunk for index in passage.chunks]
        wire.chunk.CopyFrom(min(chunks, key=lambda chunk: (chunk.start_byte, chunk.end_byte)))
        wire.chunk.text = passage.passage.text
        wire.chunk.end_byte = passage.end_byte
        wire.chunk.tokens = 0  # nobody has counted them
        if passage.cosine is not None:
            wire.dense_score = passage.cosine
    return wire


def rows(vectors: common_pb2.Vectors, *, count: int) -> Sequence[Sequence[float]] | None:
    """The vectors of ``count`` chunks; None where they are not there."""
    code, dimension = _CODES.get(vectors.dtype), vectors.dimension
    if code is None or not vectors.rows == count > 0 or dimension < 1:
        return None
    layout = f"<{dimension}{code}"
    if len(vectors.data) != count * calcsize(layout):
        return None
    return list(iter_unpack(layout, vectors.data))


def place_text(place: common_pb2.Place) -> str:
    """Where a passage stands, as a reader would say it: ``page 3, Setup > Linux``."""
    parts = [
        f"page {place.page}" if place.HasField("page") else "",
        f"sheet {place.sheet}" if place.HasField("sheet") else "",
        f"slide {place.slide}" if place.HasField("slide") else "",
        " > ".join(place.heading_path),
    ]
    return ", ".join(part for part in parts if part)
