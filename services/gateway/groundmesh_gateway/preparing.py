"""What happens to one document inside a worker process: its bytes become text and chunks."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from groundmesh.errors import Reason
from groundmesh_gateway.parsing import parse
from groundmesh_gateway.parsing.document import ExtractedDocument, Mark, Place, unusable
from groundmesh_gateway.splitting import Span, Splitting, TokenCounter, split


@dataclass(frozen=True)
class Job:
    """What to do with a document; its bytes and the tokenizer travel beside it."""

    uri: str
    media_type: str
    """As the client declared it; empty: to be found out."""
    splitting: Splitting
    passage_prompt: str
    """What the embedding model has before each passage, within what it reads."""
    model_tokens: int
    """The tokens that the model reads, the prompt's and special ones included."""
    max_text_bytes: int


@dataclass(frozen=True)
class Chunk:
    """A piece of a document; offsets are UTF-8 bytes into its extracted text."""

    ordinal: int
    start_byte: int
    end_byte: int
    tokens: int
    place: Place


@dataclass(frozen=True)
class Prepared:
    """A document's text and its chunks, as compact as they came from the worker."""

    text: bytes
    """UTF-8."""
    title: str
    """Empty when the document has none."""
    media_type: str
    chunk_count: int
    chunk_lines: bytes
    """A JSON array a line for each chunk: a large document has more chunks than should be
    objects at once."""

    def chunks(self) -> Iterator[Chunk]:
        """The chunks in order."""
        for ordinal, line in enumerate(self.chunk_lines.splitlines()):
            start, end, tokens, path, *rest = json.loads(line)
            yield Chunk(ordinal, start, end, tokens, Place(tuple(path), *rest))

    def text_of(self, chunk: Chunk) -> str:
        """The text of one chunk."""
        return self.text[chunk.start_byte : chunk.end_byte].decode()


def prepare(job: Job, data: bytes, counter: TokenCounter) -> Prepared:
    """Extract the text of ``data`` and split it; MeshError with the reason when it can't be."""
    parsed = parse(data, uri=job.uri, declared_media_type=job.media_type)
    document = parsed.document
    text = document.text.encode()
    if len(text) > job.max_text_bytes:
        message = f"its text has {len(text)} bytes, the limit is {job.max_text_bytes}"
        raise unusable(Reason.DOCUMENT_TOO_LARGE, message)
    spans = _spans(document, counter, _that_fits(job, counter))
    lines = list(_lines(document.text, spans, document.marks))
    return Prepared(
        text=text,
        title=document.title,
        media_type=parsed.media_type,
        chunk_count=len(lines),
        chunk_lines=b"\n".join(lines),
    )


def _that_fits(job: Job, counter: TokenCounter) -> Splitting:
    prompt = counter.counts([job.passage_prompt])[0] - counter.special_tokens
    most = min(job.splitting.max_tokens, job.model_tokens - prompt)
    if most <= counter.special_tokens:
        message = f"chunks of {most} tokens, as the collection wants them, have no room for text"
        raise unusable(Reason.INVALID_FIELD, message)
    return replace(job.splitting, max_tokens=most)


def _spans(
    document: ExtractedDocument, counter: TokenCounter, splitting: Splitting
) -> Iterator[Span]:
    """The chunks; none goes over from a sheet or a slide to the next, whose place it hasn't."""
    sections = [mark.offset for mark in document.marks if mark.begins_section]
    leaves = [
        mark.offset
        for before, mark in pairwise(document.marks)
        if (before.place.sheet, before.place.slide) != (mark.place.sheet, mark.place.slide)
    ]
    for start, stop in pairwise([0, *leaves, len(document.text)]):
        text = document.text[start:stop]
        own = sections[bisect_left(sections, start) : bisect_left(sections, stop)]
        inner = [section - start for section in own]
        for span in split(text, counter=counter, splitting=splitting, sections=inner):
            yield Span(start + span.start, start + span.end, span.tokens)


def _lines(text: str, spans: Iterator[Span], marks: tuple[Mark, ...]) -> Iterator[bytes]:
    offsets = [mark.offset for mark in marks]
    character = start_byte = 0
    for span in spans:
        start_byte += len(text[character : span.start].encode())
        character = span.start
        end_byte = start_byte + len(text[span.start : span.end].encode())
        mark = bisect_right(offsets, span.start) - 1
        place = marks[mark].place if mark >= 0 else Place()
        where = (place.heading_path, place.page, place.sheet, place.slide)
        line = [start_byte, end_byte, span.tokens, *where]
        yield json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode()
