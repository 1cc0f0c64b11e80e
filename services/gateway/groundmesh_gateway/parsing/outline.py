"""The text of a document whose elements another library has found, and where each stands."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from groundmesh_gateway.parsing import tables
from groundmesh_gateway.parsing.decoding import tidy
from groundmesh_gateway.parsing.document import ExtractedDocument, Mark, Place, heading

_INDENT = "  "


@dataclass(frozen=True)
class Node:
    """An element; lists are elements of their own, the parents of their items."""

    content: Mapping[str, Any]
    """Its ``node_type`` and what elements of that type have, in xberg's words."""
    parent: int | None = None
    """The index of another node, before it."""
    page: int | None = None

    @property
    def kind(self) -> str:
        """Its type."""
        return str(self.content["node_type"])


PlaceOf = Callable[[tuple[str, ...], int | None], Place]
"""The place of what stands below these headings on this page."""


@dataclass(frozen=True)
class _Block:
    text: str
    place: Place
    is_heading: bool
    is_line: bool
    """An item of a list or a row of a table: no paragraph of its own."""


def document(nodes: Sequence[Node], *, title: str, place_of: PlaceOf) -> ExtractedDocument:
    """The text of the nodes, a mark wherever the place changes; a section for each heading."""
    parts: list[str] = []
    marks: list[Mark] = []
    offset = 0
    before: _Block | None = None
    for block in _blocks(nodes, place_of):
        if before is not None:
            parts.append("\n" if before.is_line and block.is_line else "\n\n")
            offset += len(parts[-1])
        if block.is_heading or before is None or block.place != before.place:
            marks.append(Mark(offset, block.place, begins_section=block.is_heading))
        parts.append(block.text)
        offset += len(block.text)
        before = block
    return ExtractedDocument(text="".join(parts), title=heading(title), marks=tuple(marks))


def _blocks(nodes: Sequence[Node], place_of: PlaceOf) -> Iterator[_Block]:
    path: list[tuple[int, str]] = []
    for node, text in zip(nodes, _texts(nodes), strict=True):
        if not text.strip():
            continue
        level = int(node.content.get("level", 1)) if node.kind in {"heading", "title"} else 0
        if level:
            own = heading(str(node.content["text"]))
            path = [(n, t) for n, t in path if n < level] + [(level, own)]
        place = place_of(tuple(t for _, t in path), node.page)
        is_line = node.kind == "list_item" or "\t" in text
        yield _Block(text, place, is_heading=bool(level), is_line=is_line)


def _texts(nodes: Sequence[Node]) -> Iterator[str]:
    depths: list[int] = []
    """Of each node: how many lists it is in."""
    numbers: list[int] = []
    """Of the last items, by depth: what looks like one list is often several to its format."""
    for node in nodes:
        above = node.parent
        depths.append(depths[above] + (nodes[above].kind == "list") if above is not None else 0)
        if node.kind == "list_item":
            ordered = above is not None and bool(nodes[above].content.get("ordered"))
            yield _item(node.content, depths[-1], numbers, ordered=ordered)
            continue
        text = tidy(_TEXTS.get(node.kind, _nothing)(node.content))
        if text:
            numbers.clear()
        yield text


def _item(content: Mapping[str, Any], depth: int, numbers: list[int], *, ordered: bool) -> str:
    text = " ".join(tidy(_own_text(content)).split("\n"))
    if not text:
        return ""
    numbers[:] = [*numbers[:depth], *[0] * (depth - len(numbers))]
    if not ordered:
        return f"{_INDENT * (depth - 1)}- {text}"
    numbers[-1] += 1
    return f"{_INDENT * (depth - 1)}{numbers[-1]}. {text}"


def _own_text(content: Mapping[str, Any]) -> str:
    return str(content["text"]).strip()


def _heading(content: Mapping[str, Any]) -> str:
    title = " ".join(_own_text(content).split())
    return f"{'#' * min(int(content.get('level', 1)), 6)} {title}" if title else ""


def _table(content: Mapping[str, Any]) -> str:
    cells: Iterable[Mapping[str, Any]] = content["grid"]["cells"]
    rows = groupby(cells, key=lambda cell: cell["row"])
    return tables.markdown([str(cell["content"]) for cell in row] for _, row in rows)


def _fields(content: Mapping[str, Any]) -> str:
    shown = (entry for entry in content["entries"] if entry["key"] != "Message-ID")
    return "\n".join(f"{entry['key']}: {entry['value']}" for entry in shown)


def _nothing(_: Mapping[str, Any]) -> str:
    """Of what only holds others, of images and of remarks on the text."""
    return ""


_TEXTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "title": _heading,
    "heading": _heading,
    "paragraph": _own_text,
    "formula": _own_text,
    "footnote": _own_text,
    "citation": _own_text,
    "code": lambda content: f"```\n{str(content['text']).rstrip()}\n```",
    "definition_item": lambda content: f"{content['term']}: {content['definition']}",
    "admonition": lambda content: str(content.get("title") or ""),
    "metadata_block": _fields,
    "table": _table,
}
