"""What the supervisor tells about the services: values, made by keepers and shown by a view."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class State(StrEnum):
    """Where a service is in its life, in the words that a person is shown."""

    STARTING = "starting"
    READY = "ready"
    NOT_READY = "not ready"
    """It was ready, its process lives, and it does not say so any more."""
    RESTARTING = "restarting"
    """It died, and waits before it is started again."""
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Status:
    """One service now. Times are those of ``time.monotonic``."""

    name: str
    address: str
    state: State
    since: float
    pid: int | None = None
    restarts: int = 0


@dataclass(frozen=True)
class Failure:
    """Why a run of a service ended that nobody had asked to end."""

    name: str
    how: str
    log_tail: tuple[str, ...]
    log: Path
    retry_in_s: float
    again: bool
    """Whether the run before ended just so, with the same last lines."""


class Reporter(Protocol):
    """Is told of everything that a person wants to know, in order; it must not block."""

    def changed(self, status: Status, *, before: Status) -> None:
        """A service went from one state to another."""

    def failed(self, failure: Failure) -> None:
        """A service died, or never came up; it will be started again."""

    def was_killed(self, name: str, after_s: float) -> None:
        """A service did not stop when asked to, and was killed."""
