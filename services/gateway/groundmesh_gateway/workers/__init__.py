"""Worker processes in which documents are parsed and split, each killable alone."""

from groundmesh_gateway.workers.limits import WorkerLimits
from groundmesh_gateway.workers.pool import TokenizerFile, WorkerPool

__all__ = ["TokenizerFile", "WorkerLimits", "WorkerPool"]
