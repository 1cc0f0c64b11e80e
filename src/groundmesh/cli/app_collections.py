"""``groundmesh collections`` with its options."""

from typing import Annotated

import typer

from groundmesh.addresses import DEFAULT_ADDRESS
from groundmesh.cli.options import Json, Server, Yes
from groundmesh.cli.problems import finish

app = typer.Typer(
    help="List, create, show, reindex and delete collections.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The collection.")]


@app.command("list")
def list_(*, server: Server = DEFAULT_ADDRESS, as_json: Json = False) -> None:
    """List all collections."""
    from groundmesh.cli.collections import list_collections

    finish(list_collections(server=server, as_json=as_json))


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters a-z, digits and dashes.")],
    *,
    description: Annotated[str, typer.Option(help="What it holds.")] = "",
    language: Annotated[
        str, typer.Option(help="Of its words, as in ISO 639-1. [default: en]")
    ] = "",
    max_tokens: Annotated[
        int, typer.Option(min=0, help="The size of a chunk. [default: what the model reads]")
    ] = 0,
    overlap_tokens: Annotated[
        int | None,
        typer.Option(min=0, help="What two chunks share, at most half. [default: an eighth]"),
    ] = None,
    server: Server = DEFAULT_ADDRESS,
    as_json: Json = False,
) -> None:
    """Create an empty collection.

    `groundmesh ingest` does so by itself, with the defaults.
    """
    from groundmesh.cli.collections import create_collection
    from groundmesh.client import IndexSettings

    index = IndexSettings(max_tokens=max_tokens, overlap_tokens=overlap_tokens, language=language)
    finish(
        create_collection(
            name, server=server, description=description, index=index, as_json=as_json
        )
    )


@app.command()
def show(name: Name, *, server: Server = DEFAULT_ADDRESS, as_json: Json = False) -> None:
    """Show one collection: how much it holds, and how it is indexed."""
    from groundmesh.cli.collections import show_collection

    finish(show_collection(name, server=server, as_json=as_json))


@app.command()
def reindex(  # noqa: PLR0913 - they are the options of a command
    name: Name,
    *,
    model: Annotated[
        str, typer.Option(help="The embedding model. [default: as it is]", show_default=False)
    ] = "",
    language: Annotated[str, typer.Option(help="Of its words. [default: as it is]")] = "",
    max_tokens: Annotated[
        int, typer.Option(min=0, help="The size of a chunk. [default: as it is]")
    ] = 0,
    overlap_tokens: Annotated[
        int | None, typer.Option(min=0, help="What two chunks share. [default: as it is]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the one that is under way.")
    ] = False,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="Give up the one that is under way.")
    ] = False,
    server: Server = DEFAULT_ADDRESS,
    as_json: Json = False,
) -> None:
    """Index a collection anew, from its kept texts, while it stays in use.

    With another embedding model, splitting or language, or with the same. Until the new index is
    complete the old one serves; what is ingested and deleted meanwhile is so in both.
    """
    from groundmesh.cli.reindex import Wish, reindex_collection
    from groundmesh.client import IndexSettings

    index = IndexSettings(model, max_tokens, overlap_tokens, language)
    wish = Wish(index, resume=resume, abandon=abandon)
    finish(reindex_collection(name, wish, server=server, as_json=as_json))


@app.command()
def delete(name: Name, *, server: Server = DEFAULT_ADDRESS, yes: Yes = False) -> None:
    """Delete a collection with all its documents."""
    from groundmesh.cli.collections import delete_collection

    finish(delete_collection(name, server=server, yes=yes))
