"""The templates that come with Groundmesh.

``docs/adr`` says what was measured. An answer begins with its number, not ends with it: a small
model has forgotten the number by the end of its sentence, and a large one does either. A passage's
heading has no brackets, since a small model that begins with ``[2]`` would go on with the heading.
"""

from groundmesh.prompting.template import AnswerStyle, Example, Passage, Template

_FERRY = (
    Passage(
        "Harbour guide",
        "",
        "The ferry to Ormsay leaves from pier 4 at 7:40 and at 16:15. It does not run on Sundays.",
    ),
    Passage(
        "Ormsay tickets",
        "",
        "A return ticket costs 12 crowns. Children under six travel free.",
    ),
)
_PASSAGE = "Passage {number}: {source}\n{text}"

NUMBERS = Template(
    name="numbers",
    version=1,
    system="You answer questions from numbered passages, and from nothing else. "
    "Begin every answer with the number of its passage in square brackets.",
    passage=_PASSAGE,
    question="Question: {question}\n\n"
    "Begin your answer with the number of the passage in square brackets.",
    style=AnswerStyle.MARKERS,
    examples=(
        Example(
            _FERRY,
            "What does the ferry to Ormsay cost?",
            "[2] A return ticket costs 12 crowns.",
        ),
        Example(
            _FERRY,
            "When does the ferry leave?",
            "[1] It leaves from pier 4 at 7:40 and at 16:15.",
        ),
    ),
)
"""Answers that begin with the number of their passage; made for small and for large models."""

QUOTES = Template(
    name="quotes",
    version=1,
    system="You answer questions from numbered passages, and from nothing else. "
    "First quote the words that answer the question, exactly as they stand in a passage, "
    "between ##begin_quote## and ##end_quote##. Then give the answer.",
    passage=_PASSAGE,
    question="Question: {question}\n\n"
    "Quote the passage between ##begin_quote## and ##end_quote##, then answer.",
    style=AnswerStyle.QUOTES,
    examples=(
        Example(
            _FERRY,
            "What does the ferry to Ormsay cost?",
            "##begin_quote##A return ticket costs 12 crowns.##end_quote## It costs 12 crowns.",
        ),
        Example(
            _FERRY,
            "When does the ferry leave?",
            "##begin_quote##The ferry to Ormsay leaves from pier 4 at 7:40 and at 16:15."
            "##end_quote## It leaves at 7:40 and at 16:15.",
        ),
    ),
)
"""Answers that quote their passage word for word, as a model tuned with RAFT gives them."""

BUILT_IN = (NUMBERS, QUOTES)
DEFAULT_TEMPLATE = NUMBERS
