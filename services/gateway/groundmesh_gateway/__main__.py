"""``python -m groundmesh_gateway``: settings -> core -> serve."""

import sys

from groundmesh.server.app import run
from groundmesh.server.settings import load_settings
from groundmesh_gateway.service import gateway_service
from groundmesh_gateway.settings import GatewaySettings


def main() -> int:
    """Serve until told to stop; the process's exit code."""
    settings = load_settings(GatewaySettings, service="gateway")
    return run(gateway_service(settings), settings)


if __name__ == "__main__":
    sys.exit(main())
