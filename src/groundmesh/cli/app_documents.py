"""``groundmesh documents`` with its options."""

from typing import Annotated

import typer

from groundmesh.addresses import DEFAULT_ADDRESS
from groundmesh.cli.options import Collection, Json, Server, Yes, examples
from groundmesh.cli.problems import finish

app = typer.Typer(
    help="List, show, read and delete documents.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Reference = Annotated[
    str,
    typer.Argument(metavar="DOCUMENT", help="The path of its file, its URI, or its id."),
]


@app.command("list")
def list_(
    *,
    collection: Collection,
    prefix: Annotated[
        str, typer.Option(metavar="URI", help="Only those whose URI begins so.")
    ] = "",
    server: Server = DEFAULT_ADDRESS,
    as_json: Json = False,
) -> None:
    """List the documents of a collection."""
    from groundmesh.cli.documents import list_documents

    finish(list_documents(collection, server=server, prefix=prefix, as_json=as_json))


@app.command()
def show(
    document: Reference,
    *,
    collection: Collection,
    server: Server = DEFAULT_ADDRESS,
    as_json: Json = False,
) -> None:
    """Show what is known of a document, without its text."""
    from groundmesh.cli.documents import show_document

    finish(show_document(document, server=server, collection=collection, as_json=as_json))


@app.command(epilog=examples("groundmesh documents text handbook.pdf -c docs --start 0 --end 500"))
def text(
    document: Reference,
    *,
    collection: Collection,
    start: Annotated[int, typer.Option(min=0, help="The first byte.")] = 0,
    end: Annotated[
        int | None, typer.Option(min=1, help="The byte after the last. [default: the end]")
    ] = None,
    server: Server = DEFAULT_ADDRESS,
) -> None:
    """Print the text that was extracted from a document.

    Whole, or by a range of UTF-8 bytes. The offsets of citations and passages are offsets into this
    text.
    """
    from groundmesh.cli.documents import print_text

    finish(print_text(document, server=server, collection=collection, start=start, end=end))


@app.command()
def delete(
    document: Reference,
    *,
    collection: Collection,
    purge: Annotated[
        bool,
        typer.Option(
            "--purge", help="Come back only when its text and chunks are gone from every store."
        ),
    ] = False,
    server: Server = DEFAULT_ADDRESS,
    yes: Yes = False,
) -> None:
    """Delete a document.

    It can't be found any more from that moment on; its text and chunks are swept right after, or,
    with --purge, before the command ends.
    """
    from groundmesh.cli.documents import delete_document

    finish(delete_document(document, server=server, collection=collection, purge=purge, yes=yes))
