"""Data sets in the layout of BEIR: ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/SPLIT.tsv``.

The corpus is read line by line, as often as it is needed, and never held as a whole.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from groundmesh.client import Upload
from groundmesh.errors import InvalidArgument
from groundmesh.eval.lines import Line, json_lines, lines

CORPUS, QUERIES = "corpus.jsonl", "queries.jsonl"
_SCHEME = "beir:"
_COLUMNS = 3
_NO_TITLE = " "

Judgements = Mapping[str, Mapping[str, int]]
"""By query and document: 0 is not relevant, more is more relevant."""


@dataclass(frozen=True)
class Dataset:
    """A data set that was read through once and is sound."""

    name: str
    corpus: Path
    documents: int
    """Those with a text; what has neither title nor text can't be found by anybody."""
    blank: int
    """Those without."""
    queries: Mapping[str, str]
    """The texts of the queries that are judged, by id."""
    judgements: Judgements
    missing: int
    """Relevant documents that are blank or not in the corpus; they count as not found."""

    def uploads(self) -> Iterator[Upload]:
        """The documents, as an ingestion takes them."""
        for line in json_lines(self.corpus):
            title, text = line.text("title", required=False), line.text("text")
            if title.strip() or text.strip():
                # A title alone is a document, too: of some abstracts there is no more.
                content = (text if text.strip() else title).encode()
                # Of no title the mesh would make the URI's end, and ids would be words to find.
                title = title if title.strip() else _NO_TITLE
                yield Upload(uri_of(line.id()), content, media_type="text/plain", title=title)


def uri_of(document: str) -> str:
    """The URI by which a document of a data set is known to the mesh."""
    return _SCHEME + quote(document, safe="")


def document_of(uri: str) -> str:
    """The document of a URI; one that is of no data set is its own name, and judged by nobody."""
    return unquote(uri.removeprefix(_SCHEME)) if uri.startswith(_SCHEME) else uri


def load(folder: Path, *, split: str = "test") -> Dataset:
    """Read a folder through.

    Raises:
        InvalidArgument: it is no such folder; the message names the file, and the bad line.
    """
    qrels = folder / "qrels" / f"{split}.tsv"
    for path in (folder / CORPUS, folder / QUERIES, qrels):
        if not path.is_file():
            raise InvalidArgument(
                f"{folder} is no data set in the layout of BEIR: there is no file {path}"
            )
    judgements = _judgements(qrels)
    texts = _queries(folder / QUERIES)
    for query, line in judgements.first_lines.items():
        if query not in texts:
            raise line.wrong(f"query {query!r} is not in {QUERIES}")
    ids, blank = _documents(folder / CORPUS)
    return Dataset(
        name=folder.resolve().name,
        corpus=folder / CORPUS,
        documents=len(ids),
        blank=blank,
        queries={query: texts[query] for query in judgements.by_query},
        judgements=judgements.by_query,
        missing=len(judgements.relevant() - ids),
    )


@dataclass(frozen=True)
class _Judged:
    by_query: dict[str, dict[str, int]]
    first_lines: dict[str, Line]

    def relevant(self) -> set[str]:
        return {
            document
            for of_query in self.by_query.values()
            for document, score in of_query.items()
            if score > 0
        }


def _judgements(path: Path) -> _Judged:
    by_query: defaultdict[str, dict[str, int]] = defaultdict(dict)
    first_lines: dict[str, Line] = {}
    for line in lines(path):
        columns = line.content.split("\t")
        if len(columns) != _COLUMNS or not (columns[0] and columns[1]):
            raise line.wrong("must be query id, document id and score, with tabs between")
        query, document, grade = columns
        try:
            score = int(grade)
        except ValueError:
            if line.number == 1:
                continue  # the names of the columns
            raise line.wrong(f"the score must be a whole number, not {grade[:40]!r}") from None
        if by_query[query].setdefault(document, score) != score:
            raise line.wrong(f"document {document!r} has another score for this query above")
        first_lines.setdefault(query, line)
    if not by_query:
        raise InvalidArgument(f"{path}: no judgement is in it")
    return _Judged(dict(by_query), first_lines)


def _queries(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for line in json_lines(path):
        if line.id() in texts:
            raise line.wrong(f"the id {line.id()!r} is there above")
        texts[line.id()] = line.text("text")
        if not texts[line.id()].strip():
            raise line.wrong('"text" is empty')
    return texts


def _documents(path: Path) -> tuple[set[str], int]:
    """The ids of the documents, and how many of them are blank."""
    ids: set[str] = set()
    blank: set[str] = set()
    for line in json_lines(path):
        if line.id() in ids or line.id() in blank:
            raise line.wrong(f"the id {line.id()!r} is there above")
        title, text = line.text("title", required=False), line.text("text")
        (ids if title.strip() or text.strip() else blank).add(line.id())
    if not ids:
        raise InvalidArgument(f"{path}: no document is in it")
    return ids, len(blank)
