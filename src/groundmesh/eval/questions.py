"""Questions with gold answers: SQuAD's JSON (1.1 and 2.0), or JSON Lines of one's own."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard
from urllib.parse import quote

from groundmesh.client import Upload
from groundmesh.errors import InvalidArgument
from groundmesh.eval.lines import JsonLine, json_lines

ARTICLE = "article"
"""The field of a paragraph's metadata that says of which article it is."""

_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class Paragraph:
    """A piece of text that answers questions: one document of the collection."""

    uri: str
    article: str
    text: str


@dataclass(frozen=True)
class Question:
    """A question, and what is right."""

    id: str
    text: str
    answers: tuple[str, ...]
    """Any of them is right; none: the documents don't answer it."""
    gold: str
    """The URI of the paragraph, or document, that it is about; empty: not known."""
    article: str
    """Of that paragraph; empty: not known."""

    @property
    def is_answerable(self) -> bool:
        """Whether the documents answer it."""
        return bool(self.answers)


@dataclass(frozen=True)
class QuestionSet:
    """Questions, and the paragraphs that they are about."""

    name: str
    paragraphs: tuple[Paragraph, ...]
    """Empty where the questions are about documents that are there already."""
    questions: tuple[Question, ...]

    @property
    def articles(self) -> list[str]:
        """The articles that paragraphs are of, each once."""
        return list(dict.fromkeys(each.article for each in self.paragraphs))

    def uploads(self) -> Iterator[Upload]:
        """The paragraphs, as an ingestion takes them."""
        for each in self.paragraphs:
            yield Upload(
                each.uri,
                each.text.encode(),
                media_type="text/plain",
                title=each.article.replace("_", " ") or " ",  # of none, the URI's end would be one
                metadata={ARTICLE: each.article},
            )


def load(path: Path) -> QuestionSet:
    """Read a file through.

    Raises:
        InvalidArgument: it is no such file; the message says what is wrong, and where.
    """
    if not path.is_file():
        raise InvalidArgument(f"{path}: there is no such file of questions")
    read = _of_lines if path.suffix.lower() in _LINES else _of_squad
    found = read(path)
    if not found.questions:
        raise InvalidArgument(f"{path}: no question is in it")
    ids = [question.id for question in found.questions]
    if len(set(ids)) < len(ids):
        twice = next(each for each in ids if ids.count(each) > 1)
        raise InvalidArgument(f"{path}: two questions have the id {twice!r}")
    return found


def _of_squad(path: Path) -> QuestionSet:
    try:
        articles = json.loads(path.read_bytes())["data"]
        paragraphs, questions = [], []
        for article in articles:
            for number, wire in enumerate(article["paragraphs"]):
                uri = f"squad:{quote(article['title'], safe='')}/{number}"
                paragraphs.append(Paragraph(uri, article["title"], wire["context"]))
                questions += [_squad_question(each, paragraphs[-1]) for each in wire["qas"]]
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{path} is not JSON ({error})") from None
    except (KeyError, TypeError) as error:
        raise InvalidArgument(f"{path} is not in the format of SQuAD: {error!r}") from None
    return QuestionSet(path.stem, tuple(paragraphs), tuple(questions))


def _squad_question(wire: Mapping[str, object], paragraph: Paragraph) -> Question:
    answers = wire["answers"]
    if not isinstance(answers, list) or not isinstance(wire["question"], str):
        raise TypeError("question or answers")
    texts = () if wire.get("is_impossible") else tuple(answer["text"] for answer in answers)
    return Question(str(wire["id"]), wire["question"], texts, paragraph.uri, paragraph.article)


def _of_lines(path: Path) -> QuestionSet:
    paragraphs: dict[str, Paragraph] = {}
    questions = []
    for line in json_lines(path):
        document, context = (line.text(name, required=False) for name in ("document", "context"))
        gold = document
        if context.strip():
            key = hashlib.sha256(f"{document}\0{context}".encode()).hexdigest()
            gold = f"qa:{key[:32]}"
            paragraphs.setdefault(gold, Paragraph(gold, document or gold, context))
        article = paragraphs[gold].article if gold in paragraphs else ""
        text = line.text("question")
        if not text.strip():
            raise line.wrong('"question" is empty')
        name = line.text("id", required=False) or str(line.line.number)
        questions.append(Question(name, text, _answers(line), gold, article))
    return QuestionSet(path.stem, tuple(paragraphs.values()), tuple(questions))


def _answers(line: JsonLine) -> tuple[str, ...]:
    impossible = line.fields.get("is_impossible", False)
    if not isinstance(impossible, bool):
        raise line.wrong('"is_impossible" must be true or false')
    found = line.fields.get("answers", line.fields.get("answer"))
    answers = [found] if isinstance(found, str) else found
    if impossible:
        return ()
    if not _are_texts(answers) or not answers:
        raise line.wrong('"answers" must be texts, one or more, unless "is_impossible" is true')
    return tuple(answers)


def _are_texts(value: object) -> TypeGuard[Sequence[str]]:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
