"""A file becomes two files of rows and a report; the same file the same ones."""

import json
from pathlib import Path

import pytest

from groundmesh.errors import InvalidArgument
from groundmesh_trainer.datasets.making import HELD_OUT, TRAIN, BadLine, Made, MakeOptions, make
from groundmesh_trainer.datasets.rows import PromptRow, Row, from_json


def words(row: Row) -> int:
    return len(row.subject.split())


def made(folder: Path, *lines: str, options: MakeOptions | None = None) -> Made:
    folder.mkdir(exist_ok=True)
    source = folder / "rows.jsonl"
    source.write_text("\n".join(lines), encoding="utf-8")
    return make(source, folder, form=None, options=options or MakeOptions(), tokens=words)


def pair(number: int, *, length: int = 1) -> str:
    prompt = " ".join([f"prompt{number}"] * length)
    return json.dumps({"prompt": prompt, "completion": f"completion {number}"})


def rows_of(path: Path) -> list[Row]:
    return [from_json(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_row_is_on_one_side_and_the_report_is_true(tmp_path: Path) -> None:
    lines = [pair(number) for number in range(40)]
    lines[5:5] = ["", "{", pair(3), json.dumps({"question": "Why?", "answer": "So."})]
    options = MakeOptions(held_out_share=0.25, seed=3, window_tokens=3)
    found = made(tmp_path, *lines, pair(40, length=9), options=options)
    train, held_out = rows_of(tmp_path / TRAIN), rows_of(tmp_path / HELD_OUT)
    assert (found.kind, found.train_rows, found.held_out_rows) == ("prompt", 32, 10)
    assert (len(train), len(held_out)) == (32, 10)
    expected = [PromptRow(f"prompt{number}", f"completion {number}") for number in range(40)]
    assert {*expected} <= {*train, *held_out}
    report = found.report
    assert (report.rows, report.bad, report.duplicates) == (42, 2, 1)
    assert report.bad_lines[0].number == 7
    assert report.bad_lines[1] == BadLine(9, "is a qa row, where the first is a prompt row")
    assert (report.tokens, report.longest_tokens, report.over_window) == (41 * 3 + 11, 11, 1)


def test_the_hash_is_that_of_the_rows_and_their_sides(tmp_path: Path) -> None:
    lines = [pair(number) for number in range(40)]
    first = made(tmp_path / "a", *lines)
    assert made(tmp_path / "b", "", *lines, "").sha256 == first.sha256
    assert made(tmp_path / "c", *lines[1:]).sha256 != first.sha256
    assert made(tmp_path / "d", *lines, options=MakeOptions(seed=1)).sha256 != first.sha256


def test_a_file_without_a_row_is_refused_and_its_lines_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument) as caught:
        made(tmp_path, "{}", *["{"] * 200)
    assert "line 1: has neither messages" in caught.value.message
    assert len(caught.value.fields) == 100
    assert caught.value.fields[99].field == "line 100"
