"""What processes hold now, to see that it is no more later."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Footprint:
    """Memory and open descriptors of some processes together."""

    rss_bytes: int
    descriptors: int

    @classmethod
    def of(cls, processes: Sequence[psutil.Process]) -> "Footprint":
        """Measure them now."""
        gc.collect()
        return cls(
            sum(process.memory_info().rss for process in processes),
            sum(process.num_fds() for process in processes),
        )

    def assert_flat_since(self, before: "Footprint", *, rss_bytes: int, descriptors: int) -> None:
        """No more than these above ``before``: caches and allocators breathe, leaks add up."""
        assert self.descriptors <= before.descriptors + descriptors, (before, self)
        assert self.rss_bytes <= before.rss_bytes + rss_bytes, (before, self)
