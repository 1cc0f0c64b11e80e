"""SQuAD's JSON (Rajpurkar et al., arXiv 1606.05250 and 1806.03822) as rows."""

from collections.abc import Iterator
from typing import Any

from groundmesh.errors import InvalidArgument
from groundmesh_trainer.datasets.checking import BadRow, qa_row, text_of
from groundmesh_trainer.datasets.rows import QaRow

Found = tuple[str, QaRow | None, str]
"""Where a question stands in the file, its row, or what is wrong with it."""


def rows_of_squad(value: Any) -> Iterator[Found]:
    """Every question; the articles are its groups."""
    for at, article in _items(value, "data", ""):
        title = article.get("title", at) if isinstance(article, dict) else at
        yield from _of_article(article, at, group=title if isinstance(title, str) else at)


def _of_article(article: Any, at: str, *, group: str) -> Iterator[Found]:
    try:
        paragraphs = list(_items(article, "paragraphs", at))
    except InvalidArgument as bad:
        yield at, None, bad.message
        return
    for place, paragraph in paragraphs:
        try:
            questions = list(_items(paragraph, "qas", place))
            context = text_of(paragraph, "context")
        except (InvalidArgument, BadRow) as bad:
            yield place, None, str(bad)
            continue
        for where, question in questions:
            yield _checked(where, question, context=context, group=group)


def _items(value: Any, field: str, at: str) -> Iterator[tuple[str, Any]]:
    items = value.get(field) if isinstance(value, dict) else None
    if not isinstance(items, list):
        raise InvalidArgument(f"{at or 'the file'} has no list {field}")
    place = f"{at}.{field}" if at else field
    return ((f"{place}[{index}]", item) for index, item in enumerate(items))


def _checked(at: str, question: Any, *, context: str, group: str) -> Found:
    try:
        if not isinstance(question, dict):
            raise BadRow("is no object of fields and values")
        row = qa_row(
            {
                "question": question.get("question"),
                "context": context,
                "answers": [_span(answer, context) for answer in _given(question)],
                "is_impossible": question.get("is_impossible", False),
                "group": group,
            }
        )
    except BadRow as bad:
        return at, None, str(bad)
    return at, row, ""


def _given(question: dict[str, Any]) -> list[Any]:
    answers = question.get("answers", [])
    if not isinstance(answers, list):
        raise BadRow("answers must be a list")
    return answers


def _span(answer: Any, context: str) -> str:
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        raise BadRow("an answer has no text")
    text, start = answer["text"], answer.get("answer_start")
    if not isinstance(start, int) or isinstance(start, bool) or start < 0:
        raise BadRow("an answer has no answer_start")
    if not context.startswith(text, start):
        raise BadRow(f"its answer {text[:40]!r} does not stand at answer_start {start}")
    return str(text)
