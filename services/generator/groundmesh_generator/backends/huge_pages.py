"""Puts the memory of vLLM's worker into huge pages, where a kernel gives them only on demand.

Each token reads all weights. In pages of 4 KiB the processor looks up where they are more often
than its tables hold; in pages of 2 MiB it does not. Kernels are mostly set to ``madvise``: they
give huge pages to those who ask, and neither torch nor the allocator that vLLM brings does.
"""

import ctypes
import mmap
import time
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

HUGE = 2 * 1024 * 1024
LEAST_BYTES = 4 * HUGE
"""A smaller area holds no weights."""
_MADV_COLLAPSE = 25  # Linux 6.1


class HugePages:
    """Mixed into vLLM's worker by ``worker_extension_cls``; has methods for ``collective_rpc``."""

    def use_huge_pages(self, limit_s: float) -> int:
        """Have new memory put there, and move what is in memory now, as far as the time reaches.

        Returns how many pages were moved.
        """
        madvise, end = _madvise(), time.monotonic() + limit_s
        areas = list(_areas(Path("/proc/self/maps").read_text()))
        for start, stop in areas:
            madvise(start, stop - start, mmap.MADV_HUGEPAGE)
        pages = (page for area in areas for page in range(*area, HUGE))
        in_time = takewhile(lambda _: time.monotonic() < end, pages)
        # One by one: an area may hold some that can't be moved.
        return sum(madvise(page, HUGE, _MADV_COLLAPSE) == 0 for page in in_time)


def _madvise() -> "ctypes._NamedFuncPointer":
    function = ctypes.CDLL(None).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function


def _areas(maps: str) -> Iterator[tuple[int, int]]:
    """The large areas that are this process's own, cut to whole huge pages."""
    for line in maps.splitlines():
        addresses, rights, *_, name = [*line.split(maxsplit=5), ""][:6]
        if rights != "rw-p" or name not in ("", "[heap]"):
            continue
        begin, end = (int(address, 16) for address in addresses.split("-"))
        begin, end = -(-begin // HUGE) * HUGE, end // HUGE * HUGE
        if end - begin >= LEAST_BYTES:
            yield begin, end
