"""What the engine's prefix cache has saved, as the answers say."""

from collections.abc import Mapping


class CacheHits:
    """Counts since the start; their differences are those of a time in between."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self.reset()

    def reset(self) -> None:
        """Begin again."""
        self._prompt_tokens = 0
        self._cached_tokens = 0

    def count(self, *, prompt_tokens: int, cached_tokens: int) -> None:
        """One prompt was read, of which the cache had so many tokens."""
        self._prompt_tokens += prompt_tokens
        self._cached_tokens += cached_tokens

    def figures(self) -> Mapping[str, float]:
        """By name, as ``GetServerInfo`` has them."""
        return {
            "prompt_tokens": float(self._prompt_tokens),
            "cached_prompt_tokens": float(self._cached_tokens),
            "prefix_cache_hit_rate": self._cached_tokens / max(1, self._prompt_tokens),
        }
