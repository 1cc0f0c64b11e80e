"""Who goes when room is needed: the least recently used of those that nobody uses."""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass
class _Kept:
    size: int
    users: int = 0


class LruBudget(Generic[K]):
    """Things of known size, together never more than ``capacity``. It does no work itself."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._kept: OrderedDict[K, _Kept] = OrderedDict()  # the least recently used first

    def __contains__(self, key: K) -> bool:
        return key in self._kept

    def __iter__(self) -> Iterator[K]:
        return iter(self._kept)

    @property
    def used(self) -> int:
        """The size of all together."""
        return sum(kept.size for kept in self._kept.values())

    def victims(self, size: int) -> list[K] | None:
        """Whom to remove so that ``size`` more fit, the least recently used first.

        None while that needs one that is in use, or can't be at all.
        """
        chosen: list[K] = []
        over = self.used + size - self.capacity
        for key, kept in self._kept.items():
            if over <= 0:
                break
            if not kept.users:
                chosen.append(key)
                over -= kept.size
        return chosen if over <= 0 else None

    def idle(self) -> K | None:
        """The least recently used that nobody uses; None when all are in use."""
        return next((key for key, kept in self._kept.items() if not kept.users), None)

    def add(self, key: K, size: int) -> None:
        """Count a new one, as used just now; ``victims`` has made room."""
        if key in self._kept or self.used + size > self.capacity:
            raise ValueError(f"{key} is counted already, or there is no room for it")
        self._kept[key] = _Kept(size)

    def remove(self, key: K) -> None:
        """Count it no more, used or not."""
        self._kept.pop(key, None)

    def hold(self, key: K) -> None:
        """Use it: it stays until it was released as often."""
        self._kept[key].users += 1
        self._kept.move_to_end(key)

    def release(self, key: K) -> None:
        """End a use; of one that was removed in the meantime, nothing."""
        if kept := self._kept.get(key):
            kept.users -= 1
            self._kept.move_to_end(key)
