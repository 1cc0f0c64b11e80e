"""The one form of a chunk's context."""

from groundmesh.chunk_context import context_of, in_context


def test_parts_stand_in_order_and_once() -> None:
    assert context_of(("Guide", "Guide", "", "Setup"), "Run it.") == "Guide > Setup"


def test_what_the_text_says_itself_is_left_out() -> None:
    assert context_of(("Guide", "Setup"), "## Setup\n\nRun it.") == "Guide"
    assert context_of(("Guide",), "Guide to it") == ""


def test_a_text_without_context_stays_as_it_is() -> None:
    assert in_context("", "Run it.") == "Run it."
    assert in_context("Guide", "Run it.") == "Guide\nRun it."
