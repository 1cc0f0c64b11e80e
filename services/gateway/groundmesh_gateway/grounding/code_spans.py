"""Whether a growing Markdown text is inside code, where brackets mean something else."""

_FENCE = 3


class CodeSpans:
    """Follows back-ticks: fences of three or more, and spans of fewer within a line."""

    def __init__(self) -> None:
        """Outside of code."""
        self._fence = 0
        self._span = 0
        self._run = 0

    def advance(self, text: str) -> None:
        """More of the text."""
        for piece in text.split("`")[:-1]:
            self._plain(piece)
            self._run += 1
        self._plain(text.rpartition("`")[2])

    @property
    def is_inside(self) -> bool:
        """Whether what comes next, if it is no back-tick, is code."""
        fence, span = self._after_run()
        return bool(fence or span)

    def _plain(self, text: str) -> None:
        if not text:
            return
        self._fence, self._span = self._after_run()
        self._run = 0
        if "\n" in text:
            self._span = 0

    def _after_run(self) -> tuple[int, int]:
        """The states once the row of back-ticks that was read last is complete."""
        if self._run >= _FENCE and not self._span:
            if not self._fence:
                return self._run, 0
            return (0, 0) if self._run >= self._fence else (self._fence, 0)
        if self._run and not self._fence:
            if not self._span:
                return 0, self._run
            return 0, 0 if self._run == self._span else self._span
        return self._fence, self._span
