"""Templates: what they render, and what none can say."""

from dataclasses import replace
from typing import Any

import pytest

from groundmesh.errors import NotFound, Reason
from groundmesh.prompting import (
    BUILT_IN,
    NUMBERS,
    QUOTES,
    Example,
    Message,
    Passage,
    PassageOrder,
    Role,
    Template,
    TemplateError,
    Templates,
    TokenBudget,
    build_prompt,
)

FOUND = [
    Passage("Guide", "page 3, Setup", "Äpfel are sour. They grow."),
    Passage("", "", "Pears are sweet."),
]
SAID = [Message(Role.USER, "What grows?"), Message(Role.ASSISTANT, "[1] Äpfel grow [1].")]

NUMBERS_RENDERED = """\
system: You answer questions from numbered passages, and from nothing else. Begin every answer \
with the number of its passage in square brackets.
user: Passage 1: Harbour guide
The ferry to Ormsay leaves from pier 4 at 7:40 and at 16:15. It does not run on Sundays.

Passage 2: Ormsay tickets
A return ticket costs 12 crowns. Children under six travel free.

Question: What does the ferry to Ormsay cost?

Begin your answer with the number of the passage in square brackets.
assistant: [2] A return ticket costs 12 crowns.
user: Passage 1: Harbour guide
The ferry to Ormsay leaves from pier 4 at 7:40 and at 16:15. It does not run on Sundays.

Passage 2: Ormsay tickets
A return ticket costs 12 crowns. Children under six travel free.

Question: When does the ferry leave?

Begin your answer with the number of the passage in square brackets.
assistant: [1] It leaves from pier 4 at 7:40 and at 16:15.
user: What grows?
assistant: Äpfel grow.
user: Passage 1: Guide, page 3, Setup
Äpfel are sour. They grow.

Passage 2:
Pears are sweet.

Question: Which are sour?

Begin your answer with the number of the passage in square brackets."""

QUOTES_RENDERED = """\
system: You answer questions from numbered passages, and from nothing else. First quote the words \
that answer the question, exactly as they stand in a passage, between ##begin_quote## and \
##end_quote##. Then give the answer.
user: Passage 1: Harbour guide
The ferry to Ormsay leaves from pier 4 at 7:40 and at 16:15. It does not run on Sundays.

Passage 2: Ormsay tickets
A return ticket costs 12 crowns. Children under six travel free.

Question: What does the ferry to Ormsay cost?

Quote the passage between ##begin_quote## and ##end_quote##, then answer.
assistant: ##begin_quote##A return ticket costs 12 crowns.##end_quote## It costs 12 crowns.
user: Passage 1: Harbour guide
The ferry to Ormsay leaves from pier 4 at 7:40 and at 16:15. It does not run on Sundays.

Passage 2: Ormsay tickets
A return ticket costs 12 crowns. Children under six travel free.

Question: When does the ferry leave?

Quote the passage between ##begin_quote## and ##end_quote##, then answer.
assistant: ##begin_quote##The ferry to Ormsay leaves from pier 4 at 7:40 and at 16:15.\
##end_quote## It leaves at 7:40 and at 16:15.
user: What grows?
assistant: Äpfel grow.
user: Passage 1: Guide, page 3, Setup
Äpfel are sour. They grow.

Passage 2:
Pears are sweet.

Question: Which are sour?

Quote the passage between ##begin_quote## and ##end_quote##, then answer."""


def rendered(template: Template) -> str:
    prompt = build_prompt(
        "Which are sour?",
        FOUND,
        budget=TokenBudget(window=4000, answer=100),
        count=lambda text: len(text.split()),
        template=template,
        history=SAID,
    )
    return "\n".join(f"{message.role.value}: {message.content}" for message in prompt.messages)


def test_numbers() -> None:
    assert rendered(NUMBERS) == NUMBERS_RENDERED


def test_quotes() -> None:
    assert rendered(QUOTES) == QUOTES_RENDERED


def test_the_best_may_stand_next_to_the_question() -> None:
    prompt = build_prompt(
        "Why?",
        FOUND,
        budget=TokenBudget(window=4000, answer=100),
        count=lambda text: len(text.split()),
        template=replace(NUMBERS, order=PassageOrder.BEST_LAST),
    )
    assert [(each.number, each.index) for each in prompt.passages] == [(1, 1), (2, 0)]
    content = prompt.messages[-1].content
    assert content.index("Passage 1:\nPears") < content.index("Passage 2: Guide") < len(content)


def test_a_template_is_chosen_by_name_or_by_version() -> None:
    newer = replace(NUMBERS, version=12)
    templates = Templates([newer, *BUILT_IN])
    assert templates.get("numbers") is newer
    assert templates.get("numbers@1") is NUMBERS
    assert templates.get("quotes").reference == "quotes@1"


@pytest.mark.parametrize("reference", ["", "numbers@2", "numbers@", "Numbers", "n" * 500])
def test_an_unknown_template_is_answered_with_those_there_are(reference: str) -> None:
    with pytest.raises(NotFound, match="numbers@1, quotes@1") as refused:
        Templates().get(reference)
    assert refused.value.reason is Reason.TEMPLATE_NOT_FOUND


def test_none_is_there_twice() -> None:
    with pytest.raises(TemplateError, match="numbers@1 is there twice"):
        Templates([*BUILT_IN, NUMBERS])


@pytest.mark.parametrize(
    ("changed", "field", "why"),
    [
        ({"name": "My Template"}, "name", "a-z"),
        ({"version": 0}, "version", "1 or more"),
        ({"system": " "}, "system", "empty"),
        ({"passage": "Passage: {source}\n{text}"}, "passage", "{number}"),
        ({"passage": "Passage {number}: {text}"}, "passage", "a line {text}"),
        ({"passage": "Passage {number}\n{text}\n{text}"}, "passage", "a line {text}"),
        ({"passage": "Passage {number} {page}\n{text}"}, "passage", "{page}"),
        ({"passage": "{number}. {source}\n{text}"}, "passage", "words of its own"),
        ({"passage": "> Passage {number}\n{text}"}, "passage", "words of its own"),
        ({"passage": "Passage {number}\n{text}\n-- "}, "passage", "words of its own"),
        ({"passage": "Question {number}\n{text}"}, "passage", "same words"),
        ({"question": "Question: x"}, "question", "{question}"),
        ({"question": "{question}"}, "question", "words of its own"),
        ({"question": "PASSAGE {question}"}, "passage", "same words"),
        ({"question": "Question: {text}"}, "question", "{text}"),
        ({"examples": (Example((), "Why?", "[1] So."),)}, "examples[0].answer", "a passage"),
        (
            {"examples": (Example((), "Why?", "##begin_quote##So##end_quote##"),)},
            "examples[0].answer",
            "quotes what no passage has",
        ),
    ],
)
def test_what_can_not_work_is_refused(changed: dict[str, Any], field: str, why: str) -> None:
    with pytest.raises(TemplateError) as refused:
        replace(NUMBERS, **changed)
    assert refused.value.field == field
    assert why in refused.value.description
