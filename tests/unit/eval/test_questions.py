"""Files of questions, right and wrong, and the sample that is put of them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from groundmesh.errors import InvalidArgument
from groundmesh.eval.questions import Paragraph, Question, QuestionSet, load
from groundmesh.eval.sample import Kind, halves, sample
from tests.questions_file import squad_file

THIS = {"context": "It is this.", "document": "Guide"}


def lines_file(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def many(articles: int, each: int) -> QuestionSet:
    questions = [
        Question(f"{a}-{n}", "?", ("yes",) if n % 2 else (), f"u{a}", f"a{a}")
        for a in range(articles)
        for n in range(each)
    ]
    paragraphs = [Paragraph(f"u{a}", f"a{a}", "text") for a in range(articles)]
    return QuestionSet("many", tuple(paragraphs), tuple(questions))


def test_squad_is_read(tmp_path: Path) -> None:
    found = load(squad_file(tmp_path / "stones.json"))
    assert found.name == "stones"
    assert found.articles == ["Fruit", "Stone_Age"]
    assert [each.uri for each in found.paragraphs] == [
        "squad:Fruit/0",
        "squad:Stone_Age/0",
        "squad:Stone_Age/1",
    ]
    assert len(found.questions) == 6
    sour, impossible = found.questions[:2]
    assert (sour.answers, sour.gold, sour.article) == (("Apples",), "squad:Fruit/0", "Fruit")
    assert not impossible.is_answerable
    (upload, *_) = (each for each in found.uploads() if "Stone" in each.uri)
    assert (upload.title, upload.metadata) == ("Stone Age", {"article": "Stone_Age"})


def test_lines_are_read(tmp_path: Path) -> None:
    path = lines_file(
        tmp_path / "ours.jsonl",
        {"question": "What?", "answer": "This", **THIS},
        {
            "question": "Why?",
            "answers": ["That", "it"],
            **THIS,
        },
        {"id": "x", "question": "Who?", "is_impossible": True},
        {"question": "Where?", "answers": ["Here"], "document": "file:///there.md"},
    )
    found = load(path)
    assert len(found.paragraphs) == 1
    first, second, third, fourth = found.questions
    assert first.gold == second.gold == found.paragraphs[0].uri
    assert (first.id, third.id, second.answers) == ("1", "x", ("That", "it"))
    assert (third.is_answerable, third.gold) == (False, "")
    assert (fourth.gold, fourth.article) == ("file:///there.md", "")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": " ", "answers": ["a"]}, '"question" is empty'),
        ({"answers": ["a"]}, 'no "question"'),
        ({"question": "?"}, '"answers" must be texts'),
        ({"question": "?", "answers": []}, '"answers" must be texts'),
        ({"question": "?", "answers": [1]}, '"answers" must be texts'),
        ({"question": "?", "answers": ["a"], "is_impossible": 1}, '"is_impossible" must be'),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    path = lines_file(tmp_path / "bad.jsonl", {"question": "?", "answer": "a"}, row)
    with pytest.raises(InvalidArgument, match=said) as caught:
        load(path)
    assert "bad.jsonl, line 2" in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "format of SQuAD"),
        ('{"data": [{"title": "x"}]}', "format of SQuAD"),
        ('{"data": []}', "no question"),
    ],
)
def test_what_is_no_squad_is_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(InvalidArgument, match=said):
        load(tmp_path / "bad.json")


def test_an_id_that_is_there_twice_is_named(tmp_path: Path) -> None:
    row = {"id": "same", "question": "?", "answer": "a"}
    with pytest.raises(InvalidArgument, match="'same'"):
        load(lines_file(tmp_path / "twice.jsonl", row, row))


def test_a_sample_is_always_the_same_and_has_every_kind() -> None:
    dataset = many(articles=4, each=50)
    puts = sample(dataset, limit=50, seed=0)
    assert puts == sample(dataset, limit=50, seed=0) != sample(dataset, limit=50, seed=1)
    kinds = Counter(put.kind for put in puts)
    assert kinds[Kind.ELSEWHERE] == 10
    assert kinds[Kind.ANSWERABLE] + kinds[Kind.IMPOSSIBLE] == 40
    for put in puts:
        assert bool(put.golds) == (put.kind is Kind.ANSWERABLE)
        assert (put.hidden is None) == (put.kind is not Kind.ELSEWHERE)


def test_a_small_sample_is_part_of_a_large_one() -> None:
    dataset = many(articles=4, each=50)
    assert set(sample(dataset, limit=20, seed=0)) <= set(sample(dataset, limit=100, seed=0))


def test_without_a_limit_every_question_is_put_as_it_is() -> None:
    dataset = many(articles=4, each=50)
    puts = sample(dataset, limit=None, seed=0)
    plain = [put.question for put in puts if put.kind is not Kind.ELSEWHERE]
    assert sorted(each.id for each in plain) == sorted(each.id for each in dataset.questions)
    assert len(puts) == 240


def test_where_no_article_can_be_hidden_nothing_is_elsewhere() -> None:
    puts = sample(many(articles=1, each=50), limit=20, seed=0)
    assert len(puts) == 20
    assert Kind.ELSEWHERE not in {put.kind for put in puts}


def test_halves_have_every_article_once() -> None:
    articles = [f"a{n}" for n in range(7)]
    one, other = halves(articles, 0)
    assert sorted([*one, *other]) == articles
    assert (len(one), len(other)) == (3, 4)
