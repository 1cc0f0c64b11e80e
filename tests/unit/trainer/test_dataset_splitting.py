"""Splits are the same for the same seed, of the size asked for, and never let a text leak."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh_trainer.datasets.rows import PromptRow, QaRow, Row
from groundmesh_trainer.datasets.splitting import NEAR, near_pairs, overlap, shingles_of, split

WORDS = [f"word{number}" for number in range(400)]


def text(seed: int, words: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def altered(original: str, at: int) -> str:
    words = original.split()
    words[at % len(words)] = "other"
    return " ".join(words)


rows = st.lists(
    st.builds(
        lambda which, group, change: QaRow(
            question=f"What is {change}?",
            context=text(which) if change % 3 else altered(text(which), change),
            answers=("x",),
            group=group,
        ),
        st.integers(0, 8),
        st.sampled_from(["", "", "a", "b"]),
        st.integers(0, 50),
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None, max_examples=40)
@given(rows, st.sampled_from([0.0, 0.1, 0.3, 0.5]), st.integers(0, 3))
def test_no_text_and_no_group_is_on_both_sides(made: list[Row], share: float, seed: int) -> None:
    held_out = split(made, held_out_share=share, seed=seed).held_out
    sides = list(zip(made, held_out, strict=True))
    learned = [row for row, is_out in sides if not is_out]
    out = [row for row, is_out in sides if is_out]
    assert not {row.group for row in learned if row.group} & {row.group for row in out}
    for one in out:
        for other in learned:
            assert overlap(shingles_of(one.subject), shingles_of(other.subject)) < NEAR
    assert len(out) <= round(len(made) * share)
    assert split(made, held_out_share=share, seed=seed).held_out == held_out


def test_the_share_is_reached_where_rows_are_apart_and_the_seed_draws() -> None:
    made = [PromptRow(text(number), "done") for number in range(200)]
    drawn = [split(made, held_out_share=0.1, seed=seed).held_out for seed in (1, 2)]
    assert [sum(each) for each in drawn] == [20, 20]
    assert drawn[0] != drawn[1]


def test_a_change_of_a_word_makes_a_duplicate_and_another_question_none() -> None:
    context = text(1)
    made: list[Row] = [
        QaRow("Who built it?", context, ("x",)),
        QaRow("who built it", altered(context, 7), ("x",)),
        QaRow("When?", context, ("y",)),
        PromptRow(text(2), "done"),
    ]
    assert split(made, held_out_share=0.5, seed=0).duplicates == 1


@pytest.mark.parametrize("seed", range(3))
def test_near_pairs_are_found_and_others_are_not(seed: int) -> None:
    draw = random.Random(seed)
    originals = [text(1000 * seed + number) for number in range(100)]
    copies = [altered(original, draw.randrange(60)) for original in originals]
    found = set(near_pairs([*originals, *copies]))
    near = {
        (number, number + 100)
        for number, (one, other) in enumerate(zip(originals, copies, strict=True))
        if overlap(shingles_of(one), shingles_of(other)) >= NEAR
    }
    assert found == near
    assert len(near) > 90


def test_texts_without_words_are_no_trouble() -> None:
    made = [PromptRow("?", "!"), PromptRow("…", "—"), PromptRow("a", "b")]
    assert split(made, held_out_share=0.5, seed=0).held_out.count(True) <= 2
