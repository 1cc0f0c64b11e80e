"""How long the stages of a call took."""

import time
from collections.abc import Mapping
from enum import Enum, auto


class Stage(Enum):
    """A part of a call that is measured."""

    REWRITE = auto()
    EMBED = auto()
    SEARCH = auto()
    RERANK = auto()
    PROMPT = auto()
    FIRST_TOKEN = auto()
    GENERATE = auto()
    CITE = auto()
    TOTAL = auto()


class Stopwatch:
    """Measures the stages of one call, one at a time; the whole counts from its making."""

    def __init__(self) -> None:
        """Start the whole."""
        self._began = self._entered = time.perf_counter()
        self._stage: Stage | None = None
        self._seconds: dict[Stage, float] = {}

    def enter(self, stage: Stage) -> None:
        """End the stage that runs, and begin another."""
        now = time.perf_counter()
        if self._stage is not None:
            self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + now - self._entered
        self._stage, self._entered = stage, now

    def enter_once(self, stage: Stage) -> None:
        """Begin a stage, unless it runs already."""
        if self._stage is not stage:
            self.enter(stage)

    def finish(self) -> Mapping[Stage, float]:
        """End the stage that runs: seconds of each that ran, and of the whole."""
        self.enter(Stage.TOTAL)
        self._seconds[Stage.TOTAL] = self._entered - self._began
        return dict(self._seconds)
