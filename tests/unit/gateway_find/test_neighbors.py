"""Neighbouring chunks as one passage: offsets exact, order kept, nothing lost."""

import random

from hypothesis import given
from hypothesis import strategies as st

from groundmesh_gateway.finding import FoundPassage
from groundmesh_gateway.finding.neighbors import (
    as_one,
    holds,
    run_bounds,
    runs_of_neighbors,
    spliced,
)
from tests.unit.gateway_find.passages import passage

WORDS = st.text(st.sampled_from("aä€😀b"), min_size=1, max_size=6)
SPACES = st.text(st.sampled_from(" \n\u2003"), min_size=0, max_size=3)


@st.composite
def documents(draw: st.DrawFn) -> tuple[dict[str, bytes], list[FoundPassage]]:
    """Texts cut into chunks as the splitter does, some with overlap; a ranking of some of them."""
    texts: dict[str, bytes] = {}
    chunks: list[FoundPassage] = []
    for name in ("one", "two"):
        text = ""
        spans: list[tuple[int, int]] = []
        for word in draw(st.lists(WORDS, max_size=8)):
            overlap = draw(st.booleans()) and spans
            gap = "" if overlap else draw(SPACES)
            start = (
                spans[-1][0] + (spans[-1][1] - spans[-1][0]) // 2 if overlap else len(text + gap)
            )
            text += gap + word
            spans.append((start, len(text)))
        texts[name] = text.encode()
        for ordinal, (start, end) in enumerate(spans):
            at = len(text[:start].encode())
            chunks.append(passage(text[start:end], document=name, ordinal=ordinal, start_byte=at))
    shuffled = draw(st.permutations(chunks))
    kept = shuffled[: draw(st.integers(0, len(shuffled)))]
    ranked = [
        passage(
            each.passage.text,
            index=index,
            document=each.document,
            ordinal=each.ordinal,
            start_byte=each.start_byte,
            score=1.0 / (index + 1),
            cosine=random.Random(index).random(),
        )
        for index, each in enumerate(kept)
    ]
    return texts, ranked


@given(documents(), st.integers(1, 10))
def test_offsets_are_exact_order_is_kept_and_nothing_is_lost(
    case: tuple[dict[str, bytes], list[FoundPassage]], limit: int
) -> None:
    texts, ranked = case
    runs = runs_of_neighbors(ranked, limit=limit)
    assert len(runs) <= limit
    merged = []
    for run in runs:
        start, end = run_bounds(run)
        text = texts[run[0].document][start:end]
        assert holds(text, run)
        assert spliced(run) in (None, text)
        merged.append(as_one(run, text))
    members = sorted(index for each in merged for index in each.chunks)
    assert members == list(range(len(members)))  # the top of the ranking, each once
    assert len(members) == len(ranked) or len(runs) == limit
    assert [each.score for each in merged] == sorted((each.score for each in merged), reverse=True)
    for each in merged:
        own = [ranked[index] for index in each.chunks]
        assert each.chunks[0] == min(each.chunks)
        assert each.passage.text.encode() == texts[each.document][each.start_byte : each.end_byte]
        assert each.cosine == max(chunk.cosine or 0 for chunk in own)
        first = min(own, key=lambda chunk: (chunk.start_byte, chunk.end_byte))
        assert (each.ordinal, each.passage.place) == (first.ordinal, first.passage.place)
    for one in merged:
        for other in merged:
            if one is not other and one.document == other.document:
                assert one.end_byte < other.start_byte or other.end_byte < one.start_byte


@given(documents())
def test_without_neighbours_nothing_changes(
    case: tuple[dict[str, bytes], list[FoundPassage]],
) -> None:
    _, ranked = case
    apart = [each for each in ranked if each.ordinal % 2 == 0]
    apart = [
        each
        for each in apart
        if not any(
            each is not other
            and each.document == other.document
            and each.start_byte <= other.end_byte
            and other.start_byte <= each.end_byte
            for other in apart
        )
    ]
    runs = runs_of_neighbors(apart, limit=len(apart) or 1)
    assert runs == [[each] for each in apart]


def test_a_chunk_between_two_makes_them_one() -> None:
    left = passage("ab", index=0, ordinal=0, start_byte=0)
    right = passage("ef", index=1, ordinal=2, start_byte=5)
    other = passage("zz", index=2, ordinal=9, start_byte=50)
    middle = passage("cd", index=3, ordinal=1, start_byte=2)
    runs = runs_of_neighbors([left, right, other, middle], limit=3)
    assert [[each.chunks[0] for each in run] for run in runs] == [[0, 3, 1], [2]]
    assert spliced(runs[0]) is None  # a byte is missing between cd and ef
    assert as_one(runs[0], b"abcd ef").passage.text == "abcd ef"


def test_a_text_that_has_changed_is_not_taken_for_the_same() -> None:
    run = [passage("ab", ordinal=0, start_byte=10), passage("cd", ordinal=1, start_byte=13)]
    assert holds(b"ab cd", run)
    assert not holds(b"ab\ncx", run)
    assert not holds(b"", run)


def test_chunks_below_the_cut_are_not_merged_into_what_is_above() -> None:
    first = passage("ab", index=0, ordinal=0, start_byte=0)
    second = passage("zz", index=1, ordinal=7, start_byte=70)
    near_first = passage("cd", index=2, ordinal=1, start_byte=2)
    assert len(runs_of_neighbors([first, second, near_first], limit=1)[0]) == 1
    assert len(runs_of_neighbors([first, second, near_first], limit=2)[0]) == 2
