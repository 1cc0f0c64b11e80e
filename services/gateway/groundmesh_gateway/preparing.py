"""What happens to one document inside a worker process: its bytes become text and chunks."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import pairwise

from groundmesh.chunk_context import in_context
from groundmesh.errors import Reason
from groundmesh_gateway.outline import from_outline, to_outline
from groundmesh_gateway.parsing import Parsed, parse
from groundmesh_gateway.parsing.document import ExtractedDocument, Place, unusable
from groundmesh_gateway.splitting import (
    Contexts,
    Span,
    Splitting,
    TokenCounter,
    context_room,
    split,
)


@dataclass(frozen=True)
class Job:
    """What to do with a document; its bytes and the tokenizer travel beside it."""

    uri: str
    media_type: str
    """As the client declared it; empty: to be found out."""
    title: str
    """As the client gave it; empty: the document's own, if it has one."""
    splitting: Splitting
    passage_prompt: str
    """What the embedding model has before each passage, within what it reads."""
    model_tokens: int
    """The tokens that the model reads, the prompt's and special ones included."""
    max_text_bytes: int
    kept_text_bytes: int | None = None
    """Of the data, the text that was extracted before; its outline follows. None: it is a file."""


@dataclass(frozen=True)
class Chunk:
    """A piece of a document; offsets are UTF-8 bytes into its extracted text."""

    ordinal: int
    start_byte: int
    end_byte: int
    tokens: int
    place: Place
    context: str
    """What is embedded before its text; empty where nothing is to be added."""


@dataclass(frozen=True)
class Prepared:
    """A document's text and its chunks, as compact as they came from the worker."""

    text: bytes
    """UTF-8."""
    title: str
    """Empty when the document has none."""
    media_type: str
    chunk_count: int
    outline: bytes
    """What splitting the text again takes beside it."""
    chunk_lines: bytes
    """A JSON array a line for each chunk: a large document has more chunks than should be
    objects at once."""

    @property
    def size(self) -> int:
        """The bytes that it takes in memory."""
        return len(self.text) + len(self.outline) + len(self.chunk_lines)

    def chunks(self) -> Iterator[Chunk]:
        """The chunks in order."""
        for ordinal, line in enumerate(BytesIO(self.chunk_lines)):
            start, end, tokens, path, *leaf, context = json.loads(line)
            yield Chunk(ordinal, start, end, tokens, Place(tuple(path), *leaf), context)

    def passage_of(self, chunk: Chunk) -> str:
        """What is embedded for one chunk: its text in its context."""
        text = self.text[chunk.start_byte : chunk.end_byte].decode()
        return in_context(chunk.context, text)


def prepare(job: Job, data: bytes, counter: TokenCounter) -> Prepared:
    """Extract the text of ``data``, or take a kept one, and split it; MeshError if it can't be."""
    parsed = _parsed(job, data)
    document = parsed.document
    text = document.text.encode()
    if len(text) > job.max_text_bytes:
        message = f"its text has {len(text)} bytes, the limit is {job.max_text_bytes}"
        raise unusable(Reason.DOCUMENT_TOO_LARGE, message)
    splitting = _that_fits(job, counter)
    title = job.title or document.title
    contexts = Contexts(
        title,
        [(mark.offset, mark.place.heading_path) for mark in document.marks],
        counter=counter,
        most_tokens=context_room(splitting, counter),
    )
    spans = _spans(document, counter, splitting=splitting, contexts=contexts)
    placed = contexts.of(document.text, spans, max_tokens=splitting.max_tokens)
    lines = list(_lines(document, placed))
    return Prepared(
        text=text,
        title=document.title,
        media_type=parsed.media_type,
        chunk_count=len(lines),
        outline=to_outline(document, title=title),
        chunk_lines=b"\n".join(lines),
    )


def _parsed(job: Job, data: bytes) -> Parsed:
    if job.kept_text_bytes is None:
        return parse(data, uri=job.uri, declared_media_type=job.media_type)
    text, outline = data[: job.kept_text_bytes], data[job.kept_text_bytes :]
    return Parsed(from_outline(text.decode(), outline), job.media_type)


def _that_fits(job: Job, counter: TokenCounter) -> Splitting:
    prompt = counter.counts([job.passage_prompt])[0] - counter.special_tokens
    most = min(job.splitting.max_tokens, job.model_tokens - prompt)
    if most <= counter.special_tokens:
        message = f"chunks of {most} tokens, as the collection wants them, have no room for text"
        raise unusable(Reason.INVALID_FIELD, message)
    return replace(job.splitting, max_tokens=most)


def _spans(
    document: ExtractedDocument,
    counter: TokenCounter,
    *,
    splitting: Splitting,
    contexts: Contexts,
) -> Iterator[Span]:
    """The chunks; none goes over from a sheet or a slide to the next, whose place it hasn't."""
    sections = [mark.offset for mark in document.marks if mark.begins_section]
    leaves = [
        mark.offset
        for before, mark in pairwise(document.marks)
        if (before.place.sheet, before.place.slide) != (mark.place.sheet, mark.place.slide)
    ]
    for start, stop in pairwise([0, *leaves, len(document.text)]):

        def context_tokens(at: int, start: int = start) -> int:
            return contexts.tokens(start + at)

        own = sections[bisect_left(sections, start) : bisect_left(sections, stop)]
        spans = split(
            document.text[start:stop],
            counter=counter,
            splitting=splitting,
            sections=[section - start for section in own],
            context_tokens=context_tokens,
        )
        for span in spans:
            yield Span(start + span.start, start + span.end, span.tokens)


def _lines(document: ExtractedDocument, spans: Iterator[tuple[Span, str]]) -> Iterator[bytes]:
    text, marks = document.text, document.marks
    offsets = [mark.offset for mark in marks]
    character = start_byte = 0
    for span, context in spans:
        start_byte += len(text[character : span.start].encode())
        character = span.start
        end_byte = start_byte + len(text[span.start : span.end].encode())
        mark = bisect_right(offsets, span.start) - 1
        place = marks[mark].place if mark >= 0 else Place()
        where = (place.heading_path, place.page, place.sheet, place.slide)
        line = [start_byte, end_byte, span.tokens, *where, context]
        yield json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode()
