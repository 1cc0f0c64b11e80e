"""The commands with their options. What a command does is imported when it is run."""

from pathlib import Path
from typing import Annotated

import typer

from groundmesh.addresses import DEFAULT_ADDRESS
from groundmesh.cli import app_ask, app_collections, app_documents, app_eval, app_up
from groundmesh.cli.options import (
    Collection,
    Collections,
    DenseWeight,
    DiversityWeight,
    Fusion,
    Json,
    Limit,
    MergeNeighbors,
    Mode,
    Rerank,
    Server,
    Timeout,
    Where,
    examples,
)
from groundmesh.cli.problems import finish

app = typer.Typer(
    name="groundmesh",
    help="Answers from your own documents, with citations.",
    epilog=examples(
        "groundmesh up                                    # in one shell: the whole mesh",
        "groundmesh ingest ~/manuals --collection docs    # in another",
        'groundmesh ask "How do I reset it?" --collection docs',
    )
    + "\n\nExit codes: 0 done, 1 something failed, 2 wrong usage, 3 the mesh is away or not ready "
    "(try again), 130 Ctrl-C.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(app_collections.app, name="collections")
app.add_typer(app_documents.app, name="documents")
app.add_typer(app_eval.app, name="eval")


app.command(epilog=app_up.EXAMPLES)(app_up.up)


@app.command(
    epilog=examples(
        "groundmesh ingest handbook.pdf notes/ --collection docs",
        "groundmesh ingest ~/shared --collection docs --list",
        "groundmesh ingest notes/ --collection docs --prune      # notes/ as it is now",
        "groundmesh ingest salaries/ --collection docs --label hr",
    )
)
def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files and folders.")],
    *,
    collection: Collection,
    listed: Annotated[
        bool, typer.Option("--list", help="A row for each file: what became of it, and why.")
    ] = False,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL",
            help="Only for readers that hold this label (or another that is given so, as the "
            "option may be repeated); without, for everybody of the tenant.",
        ),
    ] = None,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="At the end, delete what is in from these folders and gone from them."
        ),
    ] = False,
    server: Server = DEFAULT_ADDRESS,
    as_json: Json = False,
) -> None:
    """Put files and folders into a collection.

    PDF, Word, PowerPoint, Excel, OpenDocument, RTF, EPUB, mail, HTML, Markdown, reStructuredText,
    Org, CSV, JSON Lines, plain text and source code are read. Folders are walked with all below
    them, hidden files left out. The collection is created if it is not there. Files that are in
    already are passed over; a changed one takes the place of its old version. One line names each
    file that failed, and why; the exit code is 1 if any did. When the mesh is lost in the
    middle, what is left is sent again.
    """
    from groundmesh.cli.ingest import Order
    from groundmesh.cli.ingest import ingest as run

    order = Order(paths, collection, labels=tuple(label or ()), prune=prune, listed=listed)
    finish(run(order, server=server, as_json=as_json))


app.command(epilog=app_ask.EXAMPLES)(app_ask.ask)


@app.command(
    epilog=examples(
        'groundmesh search "notice period" --collection docs --limit 3',
        'groundmesh search "notice period" -c docs -c contracts --rerank --merge-neighbors',
    )
)
def search(  # noqa: PLR0913  each is an option
    query: Annotated[str, typer.Argument(help="Words or a question.")],
    *,
    collection: Collections,
    limit: Limit = None,
    mode: Mode = None,
    where: Where = None,
    fusion: Fusion = None,
    dense_weight: DenseWeight = None,
    rerank: Rerank = False,
    diversity: DiversityWeight = None,
    merge_neighbors: MergeNeighbors = False,
    timeout: Timeout = 30.0,
    server: Server = DEFAULT_ADDRESS,
    as_json: Json = False,
) -> None:
    """Find passages, best first; no model answers."""
    from groundmesh.cli.retrieval import retrieval
    from groundmesh.cli.search import search as run

    how = retrieval(
        mode,
        limit,
        where=where,
        fusion=fusion,
        dense_weight=dense_weight,
        rerank=rerank,
        diversity=diversity,
        merge_neighbors=merge_neighbors,
    )
    found = run(
        query,
        server=server,
        collections=collection,
        retrieval=how,
        timeout_s=timeout,
        as_json=as_json,
    )
    finish(found)


@app.command()
def status(
    *, timeout: Timeout = 10.0, server: Server = DEFAULT_ADDRESS, as_json: Json = False
) -> None:
    """Show how each service of the mesh is.

    Whether it is ready, its version, engine, models and address. The exit code is 0 only when all
    are ready.
    """
    from groundmesh.cli.status import status as run

    finish(run(server=server, timeout_s=timeout, as_json=as_json))
