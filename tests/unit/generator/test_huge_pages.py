"""Which memory goes into huge pages."""

import mmap
from pathlib import Path

from groundmesh_generator.backends.huge_pages import HUGE, LEAST_BYTES, HugePages, _areas


def test_only_large_memory_of_its_own_is_moved() -> None:
    begin = 7 * HUGE + 4096
    end = begin + LEAST_BYTES + HUGE
    lines = [
        f"{begin:x}-{end:x} rw-p 00000000 00:00 0 ",
        f"{begin:x}-{begin + LEAST_BYTES:x} rw-p 00000000 00:00 0 ",
        f"{begin:x}-{end:x} rw-p 00000000 00:00 0                 [heap]",
        f"{begin:x}-{end:x} rw-p 00000000 fe:00 12   /usr/lib/a library.so",
        f"{begin:x}-{end:x} r--p 00000000 00:00 0 ",
        f"{begin:x}-{end:x} rw-s 00000000 00:01 5    /dev/shm/psm_1 (deleted)",
        f"{begin:x}-{end:x} ---p 00000000 00:00 0 ",
    ]
    assert list(_areas("\n".join(lines))) == [(8 * HUGE, 12 * HUGE)] * 2


def test_memory_keeps_what_is_in_it() -> None:
    with mmap.mmap(-1, 2 * LEAST_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory[:] = bytes(range(256)) * (len(memory) // 256)
        areas = list(_areas(Path("/proc/self/maps").read_text()))
        assert any(end - begin >= LEAST_BYTES for begin, end in areas)
        assert HugePages().use_huge_pages(1.0) >= 0  # an old kernel moves none
        assert memory[:] == bytes(range(256)) * (len(memory) // 256)
