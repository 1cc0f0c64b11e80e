"""Analysis: words, stop words, stems, and terms that every store takes whole."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from milvus_lite.analyzer.standard import StandardAnalyzer

from groundmesh_retriever.analysis import LANGUAGES, UNDETERMINED, analyzer, is_language, joined

CODES = [*LANGUAGES, UNDETERMINED]


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        ("en", "The cats aren't running over IL-2 cells", ["cat", "run", "il", "2", "cell"]),
        ("en", "snake_case foo@bar.com 3.14", ["snake", "case", "foo", "bar", "com", "3", "14"]),
        ("en", "ﬁne STRASSE Straße", ["fine", "strass", "strass"]),
        ("de", "Die Häuser der Nachbarn", ["haus", "nachbarn"]),
        ("und", "The cats running", ["the", "cats", "running"]),
        ("en", "", []),
        ("en", "the of and", []),
        ("en", " \n\t —…!?", []),
    ],
)
def test_terms(language: str, text: str, terms: list[str]) -> None:
    assert analyzer(language)(text) == terms


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert analyzer("fr")("cr\u00e8me") == analyzer("fr")("cre\u0300me")


def test_scripts_without_spaces_are_searched_by_pairs() -> None:
    whole, part = analyzer("und")("東京タワーに行く"), analyzer("und")("タワー")
    assert set(part) <= set(whole)
    assert len(whole) == 7


def test_marks_stay_with_their_letters() -> None:
    [word] = analyzer("und")("हिन्दी")
    assert word.startswith("0u")


def test_a_plain_word_never_equals_an_encoded_one() -> None:
    [encoded] = analyzer("und")("é")
    assert analyzer("und")(encoded) != [encoded]


@settings(deadline=None)
@given(st.text(), st.sampled_from(CODES))
def test_terms_are_plain_and_survive_a_store_s_analyzer(text: str, language: str) -> None:
    terms = analyzer(language)(text)
    assert all(re.fullmatch("[a-z0-9]+", term) for term in terms)
    assert StandardAnalyzer().tokenize(joined(terms)) == terms


@settings(deadline=None)
@given(st.text(), st.sampled_from(CODES))
def test_a_text_finds_itself_whatever_its_case(text: str, language: str) -> None:
    assert analyzer(language)(text.casefold()) == analyzer(language)(text)


@settings(deadline=None)
@given(st.lists(st.text("abcdefgh ", min_size=1, max_size=2_000), max_size=80))
def test_joined_terms_fit_and_are_whole(words: list[str]) -> None:
    terms = [word.replace(" ", "") or "x" for word in words]
    line = joined(terms)
    assert len(line) <= 65_535
    kept = line.split()
    assert kept == terms[: len(kept)]


@pytest.mark.parametrize("language", CODES)
def test_every_language_has_what_it_needs(language: str) -> None:
    assert is_language(language)
    assert analyzer(language)("groundmesh 42") != []


def test_other_languages_are_not_known() -> None:
    assert not is_language("xx")
    assert not is_language("")
    assert not is_language("english")
