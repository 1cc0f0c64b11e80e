"""The whole mesh: starts its services, and stops callers before what they call."""

import asyncio
from collections.abc import Sequence

from groundmesh.cli.up.keeper import Keeper
from groundmesh.cli.up.status import State, Status


class Supervisor:
    """Runs keepers until ``stop`` is set. Whatever ends it, no service is left behind."""

    def __init__(self, keepers: Sequence[Keeper], *, stop: asyncio.Event) -> None:
        """The order of the keepers is that of starting."""
        self._keepers = tuple(keepers)
        self._by_name = {keeper.spec.name: keeper for keeper in keepers}
        self._stop = stop

    @property
    def statuses(self) -> tuple[Status, ...]:
        """Every service now, in the order of starting."""
        return tuple(keeper.status for keeper in self._keepers)

    @property
    def ready(self) -> bool:
        """Whether every service is ready now."""
        return all(status.state is State.READY for status in self.statuses)

    def latest_line(self, name: str) -> str:
        """The newest line of a service's log, empty when it has printed nothing yet."""
        return "".join(self._by_name[name].log.tail(1))

    async def run(self) -> None:
        """Keep all running until ``stop``, then stop callers first; when cancelled, kill all."""
        async with asyncio.TaskGroup() as group:
            running = {
                keeper.spec.name: group.create_task(keeper.run()) for keeper in self._keepers
            }
            await self._stop.wait()
            for keeper in self._keepers:
                group.create_task(self._stop_in_turn(keeper, running))

    async def _stop_in_turn(self, keeper: Keeper, running: dict[str, asyncio.Task[None]]) -> None:
        """Stop a service once all that call it have stopped."""
        callers = [
            running[other.spec.name]
            for other in self._keepers
            if keeper.spec.name in other.spec.calls
        ]
        if callers:
            await asyncio.wait(callers)
        keeper.stop()
