"""A team's own templates: read from TOML, and what is wrong there said with its place."""

from pathlib import Path

import pytest

from groundmesh.prompting import AnswerStyle, PassageOrder, TemplateError, read_templates

RIGHT = '''
[[templates]]
name = "legal"
version = 2
style = "quotes"
order = "best_last"
system = "You answer from contracts."
passage = """
<source {number}>
Title: {source}
{text}
</source {number}>
"""
question = """
Question: {question}

Quote the contract.
"""

[[templates.examples]]
question = "When does it end?"
answer = "##begin_quote##It ends in May.##end_quote## In May."

[[templates.examples.passages]]
title = "Contract"
text = "It ends in May."

[[templates]]
name = "plain"
version = 1
style = "markers"
system = "Answer."
passage = "Passage {number}: {source}\\n{text}"
question = "Question: {question}"
'''


def written(folder: Path, content: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(content, encoding="utf-8")
    return path


def test_templates_are_read(tmp_path: Path) -> None:
    legal, plain = read_templates(written(tmp_path, RIGHT))
    assert (legal.reference, plain.reference) == ("legal@2", "plain@1")
    assert (legal.style, legal.order) == (AnswerStyle.QUOTES, PassageOrder.BEST_LAST)
    assert (plain.style, plain.order) == (AnswerStyle.MARKERS, PassageOrder.BEST_FIRST)
    assert legal.passage_block(3, source="T", text="x") == ("<source 3>\nTitle: T\nx\n</source 3>")
    assert legal.question_block("Why?") == "Question: Why?\n\nQuote the contract."
    assert legal.examples[0].passages[0].text == "It ends in May."
    assert len(legal.constant_messages) == 3


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('name = "legal"', "name = legal", "is no TOML file: .*line 3"),
        ("version = 2", 'version = "2"', r"templates\[0\]\.version must be a whole number"),
        ("version = 2", "version = true", r"templates\[0\]\.version must be a whole number"),
        ("version = 2", "", r"templates\[0\]\.version must be a whole number"),
        ('"quotes"', '"footnotes"', r"templates\[0\]\.style must be one of markers, quotes"),
        ('"best_last"', '"random"', r"templates\[0\]\.order must be one of best_first, best_last"),
        ('order = "best_last"', 'ordre = "x"', r"templates\[0\]\.ordre is not known"),
        ('"You answer from contracts."', "7", r"templates\[0\]\.system must be a text"),
        ("Question: {question}\n", "Question:\n", r"templates\[0\]\.question must have {question}"),
        ("<source {number}>\nT", "<source>\nT", r"templates\[0\]\.passage must have {number}"),
        (
            'text = "It ends in May."',
            "",
            r"templates\[0\]\.examples\[0\]\.passages\[0\]\.text must",
        ),
        ('title = "Contract"', "page = 3", r"examples\[0\]\.passages\[0\]\.page is not known"),
        ('"It ends in May."', '"It ends."', r"templates\[0\]\.examples\[0\]\.answer quotes what"),
        ("[[templates.examples.passages]]", "[templates.examples.passages]", r"must be tables"),
        ("\n[[templates]]", '\nfile = "x"\n[[templates]]', "file is not known"),
        ('name = "plain"', 'name = "Plain text"', r"templates\[1\]\.name must be of"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    assert right in RIGHT
    path = written(tmp_path, RIGHT.replace(right, wrong, 1))
    with pytest.raises(TemplateError, match=said) as refused:
        read_templates(path)
    assert str(refused.value).startswith(str(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"nowhere\.toml can't be read: No such file"):
        read_templates(tmp_path / "nowhere.toml")
