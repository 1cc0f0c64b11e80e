"""The retrieval options of ``ask`` and ``search``."""

from groundmesh.cli.options import SearchModeName
from groundmesh.client import Retrieval, SearchMode


def retrieval(mode: SearchModeName | None, limit: int | None) -> Retrieval:
    """What the client takes; what was left out is the mesh's to choose."""
    wire_mode = SearchMode.UNSPECIFIED if mode is None else SearchMode(mode.upper())
    return Retrieval(mode=wire_mode, limit=limit or 0)
