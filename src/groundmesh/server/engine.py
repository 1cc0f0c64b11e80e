"""What a service's core offers the chassis. No grpc here: cores import this module."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class EngineInfo:
    """What ``GetServerInfo`` says about an engine; ``load`` holds present figures by name."""

    engine: str
    engine_version: str
    models: tuple[str, ...] = ()
    load: Mapping[str, float] = field(default_factory=dict)


class Engine(Protocol):
    """The life of an engine, crash-only: it is never repaired in place, its process is replaced."""

    async def start(self) -> None:
        """Bring the engine up and make it answer one real call; MeshError says why it can't."""

    async def check(self) -> None:
        """Return when the engine is alive, raise when it is dead; cheap, called every few seconds.

        One failure ends the process (after a drain), so raise for what a restart mends only.
        """

    async def stop(self) -> None:
        """Free what the engine holds; callable at any time and twice, and bounded in time."""

    def describe(self) -> EngineInfo:
        """Name, version, models and present load; never blocks, callable before ``start``."""
        ...
