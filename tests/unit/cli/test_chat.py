"""A conversation in a file."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from groundmesh.cli.chat import MOST_BYTES, MOST_MESSAGES, append_turn, newest, read_chat
from groundmesh.client import ChatMessage, Role

SIZES = st.integers(0, 30_000)


@given(st.lists(st.tuples(SIZES, SIZES), max_size=70))
def test_what_is_sent_is_the_newest_of_it_and_never_too_much(turns: list[tuple[int, int]]) -> None:
    messages = [
        ChatMessage(role, "x" * size)
        for turn in turns
        for role, size in zip(Role, turn, strict=True)
    ]
    kept = newest(messages)
    assert len(kept) <= MOST_MESSAGES
    assert sum(len(message.content) for message in kept) <= MOST_BYTES
    assert list(kept) == messages[len(messages) - len(kept) :]
    assert not kept or kept[0].role is Role.USER


def test_a_turn_is_added_after_whatever_is_there(tmp_path: Path) -> None:
    talk = tmp_path / "talk.jsonl"
    talk.write_text('{"role": "user", "content": "grüße"}')  # no line feed: an editor left it out
    append_turn(talk, "a\nb", "c")
    contents = [message.content for message in read_chat(talk)]
    assert contents == ["grüße", "a\nb", "c"]
