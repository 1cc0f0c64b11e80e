"""What stands word for word in a text, and where."""

import unicodedata
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from groundmesh.quotes import QuotableText, count_words, normalised


def found(text: str, quote: str) -> list[str]:
    return [text[start:end] for start, end in QuotableText(text).places(quote)]


@pytest.mark.parametrize(
    ("text", "quote", "expected"),
    [
        ("The ferry leaves at 7.", "ferry leaves", ["ferry leaves"]),
        ("The ferry\n  leaves\u00a0at 7.", "ferry leaves at", ["ferry\n  leaves\u00a0at"]),
        ("“It’s here” – she said", '"It\'s here" - she', ["“It’s here” – she"]),
        ("It's so", "It’s so", ["It's so"]),
        ("ex\u00adam\u200bple text", "example text", ["ex\u00adam\u200bple text"]),
        ("\u00adone\u00ad two\u00ad", "one two", ["one\u00ad two"]),
        ("an eﬃcient way…", "efficient way...", ["eﬃcient way…"]),
        ("caf\u0065\u0301 noir", "café noir", ["caf\u0065\u0301 noir"]),
        ("한국어 문장", unicodedata.normalize("NFD", "한국어"), ["한국어"]),
        (unicodedata.normalize("NFD", "한국어 문장"), "한국어 문장", ["한국어 문장"]),
        ("see [12] or <|a|>", "see [ 12] or < |a|>", ["see [12] or <|a|>"]),
        ("A to A", "A", ["A", "A"]),
        ("aa aa aa", "aa aa", ["aa aa", "aa aa"]),
        ("轮渡七点从四号码头开出。", "四号码头", ["四号码头"]),
    ],
)
def test_what_only_looks_otherwise_is_the_same(text: str, quote: str, expected: list[str]) -> None:
    same = [unicodedata.normalize("NFC", each) for each in expected]
    assert [unicodedata.normalize("NFC", each) for each in found(text, quote)] == same


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("The ferry leaves.", "the ferry"),  # case
        ("a bathe catalog", "the cat"),  # inside words
        ("It costs 3.12 crowns", "12 crowns"),
        ("It costs 12,000 crowns", "costs 12"),
        ("It costs 12 crowns", "It costs 13 crowns"),
        ("10² of them", "102 of them"),
        ("the eﬃcient", "the ef"),  # half of a ligature
        ("so on… and", "so on."),
        ("some text", ""),
        ("some text", " \u00ad "),
    ],
)
def test_what_is_not_the_same(text: str, quote: str) -> None:
    assert not found(text, quote)


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("- …", 0), ("the pier", 2), ("It's 7:40", 4), ("四号 pier", 3)]
)
def test_words(text: str, count: int) -> None:
    assert count_words(text) == count


FORMS: list[Literal["NFC", "NFD"]] = ["NFC", "NFD"]
texts = st.text(
    st.sampled_from("ab A.,-–’'…ﬃ12 \n\t\u00ad\u200b[<éeıi가\u1100\u1161\u11a8\u0301\u0323Å四码")
    | st.characters(exclude_categories=["Cs"]),
    max_size=40,
)


@given(texts, st.data())
@example("a e\u0323\u0301 b", None)
def test_a_place_says_the_same(text: str, data: st.DataObject | None) -> None:
    cuts = data.draw(st.tuples(*[st.integers(0, len(text))] * 2)) if data else (2, 5)
    quote = text[min(cuts) : max(cuts)]
    for start, end in QuotableText(text).places(quote):
        assert normalised(text[start:end]) == normalised(quote) != ""


@given(st.text(st.sampled_from("ab AÅé1’–\n "), max_size=30), st.sampled_from(FORMS))
def test_every_part_between_spaces_is_found(text: str, form: Literal["NFC", "NFD"]) -> None:
    source = unicodedata.normalize(form, text)
    words = source.split()
    for first in range(len(words)):
        quote = " ".join(words[first : first + 3])
        assert found(source, quote), quote


def test_long_texts_take_a_time_in_proportion() -> None:
    long = QuotableText("a" * 20_000)
    assert not list(long.places("a" * 10))
    assert list(QuotableText("ab " * 50_000).places("ab " * 50_000)) == [(0, 149_999)]
