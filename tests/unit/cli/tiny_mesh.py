"""A mesh of two tiny programs under the real supervisor: ``python -m tests.unit.cli.tiny_mesh``."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from groundmesh.cli.output import console
from groundmesh.cli.up.run import supervise
from groundmesh.cli.up.view import PlainView
from groundmesh.lifetime import tied
from tests.unit.cli.services import IGNORES_SIGTERM, READY_THEN_SLEEP, Workshop

# A grandchild that ties itself to its parent, as the children of every engine do.
FORKS_TIED = (
    "from groundmesh.lifetime import tied;"
    "child = subprocess.Popen(tied([sys.executable, '-c', 'import time; time.sleep(600)']));"
    f" print('grandchild', child.pid, flush=True); {READY_THEN_SLEEP}"
)


async def main(folder: Path, store: str) -> None:
    stop = asyncio.Event()
    view = PlainView(console(), welcome="welcome", gone=stop.set)
    workshop = Workshop(folder, reporter=view)
    keepers = [
        workshop.keeper("store", store),
        workshop.keeper("gateway", FORKS_TIED, calls=["store"], on_line=view.say),
    ]
    for keeper in keepers:
        keeper.spec = replace(keeper.spec, command=tied(keeper.spec.command))
    await supervise(keepers, view=view, stop=stop)


if __name__ == "__main__":
    asyncio.run(
        main(Path(sys.argv[1]), IGNORES_SIGTERM if "--stubborn" in sys.argv else READY_THEN_SLEEP)
    )
