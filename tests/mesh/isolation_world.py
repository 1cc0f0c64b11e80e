"""Tenants with collections, documents and readers, as they are, and who may see what of them."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from google.protobuf.struct_pb2 import Value

from groundmesh.identity import ALL_LABELS, Principal
from groundmesh.v1 import retriever_pb2
from groundmesh_retriever.filters import (
    ORDERING,
    AllOf,
    AnyOf,
    Comparison,
    Filter,
    NoneOf,
    Operator,
)
from groundmesh_retriever.model import Scalar
from tests.fakes.vector_store import matches
from tests.mesh.retriever_mesh import Doc

TENANTS = ("acme", "globex")
COLLECTIONS = ("one", "two", "three")
LABELS = ("hr", "legal", "HR", "h", '"] or true or ["', "hr,legal", "%", "东京")
METADATA: dict[str, Sequence[Scalar]] = {
    "year": (1999.0, 2020.0, -0.5),
    "lang": ("en", "de", 'x" or tenant != "', "hr"),
    "open": (True, False),
    # Named as columns of the store are: a filter must never reach those.
    "labels": ("hr", "legal"),
    "tenant": TENANTS,
}
OPERATORS = {
    operator: retriever_pb2.ComparisonOperator.Value(f"COMPARISON_OPERATOR_{operator.value}")
    for operator in Operator
}


@dataclass
class World:
    """All documents by collection and URI."""

    rng: random.Random
    docs: dict[str, dict[str, Doc]] = field(default_factory=dict)

    def some_doc(self) -> Doc:
        """A document with a few readers and some metadata."""
        rng = self.rng
        lines = [f"word {rng.randrange(10**9)}" for _ in range(rng.randint(1, 3))]
        labels = rng.sample(LABELS, rng.choice((0, 1, 1, 2)))
        kept = [name for name in METADATA if rng.random() < 0.5]
        metadata = {name: rng.choice(METADATA[name]) for name in kept}
        return Doc(f"file:///{rng.randrange(12)}", lines, labels, metadata)

    def some_principal(self) -> Principal:
        """Somebody of one of the tenants."""
        held = self.rng.sample(LABELS, self.rng.choice((0, 1, 2, 3)))
        labels = [ALL_LABELS] if self.rng.random() < 0.1 else held
        return Principal(self.rng.choice(TENANTS), "somebody", frozenset(labels))

    def some_filter(self, depth: int = 3) -> Filter:
        """A filter over the metadata, values of the wrong kind included."""
        rng = self.rng
        if depth and rng.random() < 0.5:
            parts = tuple(self.some_filter(depth - 1) for _ in range(rng.randint(1, 3)))
            lists: list[Filter] = [AllOf(parts), AnyOf(parts), NoneOf(parts)]
            return rng.choice(lists)
        values = METADATA[rng.choice(list(METADATA))]
        ordered = not isinstance(values[0], bool)
        operator = rng.choice([each for each in Operator if ordered or each not in ORDERING])
        count = rng.randint(1, len(values)) if operator is Operator.IN else 1
        return Comparison(rng.choice(list(METADATA)), operator, tuple(rng.sample(values, count)))

    def readable(
        self, principal: Principal, collections: Iterable[str], asked: Filter | None
    ) -> list[Doc]:
        """What a search of these collections may find, in the fewest words."""
        return [
            doc
            for collection in collections
            for doc in self.docs[collection].values()
            if may_read(principal, doc) and (asked is None or matches(asked, dict(doc.metadata)))
        ]


def may_read(principal: Principal, doc: Doc) -> bool:
    """Whether a document of the principal's own tenant is for its eyes."""
    return (
        not doc.labels or ALL_LABELS in principal.labels or bool(principal.labels & {*doc.labels})
    )


def name_of(tenant: str, collection: str) -> str:
    """A collection's name."""
    return f"tenants/{tenant}/collections/{collection}"


def on_the_wire(node: Filter) -> retriever_pb2.Filter:
    """A filter as it is sent."""
    match node:
        case Comparison(name, operator, values):
            return retriever_pb2.Filter(
                comparison=retriever_pb2.Comparison(
                    field=name, operator=OPERATORS[operator], values=map(_value, values)
                )
            )
        case AllOf(filters):
            return retriever_pb2.Filter(all_of=_list(filters))
        case AnyOf(filters):
            return retriever_pb2.Filter(any_of=_list(filters))
        case NoneOf(filters):
            return retriever_pb2.Filter(none_of=_list(filters))


def _list(filters: Iterable[Filter]) -> retriever_pb2.FilterList:
    return retriever_pb2.FilterList(filters=map(on_the_wire, filters))


def _value(value: Scalar) -> Value:
    if isinstance(value, bool):
        return Value(bool_value=value)
    return Value(string_value=value) if isinstance(value, str) else Value(number_value=value)
