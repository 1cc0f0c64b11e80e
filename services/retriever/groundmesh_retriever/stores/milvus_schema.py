"""How chunks are laid out in a Milvus collection."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from pymilvus import CollectionSchema, DataType, Function, FunctionType, MilvusClient

from groundmesh_retriever.model import Chunk, ChunkSpan, Place
from groundmesh_retriever.stores.base import MAX_TEXT_BYTES, ChunkWrite, IndexSpec, StoredChunk
from groundmesh_retriever.stores.milvus_filter import metadata_field

DENSE_FIELD = "vector"
"""The field of vectors."""
SPARSE_FIELD = "sparse"
"""The field that Milvus fills with the BM25 weights of the terms."""
OUTPUT_FIELDS = [
    "key", "version", "document", "ordinal", "start_byte", "end_byte", "tokens", "place", "text",
]  # fmt: skip
"""The fields that a stored chunk is made of."""
KEY_FIELDS = ["key"]
"""The fields of a hit that is only ranked. Asked for none, Milvus Lite fetches all of them."""

_ID_BYTES = 64
_LABEL_BYTES = 128
_MAX_LABELS = 64
# Lucene's b, and the k1 of Milvus Lite, so that a Milvus server ranks the same way.
_BM25 = {"bm25_k1": 1.5, "bm25_b": 0.75}


def schema(spec: IndexSpec) -> CollectionSchema:
    """The fields of an index."""
    made = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    made.add_field("key", DataType.VARCHAR, max_length=_ID_BYTES, is_primary=True)
    for name in ("tenant", "document", "version"):
        made.add_field(name, DataType.VARCHAR, max_length=_ID_BYTES)
    made.add_field(
        "labels",
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=_MAX_LABELS,
        max_length=_LABEL_BYTES,
    )
    for name in ("ordinal", "start_byte", "end_byte", "tokens"):
        made.add_field(name, DataType.INT64)
    made.add_field("place", DataType.JSON)
    made.add_field("metadata", DataType.JSON)
    made.add_field("text", DataType.VARCHAR, max_length=MAX_TEXT_BYTES)
    made.add_field(DENSE_FIELD, DataType.FLOAT_VECTOR, dim=spec.dimension)
    if spec.full_text:
        _add_full_text(made)
    return made


def index_params(spec: IndexSpec, *, lite: bool) -> Any:
    """The indexes over the vector fields.

    Milvus Lite's AUTOINDEX is an HNSW graph that is walked under the filter: of a few chunks that
    may be read among many that may not, it finds some, or none. Comparing every vector costs it
    little beside what it does with every key in any case, and misses nothing.
    """
    params = MilvusClient.prepare_index_params()
    dense = "FLAT" if lite else "AUTOINDEX"
    params.add_index(DENSE_FIELD, index_type=dense, metric_type="COSINE")
    if spec.full_text:
        params.add_index(
            SPARSE_FIELD,
            index_type="SPARSE_INVERTED_INDEX",
            metric_type="BM25",
            params=_BM25,
        )
    return params


def _add_full_text(made: CollectionSchema) -> None:
    made.add_field(
        "terms",
        DataType.VARCHAR,
        max_length=MAX_TEXT_BYTES,
        enable_analyzer=True,
        analyzer_params={"tokenizer": "standard"},
    )
    made.add_field(SPARSE_FIELD, DataType.SPARSE_FLOAT_VECTOR)
    made.add_function(
        Function(
            name="bm25",
            function_type=FunctionType.BM25,
            input_field_names=["terms"],
            output_field_names=[SPARSE_FIELD],
        )
    )


def row(write: ChunkWrite, vector: Any) -> dict[str, Any]:
    """A chunk as Milvus takes it."""
    span = write.chunk.span
    made: dict[str, Any] = {
        "key": write.key,
        "version": write.version,
        "document": write.document,
        "tenant": write.tenant,
        "labels": list(write.reader_labels),
        "metadata": metadata_field(write.metadata),
        "ordinal": span.ordinal,
        "start_byte": span.start_byte,
        "end_byte": span.end_byte,
        "tokens": span.tokens,
        "place": asdict(span.place),
        "text": write.chunk.text,
        DENSE_FIELD: vector,
    }
    if write.terms is not None:
        made["terms"] = write.terms
    return made


def stored_chunk(entity: Mapping[str, Any]) -> StoredChunk:
    """A chunk as Milvus gives it back."""
    place = dict(entity["place"])
    span = ChunkSpan(
        ordinal=entity["ordinal"],
        start_byte=entity["start_byte"],
        end_byte=entity["end_byte"],
        tokens=entity["tokens"],
        place=Place(**{**place, "heading_path": tuple(place.get("heading_path", ()))}),
    )
    vector = entity.get(DENSE_FIELD)
    return StoredChunk(
        key=entity["key"],
        version=entity["version"],
        document=entity["document"],
        chunk=Chunk(span, entity["text"]),
        vector=None if vector is None else np.asarray(vector, dtype=np.float32),
    )
