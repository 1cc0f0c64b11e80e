"""Vector stores by name, each imported only when it is chosen."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from groundmesh_retriever.stores.base import VectorStore

STORES = {"milvus": "groundmesh_retriever.stores.milvus:MilvusStore"}
"""Every store: name -> ``module:Class``."""


def open_store(name: str, *, uri: str, token: str, timeout_s: float) -> VectorStore:
    """Make the store of that name; it connects on its first call."""
    module, _, attribute = STORES[name].partition(":")
    make = cast("Callable[..., VectorStore]", getattr(import_module(module), attribute))
    return make(uri, token=token, timeout_s=timeout_s)
