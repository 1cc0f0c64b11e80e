"""What is mixed into vLLM's worker on a CPU (``worker_extension_cls``); the worker imports it."""

from groundmesh_generator.backends.cpu_random import make_generators_rewindable
from groundmesh_generator.backends.huge_pages import HugePages

make_generators_rewindable()


class CpuExtension(HugePages):
    """Its memory in huge pages, and random numbers that can be rewound."""
