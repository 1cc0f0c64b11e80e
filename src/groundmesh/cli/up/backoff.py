"""How long to wait before a service that died is started again."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BackoffPolicy:
    """Delays that double from ``first_s`` to ``max_s`` until a run was ready for ``healthy_s``."""

    first_s: float = 0.5
    max_s: float = 30.0
    healthy_s: float = 60.0


class Backoff:
    """The delays of one service; it never gives up."""

    def __init__(self, policy: BackoffPolicy) -> None:
        """Begin with the shortest delay."""
        self._policy = policy
        self._next_s = policy.first_s

    def delay_after(self, *, ready_for_s: float) -> float:
        """The wait after a run that was ready for so long, 0 when it never was."""
        if ready_for_s >= self._policy.healthy_s:
            self._next_s = self._policy.first_s
        delay_s = self._next_s
        self._next_s = min(delay_s * 2, self._policy.max_s)
        return delay_s
