"""What a worker process may take for one document."""

from dataclasses import dataclass

STARVED_EXIT_CODE = 77
"""Of a worker that met its memory limit in Python; native libraries abort instead."""


@dataclass(frozen=True)
class WorkerLimits:
    """Past these, the document fails, its worker is replaced, and nothing else is hurt."""

    timeout_s: float
    """For one document, from the moment a worker has it."""
    timeout_per_mib_s: float
    """And this for each MiB of it: a hang in a small one shows early, a large one has its time."""
    memory_bytes: int
    """Address space of a worker beyond what it has when it is ready."""
    max_text_bytes: int
    """UTF-8 bytes of extracted text."""
    jobs_per_worker: int = 500
    """Then it is replaced: what parsers leak and fragment must not add up."""

    def timeout_for(self, size_bytes: int) -> float:
        """The seconds that a document of this size may take."""
        return self.timeout_s + self.timeout_per_mib_s * size_bytes / 2**20
