"""Files become rows; of bad ones it is said which line is wrong, and why."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundmesh.errors import InvalidArgument
from groundmesh_trainer.datasets.reading import Format, Line, detect, read
from groundmesh_trainer.datasets.rows import (
    ChatRow,
    PromptRow,
    QaRow,
    Row,
    Turn,
    from_json,
    to_json,
)

CHAT = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}
PAIR = {"prompt": "Say ho.", "completion": "ho"}
QA = {"question": "Who?", "context": "It was Ada.", "answer": "Ada"}
SQUAD = {
    "version": "2.0",
    "data": [
        {
            "title": "Bridges",
            "paragraphs": [
                {
                    "context": "The bridge has nine arches.",
                    "qas": [
                        {
                            "question": "How many arches?",
                            "answers": [{"text": "nine", "answer_start": 15}] * 2,
                            "is_impossible": False,
                        },
                        {"question": "Who built it?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
    ],
}


def lines_of(folder: Path, content: bytes, form: Format | None = None) -> list[Line]:
    path = folder / "rows"
    path.write_bytes(content)
    return list(read(path, form or detect(path)))


def jsonl(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


@pytest.mark.parametrize(
    ("value", "row"),
    [
        (CHAT, ChatRow((Turn("user", "Hi"), Turn("assistant", "Ho")))),
        (PAIR, PromptRow("Say ho.", "ho")),
        ({"instruction": "Add.", "input": "1 1", "output": "2"}, PromptRow("Add.\n\n1 1", "2")),
        ({"instruction": "Add.", "response": "2"}, PromptRow("Add.", "2")),
        (QA, QaRow("Who?", "It was Ada.", ("Ada",))),
        (
            {**QA, "answer": ["Ada", "Ada", "A."], "group": "g"},
            QaRow("Who?", "It was Ada.", ("Ada", "A."), "g"),
        ),
        ({"question": "Why?", "context": "It was Ada."}, QaRow("Why?", "It was Ada.", ())),
        ({"question": "Why?", "answer": "So."}, QaRow("Why?", "", ("So.",))),
    ],
)
def test_objects_that_are_rows(tmp_path: Path, value: dict[str, Any], row: Row) -> None:
    assert lines_of(tmp_path, jsonl(value)) == [Line(1, row)]
    assert from_json(to_json(row)) == row


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], "is no object"),
        ({"text": "x"}, "has neither messages, nor prompt"),
        ({"messages": []}, "must be a list"),
        ({"messages": CHAT["messages"][:1]}, "nothing to learn"),
        ({"messages": CHAT["messages"][1:]}, "no message is a user's"),
        ({"messages": [{"role": "judge", "content": "x"}]}, "messages[0].role must be one of"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content must be a text"),
        ({**PAIR, "completion": " "}, "completion is empty"),
        ({**PAIR, "prompt": None}, "prompt must be a text"),
        ({**PAIR, "prompt": "\ud800"}, "a character that is none"),
        ({**PAIR, "prompt": "x" * 1_000_001}, "1000000 are the most"),
        ({"question": "Why?"}, "has neither an answer nor a context"),
        ({**QA, "is_impossible": True}, "and yet has an answer"),
        ({"question": "Why?", "context": "x", "is_impossible": False}, "has no answer"),
        ({**QA, "answer": [1]}, "must be a list of texts"),
    ],
)
def test_objects_that_are_none(tmp_path: Path, value: object, why: str) -> None:
    good, bad, after = lines_of(tmp_path, jsonl(PAIR, value, PAIR), Format.JSONL)
    assert good.row == after.row
    assert (bad.number, after.number) == (2, 3)
    assert bad.row is None
    assert why in bad.problem


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"prompt": "x", ', "is no JSON: Expecting property name"),
        (b'{"prompt": "\xff"}', "is not UTF-8"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"1" * 5_000, "a number is too long"),
        (b'"' + b"x" * (8 << 20) + b'"', "is longer than"),
    ],
)
def test_lines_that_are_no_json(tmp_path: Path, line: bytes, why: str) -> None:
    found = lines_of(tmp_path, b"\n" + line + b"\n" + jsonl(PAIR), Format.JSONL)
    assert [each.number for each in found] == [2, 3]
    assert why in found[0].problem
    assert found[1].row == PromptRow("Say ho.", "ho")


def test_csv(tmp_path: Path) -> None:
    found = lines_of(
        tmp_path,
        b"\xef\xbb\xbfquestion,context,answer,is_impossible\r\n"
        b'Who?,"It was\r\nAda.",Ada,\r\n\r\n'
        b"Why?,It was Ada.,,TRUE\r\n"
        b"Why?,too few\r\n"
        b"Why?,\xff,x,\r\n"
        b'Why?,"a"b,x,\r\n'
        b'Who?,It was Ada.,Ada,"0"\r\n'
        b'Why?,"not closed\r\n',
    )
    assert [(each.number, each.problem) for each in found] == [
        (2, ""),
        (5, ""),
        (6, "has 2 columns; the header has 4"),
        (7, "context has a character that is none, at 0"),
        (8, "is no CSV: ',' expected after '\"'"),
        (9, ""),
        (10, "is no CSV: unexpected end of data"),
    ]
    assert found[0].row == QaRow("Who?", "It was\r\nAda.", ("Ada",))
    assert found[1].row == QaRow("Why?", "It was Ada.", ())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf \n", "the file is empty"),
        (b"a,b\n1,2\n", "line 1: the header ['a', 'b'] has neither"),
        (b"prompt,completion,prompt\n", "names a column twice"),
        (b'"prompt\n', "line 1: the header is no CSV"),
        (b'{"version": "2.0",\n "data": [\n}', "line 3: is no JSON"),
        (b'{"data": ["\xff"]}', "line 1: is not UTF-8"),
        (b'{"data": {}}', "the file has no list data"),
    ],
)
def test_files_that_can_not_be_read(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(InvalidArgument, match=r".") as caught:
        lines_of(tmp_path, content)
    assert why in caught.value.message


def test_squad(tmp_path: Path) -> None:
    rows = [each.row for each in lines_of(tmp_path, json.dumps(SQUAD, indent=1).encode())]
    context = "The bridge has nine arches."
    assert rows == [
        QaRow("How many arches?", context, ("nine",), "Bridges"),
        QaRow("Who built it?", context, (), "Bridges"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"answer_start": 15', '"answer_start": 14', "data[0].paragraphs[0].qas[0]: its answer"),
        ('"answer_start": 15', '"answer_start": "15"', "has no answer_start"),
        ('"qas"', '"questions"', "data[0].paragraphs[0]: data[0].paragraphs[0] has no list qas"),
        ('"paragraphs"', '"parts"', "data[0]: data[0] has no list paragraphs"),
        ('"context"', '"text"', "data[0].paragraphs[0]: has no context"),
    ],
)
def test_squad_with_faults(tmp_path: Path, old: str, new: str, why: str) -> None:
    content = json.dumps(SQUAD).replace(old, new).encode()
    problems = [each.problem for each in lines_of(tmp_path, content) if each.problem]
    assert why in problems[0]


SOUND = {
    Format.JSONL: jsonl(CHAT, PAIR, QA, {**QA, "group": "g"}),
    Format.CSV: b'question,context,answer\nWho?,"It was\nAda.",Ada\nWhy?,It was Ada.,\n',
    Format.SQUAD: json.dumps(SQUAD).encode(),
}


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    content = draw(st.sampled_from([*SOUND.values()]))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        until = draw(st.integers(at, min(len(content), at + 40)))
        put = draw(st.binary(max_size=8) | st.sampled_from([b"\n", b'"', b"{", b"[", b",", b"\0"]))
        content = content[:at] + put + content[until:]
    return content


@settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damaged(), st.sampled_from([None, *Format]))
def test_damaged_files_are_refused_or_read_rightly(
    tmp_path: Path, content: bytes, form: Format | None
) -> None:
    try:
        found = lines_of(tmp_path, content, form)
    except InvalidArgument:
        return
    last = content.count(b"\n") + content.count(b"\r") + 1
    for each in found:
        assert (each.row is None) == bool(each.problem)
        assert 0 <= each.number <= last
        if each.row is not None:
            assert from_json(to_json(each.row)) == each.row
            to_json(each.row).encode()
