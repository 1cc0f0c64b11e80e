"""The options that several commands share."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from groundmesh.client import Filter

Server = Annotated[
    str,
    typer.Option(
        "--server",
        envvar="GROUNDMESH_SERVER",
        metavar="HOST:PORT",
        help="The mesh's gateway.",
    ),
]
Collection = Annotated[
    str,
    typer.Option(
        "--collection",
        "-c",
        envvar="GROUNDMESH_COLLECTION",
        metavar="NAME",
        help="The collection: letters a-z, digits and dashes.",
    ),
]
Collections = Annotated[
    list[str],
    typer.Option(
        "--collection",
        "-c",
        envvar="GROUNDMESH_COLLECTION",
        metavar="NAME",
        help="The collection; give it again to search several.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
Limit = Annotated[
    int | None,
    typer.Option("--limit", "-n", min=1, max=1000, help="The most passages."),
]


class SearchModeName(StrEnum):
    """What passages are ranked by."""

    DENSE = "dense"
    SPARSE = "sparse"
    HYBRID = "hybrid"


class OptionalService(StrEnum):
    """What a mesh can do without."""

    GENERATOR = "generator"
    TRAINER = "trainer"


Mode = Annotated[
    SearchModeName | None,
    typer.Option(
        "--mode",
        help="Rank by meaning (dense), by words (sparse) or by both (hybrid). "
        "[default: hybrid where the store can]",
    ),
]


class FusionName(StrEnum):
    """How the two rankings of a hybrid search become one."""

    RANKS = "ranks"
    WEIGHTS = "weights"


Fusion = Annotated[
    FusionName | None,
    typer.Option("--fusion", help="Fuse a hybrid search by ranks or by scores. [default: weights]"),
]
DenseWeight = Annotated[
    float | None,
    typer.Option(
        "--dense-weight",
        min=0.0,
        max=1.0,
        help="What meaning weighs against words in a hybrid search. [default: 0.5]",
    ),
]
Rerank = Annotated[
    bool,
    typer.Option(
        "--rerank", help="Order anew by the cross-encoder (groundmesh up --rerank-model)."
    ),
]
DiversityWeight = Annotated[
    float | None,
    typer.Option(
        "--diversity",
        min=0.0,
        max=1.0,
        metavar="WEIGHT",
        help="Prefer passages unlike those before: what nearness to the query weighs, 0.7 say.",
    ),
]
MergeNeighbors = Annotated[
    bool, typer.Option("--merge-neighbors", help="Join passages that follow each other.")
]


def _filter(text: str) -> "Filter":
    from groundmesh.client import parse_filter
    from groundmesh.errors import InvalidArgument

    try:
        return parse_filter(text)
    except InvalidArgument as error:
        raise typer.BadParameter(error.fields[0].description) from None


Where = Annotated[
    Any,  # a Filter; typer looks the name up when the command line is made, long before it is used
    typer.Option(
        "--filter",
        metavar="FILTER",
        parser=_filter,
        help='Only documents whose metadata is so: \'year >= 2020 and lang in ["en", "de"]\'.',
    ),
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0.001, metavar="SECONDS", help="Give up after so long.")
]


def examples(*lines: str) -> str:
    """The end of a help page; the mark keeps its lines as they are."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
