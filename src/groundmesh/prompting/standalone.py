"""A question of a conversation made stand-alone, so that passages can be found for it."""

import re
from collections.abc import Sequence

from groundmesh.prompting.frame import FrameLine
from groundmesh.prompting.history import Turn, turns_of
from groundmesh.prompting.looks import look
from groundmesh.prompting.messages import Message, Role
from groundmesh.prompting.neutral import Neutral, Reserved, without_citations

STANDALONE_STOPS = ("\n",)
_MOST_TURNS = 4
_MOST_SAID = 400
"""Characters of a message: what a question refers to was said shortly before, and early."""
_MOST_QUESTION = 1_000
_MORE_THAN_ASKED = 200
"""Characters that a stand-alone question may have more than the question."""
_WORDS = re.compile(r"\w+")
_FRAME = tuple(map(FrameLine, ("User:", "Assistant:", "Last question:", "Stand-alone question:")))

_SYSTEM = (
    "You rewrite the last question of a conversation so that it can be understood without the "
    "conversation. Say what its pronouns stand for. Write only the question."
)


def standalone_prompt(
    question: str, history: Sequence[Message], *, reserved: Reserved | None = None
) -> tuple[Message, ...] | None:
    """What to ask a model for the stand-alone question; None for one that is too long for it.

    Each text is one line of the prompt, so none can imitate a line of it.
    """
    if len(question) > _MOST_QUESTION:
        return None
    neutral = Neutral(_FRAME, reserved or Reserved())

    def line(text: str) -> str:
        return neutral.line(text, limit=_MOST_SAID)

    said = [
        Turn(line(turn.user), line(without_citations(turn.assistant))) for turn in _recent(history)
    ]
    return (*_CONSTANT, _request(neutral.line(question, limit=_MOST_QUESTION), said))


def read_standalone(reply: str, question: str, history: Sequence[Message]) -> str | None:
    """The stand-alone question in a model's reply; None where it is none.

    A small model answers the question, repeats an earlier one or goes astray as often as not. So
    it is one line, not much longer, none that was put before, ends as a question where that does,
    has a word of it, and at least half of its words are the conversation's.
    """
    written = reply.strip()
    words, asked = _words(written), _words(question)
    recent = _recent(history)
    earlier = [_words(turn.user) for turn in recent]
    said = asked.union(*earlier, *(_words(turn.assistant) for turn in recent))
    is_sane = (
        "\n" not in written
        and len(written) <= len(question) + _MORE_THAN_ASKED
        and written.endswith("?") >= question.rstrip().endswith("?")
        and bool(words & asked)
        and 2 * len(words & said) >= len(words)
        and words not in earlier
    )
    return written if is_sane else None


def _recent(history: Sequence[Message]) -> list[Turn]:
    """The last turns, and of each a little more than is shown."""
    most = _MOST_SAID + 1
    recent = turns_of(history)[-_MOST_TURNS:]
    return [Turn(turn.user[:most], turn.assistant[:most]) for turn in recent]


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORDS.findall(look(text).lower()))


def _request(question: str, turns: Sequence[Turn]) -> Message:
    said = [f"User: {turn.user}\nAssistant: {turn.assistant}" for turn in turns]
    content = "\n".join((*said, "", f"Last question: {question}", "Stand-alone question:"))
    return Message(Role.USER, content)


_CONSTANT = (
    Message(Role.SYSTEM, _SYSTEM),
    _request(
        "When does it leave?",
        [Turn("Who runs the ferry to Ormsay?", "The harbour company runs the ferry.")],
    ),
    Message(Role.ASSISTANT, "When does the ferry to Ormsay leave?"),
    _request(
        "And for children?",
        [Turn("What does a ticket to Ormsay cost?", "A return ticket costs 12 crowns.")],
    ),
    Message(Role.ASSISTANT, "What does a ticket to Ormsay cost for children?"),
)
