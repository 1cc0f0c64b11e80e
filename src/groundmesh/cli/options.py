"""The options that several commands share."""

from enum import StrEnum
from typing import Annotated

import typer

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


Mode = Annotated[
    SearchModeName | None,
    typer.Option(
        "--mode",
        help="Rank by meaning (dense), by words (sparse) or by both (hybrid). "
        "[default: hybrid where the store can]",
    ),
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0.001, metavar="SECONDS", help="Give up after so long.")
]


def examples(*lines: str) -> str:
    """The end of a help page; the mark keeps its lines as they are."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
