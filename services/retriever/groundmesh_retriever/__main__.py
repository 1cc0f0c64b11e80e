"""``python -m groundmesh_retriever``: settings -> core -> serve."""

import sys

from groundmesh.server.app import run
from groundmesh.server.settings import load_settings
from groundmesh_retriever.core import Retriever
from groundmesh_retriever.servicer import retriever_service
from groundmesh_retriever.settings import RetrieverSettings
from groundmesh_retriever.stores import open_store


def main() -> int:
    """Serve until told to stop; the process's exit code."""
    settings = load_settings(RetrieverSettings, service="retriever")
    store = open_store(
        settings.store,
        uri=settings.milvus_uri,
        token=settings.milvus_token,
        timeout_s=settings.store_timeout_s,
    )
    retriever = Retriever(store, settings.options(), engine=settings.store)
    return run(retriever_service(retriever), settings)


if __name__ == "__main__":
    sys.exit(main())
