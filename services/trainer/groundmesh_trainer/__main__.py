"""``python -m groundmesh_trainer``: settings -> core -> serve."""

import sys

from groundmesh.server.app import Service, run
from groundmesh.server.settings import load_settings
from groundmesh_trainer.core import Trainer
from groundmesh_trainer.settings import TrainerSettings

HEALTH = ("groundmesh.v1.MeshService",)
"""All that is served until TrainerService is built."""


def main() -> int:
    """Serve until told to stop; the process's exit code."""
    settings = load_settings(TrainerSettings, service="trainer")
    trainer = Trainer(settings.ray_address, start_timeout_s=settings.start_timeout_s)
    service = Service("trainer", engine=trainer, register=lambda _: None, grpc_services=HEALTH)
    return run(service, settings)


if __name__ == "__main__":
    sys.exit(main())
