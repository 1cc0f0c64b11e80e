"""No text from outside changes the form of a prompt."""

import re
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh.prompting import (
    NUMBERS,
    QUOTES,
    AnswerStyle,
    GroundedPrompt,
    Message,
    Passage,
    Reserved,
    Role,
    Template,
    TokenBudget,
    build_prompt,
)
from tests.injections import INJECTIONS
from tests.prompt_reader import bare, last_message, read, seen

SPECIAL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<extra>"]


class Frame(NamedTuple):
    """A template, and how a reader knows its lines."""

    template: Template
    passage: re.Pattern[str]
    question: re.Pattern[str]
    others: tuple[str, ...]
    """How its other lines begin, and how often they are there with one passage."""


TAGS = Template(
    name="tags",
    version=3,
    system="Answer.",
    passage="<passage {number}>\nSource: {source}\n{text}\n</passage {number}>",
    question="Task: {question}\nCite passages by [n].",
    style=AnswerStyle.MARKERS,
)
FRAMES = [
    Frame(
        template,
        re.compile(r"passage (\d+):"),
        re.compile(r"question ?:"),
        (reminder,),
    )
    for template, reminder in (
        (NUMBERS, "begin your answer with the number"),
        (QUOTES, "quote the passage between ##begin_quote##"),
    )
] + [
    Frame(
        TAGS,
        re.compile(r"<passage ?(\d+)>"),
        re.compile(r"task ?:"),
        ("source:", "</passage", "cite passages by"),
    )
]
frames = pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.template.name)

PIECES = (
    "Passage", "Passage 2: x", "0" * 20, "Question:", "Begin your answer with the number of",
    "Task:",
    "<passage 2>", "</passage 1>", "Source:", "Cite passages by [n].", "##begin_quote##", "##",
    "begin_quote", "end_quote##", "[1]", "[", "]", "1", "2", ":", " ", "  ", "\n", "\n\n", "\t",
    "\r", "\x85", "\u2028", "\u2029", "\x0b", "\x1c", "\u200b", "\u200d", "\u202e", "\u00ad",
    "\ufeff", "\u0336", "\x00", "\u3164", "Ｑｕｅｓｔｉｏｎ", "：",
    "［", "］", "２", "Q", "uestion", "<|im_start|>",
    "<|im_", "start|>", "<extra>", "<|endoftext|>", "system", "＜", "｜", ">", "#", "*", "é",
    "🍏", ".",
)  # fmt: skip
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=14).map("".join)
passages = st.lists(st.builds(Passage, title=texts, place=texts, text=texts), max_size=4)
histories = st.lists(
    st.builds(Message, st.sampled_from([Role.USER, Role.ASSISTANT]), texts), max_size=3
)


def built(
    frame: Frame, passages: list[Passage], *, question: str = "Why?", history: list[Message]
) -> GroundedPrompt:
    return build_prompt(
        question,
        passages,
        budget=TokenBudget(window=50_000, answer=10),
        count=lambda text: len(text.split()),
        template=frame.template,
        history=history,
        reserved=Reserved(SPECIAL),
    )


def check(
    frame: Frame, given_passages: list[Passage], question: str, history: list[Message]
) -> None:
    prompt = built(frame, given_passages, question=question, history=history)
    content = last_message(prompt.messages, frame.template)
    was_read = read(content, passage=frame.passage, question=frame.question)
    assert was_read.numbers == tuple(range(1, len(given_passages) + 1))
    for passage, text in zip(given_passages, was_read.texts, strict=True):
        assert bare(passage.text) in bare(text)
    assert bare(question) in bare(was_read.question)
    shown = [re.sub(r"^[\s#*_=~|`•+-]+", "", seen(line)) for line in content.splitlines()]
    for other in frame.others:
        of_passages = 1 if other in frame.template.question.lower() else len(given_passages)
        assert sum(line.startswith(other) for line in shown) == of_passages
    foreign = prompt.messages[len(frame.template.constant_messages) :]
    for message in foreign:
        assert not [token for token in SPECIAL if token in message.content]
        own = frame.template.question if message is foreign[-1] else ""
        for tag in ("##begin_quote##", "##end_quote##"):
            assert message.content.count(tag) == own.count(tag)
        assert not re.search(r"\[(?!0\])[0-9][0-9, ]*\]", message.content)


@frames
@pytest.mark.parametrize("tried", INJECTIONS)
def test_no_document_changes_the_form_of_the_prompt(frame: Frame, tried: str) -> None:
    attack = INJECTIONS[tried]
    true = Passage("Guide", "page 3", "So it is.")
    said = [Message(Role.USER, attack), Message(Role.ASSISTANT, attack)]
    check(frame, [Passage(attack, attack, attack), true], attack, said)


@frames
@settings(max_examples=60, deadline=None)
@given(passages, texts, histories)
def test_any_text_reads_back_as_what_was_sent(
    frame: Frame, given_passages: list[Passage], question: str, history: list[Message]
) -> None:
    check(frame, given_passages, question, history)


@frames
@pytest.mark.parametrize("tried", INJECTIONS)
def test_stops_are_not_in_foreign_text(frame: Frame, tried: str) -> None:
    """Else a document could end the answers that repeat it."""
    prompt = built(frame, [Passage("", "", INJECTIONS[tried])], history=[])
    before_question = prompt.messages[-1].content.rpartition("\n\n" + frame.template.question[:4])[
        0
    ]
    assert not [stop for stop in prompt.stops if stop in before_question]


def test_the_suite_is_as_large_as_it_says() -> None:
    assert len(INJECTIONS) >= 40
    assert len(set(INJECTIONS.values())) == len(INJECTIONS)
