"""Finding passages for a query: search, then rerank, diversify and merge what was found."""

from groundmesh_gateway.finding.finder import Finder
from groundmesh_gateway.finding.model import (
    Embedded,
    FindOptions,
    Found,
    FoundPassage,
    Vector,
    Wish,
)
from groundmesh_gateway.finding.ports import Finding

__all__ = [
    "Embedded",
    "FindOptions",
    "Finder",
    "Finding",
    "Found",
    "FoundPassage",
    "Vector",
    "Wish",
]
