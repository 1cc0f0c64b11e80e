"""When a question is not answered: on too little evidence, or because the model says so."""

from collections.abc import Mapping
from enum import Enum, auto

from groundmesh.prompting.declining import declines
from groundmesh_gateway.finding import Found


class Abstention(Enum):
    """Why a question was not answered."""

    NO_PASSAGE = auto()
    """None was found; the model was not asked."""
    LOW_EVIDENCE = auto()
    """None was near enough; the model was not asked."""
    MODEL = auto()
    """It said that the passages don't answer it."""


_SAID = {
    Abstention.NO_PASSAGE: "I found no passage in these documents for this question.",
    Abstention.LOW_EVIDENCE: "I found nothing in these documents that answers the question.",
}


def said_instead(why: Abstention) -> str:
    """What is said where the model is not asked."""
    return _SAID[why]


def evidence(found: Found) -> float | None:
    """The cosine of the question and the passage nearest to it; None: nothing was compared."""
    return max(found.nearest.values(), default=None)


def abstention(
    found: Found, least: Mapping[str, float], *, otherwise: float | None
) -> Abstention | None:
    """Why the model is not to be asked.

    Each collection's nearest passage is held against that collection's own bound, or where it has
    none against ``otherwise``; one that stands is evidence. After a search by words alone there is
    no nearness, and so nothing to hold against a bound.
    """
    if not found.passages:
        return Abstention.NO_PASSAGE
    if not found.nearest:
        return None
    bounds = {name: least.get(name, otherwise) for name in found.nearest}
    stands = any(bound is None or found.nearest[name] >= bound for name, bound in bounds.items())
    return None if stands else Abstention.LOW_EVIDENCE


class Listener:
    """Hears an answer, and tells whether the model declined to give one."""

    _HEARD = 1_000
    """Characters; a refusal comes first."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._text = ""

    def hear(self, text: str) -> None:
        """More of the answer."""
        if len(self._text) < self._HEARD:
            self._text += text

    def abstention(self) -> Abstention | None:
        """At the end of the answer."""
        return Abstention.MODEL if declines(self._text) else None
