"""Folders in the layout of BEIR: what is read, and how a bad line is named."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundmesh.errors import InvalidArgument
from groundmesh.eval.beir import document_of, load, uri_of
from tests.beir_folder import beir_folder


def test_a_folder_is_read(tmp_path: Path) -> None:
    dataset = load(beir_folder(tmp_path / "fruit"))
    assert dataset.name == "fruit"
    assert dataset.queries == {"q1": "what is sour", "q2": "what is sweet"}
    assert dataset.judgements == {"q1": {"apples": 2, "pears": 0}, "q2": {"pears": 1, "gone": 1}}
    assert (dataset.documents, dataset.blank, dataset.missing) == (3, 1, 1)


def test_documents_are_uploaded_with_their_title_and_text(tmp_path: Path) -> None:
    uploads = list(load(beir_folder(tmp_path)).uploads())
    assert [(document_of(each.uri), each.title, each.content) for each in uploads] == [
        ("apples", "Apples", b"They are sour."),
        ("pears", " ", b"They are sweet."),  # else its URI would be its title
        ("a/b ü", "Title alone", b"Title alone"),
    ]
    assert {each.media_type for each in uploads} == {"text/plain"}


def test_a_split_is_its_own_judgements(tmp_path: Path) -> None:
    folder = beir_folder(tmp_path)
    beir_folder(tmp_path, judgements=[("q2", "pears", 1)], split="train")
    assert set(load(folder, split="train").queries) == {"q2"}
    with pytest.raises(InvalidArgument, match=re.escape(str(folder / "qrels" / "dev.tsv"))):
        load(folder, split="dev")


def test_what_other_tools_write_is_read(tmp_path: Path) -> None:
    folder = beir_folder(tmp_path)
    (folder / "corpus.jsonl").write_bytes(
        b'\xef\xbb\xbf{"_id": 7, "title": null, "text": "line\xe2\x80\xa8separator"}\r\n\r\n'
        b'{"_id": "8", "text": "no title, no line feed"}'
    )
    (folder / "qrels" / "test.tsv").write_text("q1\t7\t1\r\n")  # without names of columns
    dataset = load(folder)
    assert [document_of(each.uri) for each in dataset.uploads()] == ["7", "8"]
    assert dataset.judgements == {"q1": {"7": 1}}


@pytest.mark.parametrize(
    ("at", "content", "what"),
    [
        ("corpus.jsonl, line 2", '{"_id": "a", "text": "x"}\nnot json', "is not JSON"),
        ("corpus.jsonl, line 1", "[]", "must be a JSON object"),
        ("corpus.jsonl, line 1", '{"text": "x"}', 'no "_id"'),
        ("corpus.jsonl, line 1", '{"_id": "", "text": "x"}', '"_id" is empty'),
        ("corpus.jsonl, line 1", '{"_id": true, "text": "x"}', '"_id" must be a text'),
        ("corpus.jsonl, line 1", '{"_id": "a", "text": 1}', '"text" must be a text'),
        ("corpus.jsonl, line 1", '{"_id": "a", "title": "x"}', 'no "text"'),
        ("corpus.jsonl, line 1", '{"_id": "a", "text": "\\ud800"}', "half a character"),
        ("corpus.jsonl, line 1", "[" * 100_000, "is not JSON"),
        (
            "corpus.jsonl, line 2",
            '{"_id": "a", "text": "x"}\n{"_id": "a", "text": ""}',
            "is there above",
        ),
        ("queries.jsonl, line 1", '{"_id": "q1", "text": " "}', '"text" is empty'),
        ("qrels/test.tsv, line 2", "query-id\tcorpus-id\tscore\nq1 apples 1", "with tabs between"),
        ("qrels/test.tsv, line 2", "q1\tapples\t1\nq1\tpears\t0.5", "must be a whole number"),
        ("qrels/test.tsv, line 2", "q1\tapples\t1\nq1\tapples\t2", "another score"),
        ("qrels/test.tsv, line 1", "q9\tapples\t1", "'q9' is not in queries.jsonl"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, at: str, content: str, what: str) -> None:
    folder = beir_folder(tmp_path)
    (folder / at.partition(",")[0]).write_text(content)
    with pytest.raises(InvalidArgument, match=re.escape(f"{folder}/{at}: ")) as bad:
        load(folder)
    assert what in bad.value.message


@pytest.mark.parametrize("file", ["corpus.jsonl", "qrels/test.tsv"])
def test_a_file_with_nothing_in_it_is_named(tmp_path: Path, file: str) -> None:
    folder = beir_folder(tmp_path)
    (folder / file).write_text("\n")
    with pytest.raises(InvalidArgument, match=re.escape(str(folder / file))):
        load(folder)


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"no data set .*corpus\.jsonl"):
        load(tmp_path)


@given(
    file=st.sampled_from(["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"]),
    lines=st.lists(
        st.binary()
        | st.text().map(str.encode)
        | st.builds(
            lambda key, title, text: json.dumps(
                {"_id": key, "title": title, "text": text}
            ).encode(),
            st.text() | st.integers() | st.none(),
            st.text() | st.none(),
            st.text() | st.lists(st.text()),
        ),
        max_size=4,
    ),
)
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_are_read_or_refused_with_their_line(
    tmp_path: Path, file: str, lines: list[bytes]
) -> None:
    folder = beir_folder(tmp_path)
    (folder / file).write_bytes(b"\n".join(lines))
    refused = ""
    try:
        dataset = load(folder)
    except InvalidArgument as error:
        refused = error.message
    if refused:
        assert re.search(rf"{file}(, line \d+: |: no (document|judgement) is in it)", refused) or (
            "is not in queries.jsonl" in refused
        )
    else:
        assert len(list(dataset.uploads())) == dataset.documents


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@settings(deadline=None)
def test_every_document_has_a_uri_of_its_own(document: str) -> None:
    uri = uri_of(document)
    assert document_of(uri) == document
    assert uri.isascii()
    assert " " not in uri


def test_a_stranger_in_the_collection_keeps_its_uri() -> None:
    assert document_of("file:///a%20b.txt") == "file:///a%20b.txt"
