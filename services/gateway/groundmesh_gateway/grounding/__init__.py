"""Grounding an answer in the passages that were sent: its citations, checked while it is made."""

from groundmesh_gateway.grounding.coverage import Coverage
from groundmesh_gateway.grounding.grounder import Grounder
from groundmesh_gateway.grounding.inferring import InferOptions
from groundmesh_gateway.grounding.model import Citation, CitationKind, SentPassage, TextDelta

__all__ = [
    "Citation",
    "CitationKind",
    "Coverage",
    "Grounder",
    "InferOptions",
    "SentPassage",
    "TextDelta",
]
