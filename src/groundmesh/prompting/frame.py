"""The lines that stand around foreign text, and what would be taken for one of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from groundmesh.prompting.looks import look

SEPARATOR = "\n\n"
"""Between two passages, and between the last one and the question."""

_PLACE = re.compile(r"\{(\w+)\}")
_MOST_STOP = 60
"""Characters, which tell a line of the frame from all else; a generator takes no long stops."""
_GAP = r"[ \t]*"
_NUMBER = r"(?:[^\n]{0,16}?|[\d \t]*)"
_MARKS = ":.)]>-"
_TELLING = 6
"""Words by which a long line is known."""
# Whatever a line may begin with and still be read as what follows; a quotation mark is what makes
# it harmless.
_ORNAMENT = r"[ \t#*_=~|`•+-]*"
# Who speaks, as chat formats without tokens of their own say it, and the headings of such formats.
_TURNS = (
    r"(?:system|developer|user|human|assistant|instructions?|question|answer|response)\b"
    rf"{_NUMBER}:"
)


@dataclass(frozen=True)
class FrameLine:
    """A line of a frame: words of its own, with places such as ``{number}`` among them."""

    text: str

    @property
    def places(self) -> list[str]:
        """What is put in, in order."""
        return _PLACE.findall(self.text)

    @property
    def words(self) -> str:
        """What it begins with, whatever is put in."""
        return _PLACE.split(self.text, maxsplit=1)[0]

    def filled(self, values: Mapping[str, str]) -> str:
        """The line as it stands in a prompt."""
        return _PLACE.sub(lambda place: values[place[1]], self.text).rstrip()

    def stop(self, number: int) -> str:
        """What a model writes that goes on with this line: its own words, and the number."""
        known = self.text.replace("{number}", str(number))
        return SEPARATOR + FrameLine(known).words[:_MOST_STOP].rstrip()

    def imitation(self) -> str:
        """The pattern of what looks like it, whatever number it says."""
        pieces = _PLACE.split(self.text)
        words, mark = look(pieces[0]).split(), ""
        if len(words) > _TELLING:
            words = words[:_TELLING]
        elif words[-1][-1] in _MARKS:
            words[-1], mark = words[-1][:-1], words[-1][-1]
        elif pieces[1:2] == ["number"]:
            mark = look(pieces[2]).strip()[:1]
        pattern = _GAP.join(map(re.escape, words))
        return f"{pattern}{_NUMBER}{re.escape(mark)}" if mark else pattern


@lru_cache(maxsize=256)
def imitations(lines: Sequence[FrameLine]) -> re.Pattern[str]:
    """What begins a line that would be taken for one of these, or for somebody's turn."""
    known = "|".join((_TURNS, *(line.imitation() for line in lines)))
    return re.compile(rf"^{_ORNAMENT}(?:{known})", re.IGNORECASE | re.MULTILINE)
