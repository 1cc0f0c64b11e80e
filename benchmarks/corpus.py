"""Texts of mixed length that every Python has."""

from pydoc_data.topics import topics


def passages(count: int) -> list[str]:
    """Pieces of Python's own reference, of 5 to 180 words."""
    words = " ".join(topics[name] for name in sorted(topics)).split()
    sizes = [5 + (37 * number) % 176 for number in range(count)]
    starts = [(911 * number) % (len(words) - 200) for number in range(count)]
    pieces = zip(starts, sizes, strict=True)
    return [" ".join(words[start : start + size]) for start, size in pieces]
