"""What is embedded of a chunk: its text in its context, and never more than the model reads."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundmesh_gateway.preparing import Job, Prepared, prepare
from groundmesh_gateway.splitting import Contexts, HubTokenCounter, Span, Splitting
from tests import tokenizer_files

COUNTERS = {
    "wordpiece": HubTokenCounter(tokenizer_files.wordpiece()),
    "byte_level": HubTokenCounter(tokenizer_files.byte_level()),
    "metaspace": HubTokenCounter(tokenizer_files.metaspace()),
}

words = st.text(alphabet="abcdefgh.,-'äö字😀", min_size=1, max_size=9).filter(str.strip)
lines = st.lists(words, min_size=1, max_size=12).map(" ".join)
headings = st.builds(lambda depth, line: f"\n\n{'#' * depth} {line}\n\n", st.integers(1, 4), lines)
markdown = st.lists(st.one_of(lines, lines, headings), min_size=1, max_size=12).map("\n".join)


def prepared(
    text: str,
    *,
    title: str = "",
    max_tokens: int = 60,
    counter: str = "wordpiece",
    media_type: str = "text/markdown",
) -> Prepared:
    job = Job(
        uri="a",
        media_type=media_type,
        title=title,
        splitting=Splitting(max_tokens, max_tokens // 8),
        passage_prompt="",
        model_tokens=max_tokens,
        max_text_bytes=1 << 20,
    )
    return prepare(job, text.encode(), COUNTERS[counter])


def passages(made: Prepared) -> list[str]:
    return [made.passage_of(chunk) for chunk in made.chunks()]


@pytest.mark.parametrize("name", COUNTERS)
@settings(max_examples=100, deadline=None)
@given(text=markdown, title=st.one_of(st.just(""), lines), max_tokens=st.integers(12, 90))
def test_context_changes_neither_text_nor_order_and_fits_the_model(
    name: str, text: str, title: str, max_tokens: int
) -> None:
    made = prepared(text, title=title, max_tokens=max_tokens, counter=name)
    chunks = list(made.chunks())
    covered = bytearray(len(made.text))
    for chunk in chunks:
        own = made.text[chunk.start_byte : chunk.end_byte].decode()
        passage = made.passage_of(chunk)
        assert passage == (f"{chunk.context}\n{own}" if chunk.context else own)
        assert "\n" not in chunk.context
        assert COUNTERS[name].counts([passage])[0] <= max_tokens
        assert COUNTERS[name].counts([own]) == [chunk.tokens]
        covered[chunk.start_byte : chunk.end_byte] = b"x" * (chunk.end_byte - chunk.start_byte)
    for one, other in pairwise(chunks):
        assert one.start_byte < other.start_byte
        assert one.end_byte < other.end_byte
    left = bytes(byte for byte, seen in zip(made.text, covered, strict=True) if not seen)
    assert not left.decode().strip()


def test_the_context_is_the_title_and_the_headings_above() -> None:
    text = "# Fruit\n\n## Apples\n\nThey are sour.\n\n### Storing\n\nKeep them cool."
    made = prepared(text, title="Handbook", max_tokens=60)
    contexts = {
        made.text[chunk.start_byte : chunk.end_byte].decode(): chunk.context
        for chunk in made.chunks()
    }
    # The context takes a quarter at most; headings that a chunk begins with are not said again.
    assert contexts["# Fruit\n\n## Apples\n\nThey are sour."] == "Handbook"
    roomy = prepared(text + "\n\nAnd dry, and dark. " * 20, title="Handbook", max_tokens=240)
    assert list(roomy.chunks())[-1].context == "Handbook > Fruit > Apples > Storing"


def test_a_document_s_own_title_stands_where_none_is_given() -> None:
    text = "# Fruit\n\n" + "Apples are sour. " * 20
    made = prepared(text, max_tokens=60)
    assert passages(made)[0].startswith("# Fruit\n\nApples")
    assert passages(made)[-1].startswith("Fruit\n")
    given = prepared(text, title="Berries", max_tokens=80)
    assert passages(given)[-1].startswith("Berries > Fruit\n")


def test_nothing_is_added_where_nothing_is_known() -> None:
    made = prepared("Apples are sour. " * 20, media_type="text/plain")
    assert {chunk.context for chunk in made.chunks()} == {""}


def test_a_long_title_takes_no_more_than_its_share() -> None:
    made = prepared("sour. " * 100, title="word " * 500, max_tokens=60, media_type="text/plain")
    for chunk in made.chunks():
        assert 0 < len(chunk.context.split()) <= (60 - 2) // 4 / len("word")
        assert chunk.context.split()[0] == "word"  # cut between words


def test_the_subject_and_the_nearest_heading_stay_longest() -> None:
    counter = COUNTERS["wordpiece"]
    path = ("Volume one", "Chapter two", "Near")
    contexts = Contexts("Book", [(5, path)], counter=counter, most_tokens=20)
    found = contexts.of("text, text", iter([Span(0, 4, 6), Span(6, 10, 6)]), max_tokens=60)
    assert [context for _, context in found] == ["Book", "Book > Chapter two > Near"]
    assert (contexts.tokens(0), contexts.tokens(6)) == (4, 20)
