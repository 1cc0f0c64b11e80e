"""How long prompts take to be read, estimated from how fast this engine has read others."""

HEADROOM = 2.0
"""The engine may become so many times faster than it ever was: others leave the machine, or it was
measured while it was busy. What can't be in time even then, can't."""

LEAST_TOKENS = 64
"""A shorter reading is mostly the cost of a step and says little of the speed."""

_KEPT = 0.9
"""What a reading leaves of the weight of those before it: the last ten count."""


class Pace:
    """Learned from readings; without any it expects no time at all, and so refuses nothing."""

    def __init__(self) -> None:
        self._best = 0.0
        self._tokens = 0.0
        self._seconds = 0.0

    @property
    def tokens_per_s(self) -> float:
        """Of late, what the prefix cache gave back included; 0 when nothing is known."""
        return self._tokens / self._seconds if self._seconds > 0 else 0.0

    def learn_one(self, *, tokens: int, seconds: float) -> None:
        """One prompt took so long, of which so many tokens were computed."""
        if tokens >= LEAST_TOKENS and seconds > 0:
            self._best = max(self._best, tokens / seconds)

    def learn_flow(self, *, tokens: int, seconds: float) -> None:
        """So many tokens were read since the last ones were, or since there was something to read.

        Several prompts that are read in one step: the first has the time, the others none.
        """
        self._tokens = self._tokens * _KEPT + tokens
        self._seconds = self._seconds * _KEPT + max(0.0, seconds)

    def expected_s(self, tokens: int) -> float:
        """How long it takes to read so many tokens, as things went of late."""
        return tokens / self.tokens_per_s if self.tokens_per_s else 0.0

    def least_s(self, tokens: int) -> float:
        """How long it takes at the very least to compute so many."""
        return tokens / (self._best * HEADROOM) if self._best else 0.0
