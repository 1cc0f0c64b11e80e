"""A model's own "not in the documents", and what only looks like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundmesh.prompting.declining import declines

REFUSALS = (
    "The passages do not answer the question.",
    "[1] The passage does not mention who founded it.",
    "I don't know.",
    "I don\u2019t know.",
    "I'm sorry, but I couldn't find any information about that in the passages.",
    "There is no information about the king in the provided passages.",
    "None of the passages mention the year.",
    "The question cannot be answered from the passages.",
    "Based on the provided context, the answer is not given in the passages.",
    "Unanswerable",
    "No answer.",
    "The provided text does not contain information about this.",
    "##Reason: The context does not provide this.",
    "Unfortunately, the given documents don't say when it opened.",
    "I am not able to answer this question.",
    "The date is not mentioned in the passages.",
    "Sorry. The sources do not specify it.",
    "I found nothing in these documents that answers the question.",
    "Passage 2 does not mention it. It is about ships.",
    "According to the passages, there is no mention of a king in the passages.",
    "**Answer:** I do not know.",
    "The context does not explicitly state when.",
)
ANSWERS = (
    "The treaty does not mention slavery.",
    "The text of the Constitution does not mention God.",
    "The document does not mention slavery.",
    "No, it is not.",
    "Not in 1066 but in 1067.",
    "The passages do not say exactly when, but it was about 1066.",
    "The passages do not mention it. However, passage 2 says 1066.",
    "There is no king in France.",
    "Nobody knows who wrote it.",
    "He did not know the answer.",
    "It is unknown to whom the letter was sent, as the seal is broken.",
    "There is no information desk in the station.",
    "Scientists do not know why.",
    "I did not say that, said the king.",
    "I could not find my keys in the dark.",
    "The mountain passages do not freeze in winter.",
    "Information about the patient is not given to relatives.",
    "The source of the Nile is not in Egypt.",
    "The passage of the law was not mentioned in the newspapers.",
    "He said: I don't know.",
    "In 1066. The passages do not mention the day.",
    "",
    "  ",
    "[1]",
)
WORDS = ("i'm", "sorry,", "in", "based", "on", "the", "passages", "not", "is", "no", "but", "it's")


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_one(text: str) -> None:
    assert declines(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_none(text: str) -> None:
    assert not declines(text)


@given(st.sampled_from([each for each in REFUSALS if ". " not in each]), st.text(max_size=80))
def test_who_goes_on_with_however_has_an_answer(refusal: str, rest: str) -> None:
    assert not declines(f"{refusal.rstrip('.')}. However, {rest}")


@given(st.sampled_from(REFUSALS + ANSWERS), st.sampled_from(("[1] ", "  ", "\n", "**")))
def test_marks_around_it_change_nothing(text: str, mark: str) -> None:
    assert declines(mark + text) == declines(text) == declines(text + mark)


@given(st.text(max_size=60), st.integers(1, 400))
def test_any_text_has_an_answer_at_once(text: str, times: int) -> None:
    """The patterns are tried a bounded number of times; with backtracking this would not end."""
    declines(text * times)


@given(
    st.lists(
        st.sampled_from(
            [
                "i'm",
                "sorry,",
                "in",
                "based",
                "on",
                "the",
                "passages",
                "not",
                "no",
                "is",
                "but",
                "it's",
            ]
        )
    )
)
def test_its_own_words_in_any_order_end_too(words: list[str]) -> None:
    declines(" ".join(words * 20))
