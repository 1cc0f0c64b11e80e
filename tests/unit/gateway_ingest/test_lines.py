"""Tables, records, lightweight markup and source code: formats that are made of lines."""

import json

import pytest

from groundmesh.errors import Reason
from tests.documents_by_hand import parsed, refusal


class TestTables:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_the_delimiter_is_found_out(self, delimiter: str) -> None:
        rows = [["name", "age"], ["Ann", "27"], ["Bo", "39"]]
        data = "\n".join(delimiter.join(row) for row in rows).encode()
        assert parsed(data, "a.csv").text == (
            "| name | age |\n| --- | --- |\n| Ann | 27 |\n| Bo | 39 |"
        )

    def test_quoted_cells_may_hold_anything(self) -> None:
        data = 'a,b\n"x, ""y""\nz",2\n'.encode("utf-16")
        assert parsed(data, "a.csv").text.endswith('| x, "y" z | 2 |')

    def test_records_are_paragraphs(self) -> None:
        records = [{"id": 1, "tags": ["a", "b"], "who": {"name": "Zoë"}, "no": None}, "word", [1]]
        data = "\n".join(json.dumps(record) for record in records).encode()
        assert parsed(data, "a.jsonl").text == "id: 1\ntags: a, b\nwho.name: Zoë\n\nword\n\n1"

    def test_a_bad_line_is_named(self) -> None:
        error = refusal(b'{"a": 1}\n{"a": \n', "a.jsonl")
        assert error.reason is Reason.DOCUMENT_DAMAGED
        assert "line 2" in error.message

    @pytest.mark.parametrize("line", ["[" * 100_000, "9" * 10_000])
    def test_a_line_that_breaks_its_parser_is_a_bad_line(self, line: str) -> None:
        assert refusal(line.encode(), "a.jsonl").reason is Reason.DOCUMENT_DAMAGED


class TestSources:
    RST = (
        "=====\nTitle\n=====\n\ntext\n\nPart ``one``\n============\n\n"
        ".. include:: /etc/hostname\n\n"
        "Sub :ref:`x`\n------------\n\n+---+---+\n| a | b |\n+---+---+\n\nnot\n--\n\n標題\n====\n"
    )

    def test_titles_of_restructured_text_are_marks(self) -> None:
        document = parsed(self.RST.encode(), "a.rst")
        assert document.text == self.RST
        assert document.title == "Title"
        assert [mark.place.heading_path for mark in document.marks] == [
            ("Title",),
            ("Title", "Part one"),
            ("Title", "Part one", "Sub x"),
            ("Title", "標題"),
        ]

    def test_headlines_of_org_are_marks(self) -> None:
        source = "#+TITLE: Notes\n* TODO [#A] One :work:\ntext\n** Sub\n*bold* text\n* Two\n"
        document = parsed(source.encode(), "a.org")
        assert (document.text, document.title) == (source, "Notes")
        assert [mark.place.heading_path for mark in document.marks] == [
            ("One",),
            ("One", "Sub"),
            ("Two",),
        ]

    @pytest.mark.parametrize("name", ["a.py", "a.ts", "a.json", "a.yaml", "a.sh", "a.xml", "a.Rs"])
    def test_source_code_is_kept_as_it_is(self, name: str) -> None:
        source = "if x:\n    return {'a': 1}  # ünïcode\n"
        assert parsed(source.encode(), name).text == source
