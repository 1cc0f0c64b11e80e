"""How a text goes on where something was taken out of it.

What stood apart stays apart, and nothing comes together that would be read as a marker or a tag,
which nobody would have checked.
"""

import re

from groundmesh.quotes import BEGIN_QUOTE, END_QUOTE

_TAIL = 32
_BEGINNINGS = "|".join(
    re.escape(tag[:length]) for tag in (BEGIN_QUOTE, END_QUOTE) for length in range(1, len(tag))
)
_BEGUN = re.compile(rf"(?:\[(?:[0-9]{{1,4}}(?:, ?[0-9]{{1,4}})*(?:, ?)?)?|{_BEGINNINGS})\Z")
_CLOSING = ".,;:!?…)]}\"'”’»"


class Seam:
    """Follows a text as it is sent, and closes the gaps in it."""

    def __init__(self) -> None:
        """Nothing was sent yet."""
        self._tail = ""
        self._is_open = self._had_space = self._joins = False

    def cut(self, *, had_space: bool, joins: bool = False) -> None:
        """Something is taken out here, with the space before it.

        With ``joins`` the space after it goes, too, where there is one before it.
        """
        self._is_open = True
        self._had_space = self._had_space or had_space
        self._joins = joins

    def joined(self, text: str) -> str:
        """``text``, which comes next, as it is to be sent; empty when nothing of it is."""
        if self._is_open:
            if self._joins and (not self._tail or self._tail[-1].isspace()):
                text = text.lstrip()
            if text:
                text = self.gap(text[0]) + text
                self._is_open = self._had_space = self._joins = False
        self._tail = (self._tail + text)[-_TAIL:]
        return text

    def gap(self, following: str) -> str:
        """The space, if any, that comes between what was sent and what follows."""
        if not self._is_open:
            return ""
        if _BEGUN.search(self._tail):
            return " "
        before = self._tail[-1:]
        if not before or before.isspace() or following.isspace():
            return ""
        if self._had_space:
            return "" if following in _CLOSING and not self._joins else " "
        are_letters = before.isalnum() and following.isalnum()
        return " " if are_letters and before.isascii() and following.isascii() else ""
