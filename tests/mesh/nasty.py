"""Messages that no sound client sends, built from the contracts themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

Draw = Callable[[Any], Any]

TENANT = "tenants/default"
COLLECTION = f"{TENANT}/collections/docs"
DOCUMENT = f"{COLLECTION}/documents/{'0' * 32}"

STRINGS = st.sampled_from(
    [
        *("", " ", "\x00", "a", "docs", "é" * 5_000, "x" * 70_000, "🍏\u202e\ufeff", "../../etc"),
        *(TENANT, COLLECTION, DOCUMENT, "tenants/other/collections/docs", f"{COLLECTION}/"),
        *("file:///a.txt", "text/plain", "text/html", "application/pdf", "en", "xx", "0" * 64),
        *(
            "fake",
            "paced",
            "tiny",
            "judge",
            "description",
            "*",
            "<|im_start|>",
            "a > b & c' OR 1=1",
        ),
    ]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
MAX_DEPTH = 8

DESCEND = object()
"""Go on into the message, instead of leaving it out."""

RIGHT: dict[str, Any] = {
    **{f"{kind}CollectionRequest.name": COLLECTION for kind in ("Get", "Delete")},
    **{f"{kind}ReindexRequest.name": COLLECTION for kind in ("Begin", "Commit", "Abandon")},
    "Collection.name": COLLECTION,
    "UpdateCollectionRequest.collection": DESCEND,
    "CreateCollectionRequest.parent": TENANT,
    "CreateCollectionRequest.collection_id": "docs",
    "CreateCollectionRequest.collection": DESCEND,
    "Collection.index": DESCEND,
    "IndexConfig.embedding": DESCEND,
    "EmbeddingModel.model": "tiny",
    "EmbeddingModel.revision": "r",
    "EmbeddingModel.dimension": 64,
    "EmbeddingModel.max_input_tokens": 32,
    "ListCollectionsRequest.parent": TENANT,
    "ListDocumentsRequest.parent": COLLECTION,
    "ListChunksRequest.parent": DOCUMENT,
    "UpsertDocument.parent": COLLECTION,
    "IngestBegin.parent": COLLECTION,
    "name": DOCUMENT,
    "collections": [COLLECTION],
    "question": "Why?",
    "query": "why",
    "query_text": "why",
    "retrieval": DESCEND,
    "comparison": DESCEND,
    "all_of": DESCEND,
    "any_of": DESCEND,
    "none_of": DESCEND,
    "filters": DESCEND,
    "Comparison.field": "year",
    "operator": 1,
    "values": DESCEND,
    "string_value": "x",
    "number_value": 3.0,
    "bool_value": True,
    "sampling": DESCEND,
    "kind": 1,
    "texts": ["one", "two words"],
    "passages": ["one"],
    "request": DESCEND,
    "prompt": DESCEND,
    "prompts": DESCEND,
    "chat": DESCEND,
    "messages": DESCEND,
    "role": 2,
    "content": "Why?",
    "Prompt.text": "Why?",
    "begin": DESCEND,
    "document": DESCEND,
    "chunks": DESCEND,
    "commit": DESCEND,
    "end": DESCEND,
    "part": b"# A document",
    "text_part": b"one two",
    "UpsertDocument.document": DESCEND,
    "IngestDocument.uri": "file:///a.md",
    "Document.uri": "file:///a.md",
    "content_sha256": "0" * 64,
    "ChunkPart.vectors": DESCEND,
    "query_vector": DESCEND,
    "Vectors.data": bytes.fromhex("0000803f") * 64,
    "rows": 1,
    "dimension": 64,
    "dtype": 1,
    "end_byte": 3,
}
"""What a sound client sends: by ``Message.field``, else by the field's name; of others nothing."""

STEPS: dict[str, list[dict[str, Any]]] = {
    "Ingest": [
        {"begin": {"parent": COLLECTION}},
        {"document": {"uri": "file:///a.md"}},
        {"part": "IyBBIGRvY3VtZW50"},
    ],
    "UpsertDocuments": [
        {"document": {"parent": COLLECTION, "document": {"uri": "file:///a.md"}}},
        {"textPart": "b25lIHR3bw=="},
        {"chunks": {}},
    ],
}
"""How streams begin; what follows is made up."""

BYTES = st.sampled_from(
    [b"", b"\xff\xfe\x80", b"\x00" * 256, b"text", b"%PDF-1.7", b"<html>", b"\x00" * 7, b"\xc3\xa9"]
) | st.binary(max_size=80)
FLOATS = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e30, float("inf"), float("nan")])
SMALL = st.sampled_from([0, 1, 2, 3, 4, 8, 16, 64, 1_000, 1_001])


def _integers(low: int, high: int) -> st.SearchStrategy[int]:
    edges = st.sampled_from([low, high, max(low, -1)])
    return SMALL | edges | st.integers(low, high)


def _scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    kinds = FieldDescriptor
    if field.enum_type is not None:
        return st.sampled_from([*(value.number for value in field.enum_type.values), 99, -1])
    return {
        kinds.CPPTYPE_INT32: _integers(-(2**31), 2**31 - 1),
        kinds.CPPTYPE_INT64: _integers(-(2**63), 2**63 - 1),
        kinds.CPPTYPE_UINT32: _integers(0, 2**32 - 1),
        kinds.CPPTYPE_UINT64: _integers(0, 2**64 - 1),
        kinds.CPPTYPE_DOUBLE: FLOATS,
        kinds.CPPTYPE_FLOAT: FLOATS,
        kinds.CPPTYPE_BOOL: st.booleans(),
        kinds.CPPTYPE_STRING: BYTES if field.type == kinds.TYPE_BYTES else STRINGS,
    }[field.cpp_type]


@dataclass(frozen=True)
class _Maker:
    """Makes messages in which ``wild`` of ten fields hold anything, the others what is right."""

    draw: Draw
    wild: int

    def message(self, kind: Descriptor, depth: int) -> Any:
        message = GetMessageClass(kind)()
        skipped = self._of_other_choices(kind)
        for field in kind.fields:
            if depth == 0 or field.name in skipped:
                continue
            if self.draw(st.integers(0, 9)) < self.wild:
                self._set_anything(message, field, depth)
            else:
                self._set_right(message, field, depth)
        return message

    def _of_other_choices(self, kind: Descriptor) -> set[str]:
        """Of each choice all fields but one, which would only push each other out."""
        skipped: set[str] = set()
        for choice in kind.oneofs:
            names = [field.name for field in choice.fields]
            skipped |= set(names) - {self.draw(st.sampled_from(names))}
        return skipped

    def _set_anything(self, message: Any, field: FieldDescriptor, depth: int) -> None:
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            key, value = (kind.fields_by_name[name] for name in ("key", "value"))
            for _ in range(self.draw(st.integers(0, 2))):  # our maps are of messages only
                made = self._any_value(value, depth)
                getattr(message, field.name)[self.draw(_scalar(key))].CopyFrom(made)
        elif field.is_repeated:
            count = self.draw(st.integers(0, 3))
            made = [self._any_value(field, depth) for _ in range(count)]
            getattr(message, field.name).extend(made)
        elif kind is not None:
            getattr(message, field.name).CopyFrom(self._any_value(field, depth))
        else:
            setattr(message, field.name, self._any_value(field, depth))

    def _any_value(self, field: FieldDescriptor, depth: int) -> Any:
        if field.message_type is None:
            return self.draw(_scalar(field))
        return self.message(field.message_type, depth - 1)

    def _set_right(self, message: Any, field: FieldDescriptor, depth: int) -> None:
        value = RIGHT.get(f"{message.DESCRIPTOR.name}.{field.name}", RIGHT.get(field.name))
        if value is DESCEND and field.message_type is not None:
            made = self.message(field.message_type, depth - 1)
            if field.is_repeated:
                getattr(message, field.name).append(made)
            else:
                getattr(message, field.name).CopyFrom(made)
        elif isinstance(value, list):
            getattr(message, field.name).extend(value)
        elif value not in (None, DESCEND) and field.message_type is None:
            setattr(message, field.name, value)


@st.composite
def requests(draw: Draw, method: MethodDescriptor) -> list[Any]:
    """What one call sends: one message, or as many as a stream may have."""
    maker = _Maker(draw, wild=draw(st.sampled_from([0, 1, 1, 2, 4, 9])))
    if not method.client_streaming:
        return [maker.message(method.input_type, MAX_DEPTH)]
    begun = STEPS.get(method.name, [])[: draw(st.integers(0, 3))]
    kind = GetMessageClass(method.input_type)
    return [
        *(ParseDict(step, kind()) for step in begun),
        *(maker.message(method.input_type, MAX_DEPTH) for _ in range(draw(st.integers(0, 4)))),
    ]
