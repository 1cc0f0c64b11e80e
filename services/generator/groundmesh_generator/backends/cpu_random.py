"""Random numbers of seeded requests on a processor; imported into vLLM's worker by its extension.

Of a prompt that is read in several steps vLLM throws away what each but the last one has sampled,
and rewinds the request's generator by an offset that only those of GPUs have: on a CPU its engine
died of any seeded request with such a prompt (vLLM 0.32.0).
"""

import torch


class RewindableGenerator(torch.Generator):  # type: ignore[misc]  # torch is read as Any
    """A generator that can be rewound to its beginning, where a prompt's reading leaves it."""

    def get_offset(self) -> int:
        """Nothing is counted."""
        return 0

    def set_offset(self, _offset: int) -> None:
        """Begin again."""
        self.manual_seed(self.initial_seed())


def make_generators_rewindable() -> None:
    """Have this process make such generators from now on."""
    torch.Generator = RewindableGenerator
