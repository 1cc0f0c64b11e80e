"""``python -m groundmesh_embedder``: settings -> core -> serve."""

import sys
from functools import partial

from groundmesh.server.app import run
from groundmesh.server.settings import load_settings
from groundmesh_embedder.backends import open_backend
from groundmesh_embedder.core import Embedder
from groundmesh_embedder.servicer import embedder_service
from groundmesh_embedder.settings import EmbedderSettings


def main() -> int:
    """Serve until told to stop; the process's exit code."""
    settings = load_settings(EmbedderSettings, service="embedder")
    embedder = Embedder(
        engine=settings.backend,
        open_backend=partial(open_backend, settings.backend, settings.backend_options()),
        options=settings.embedder_options(),
    )
    return run(embedder_service(embedder, stream_in_flight=settings.stream_in_flight), settings)


if __name__ == "__main__":
    sys.exit(main())
