"""``groundmesh documents``."""

import sys

from groundmesh.cli.confirm import confirm
from groundmesh.cli.output import (
    local_time,
    print_fields,
    print_json,
    print_table,
    printable,
    size_text,
)
from groundmesh.cli.places import display_uri, uri_of
from groundmesh.cli.problems import Exit
from groundmesh.client import Client, Document


async def list_documents(collection: str, *, server: str, prefix: str, as_json: bool) -> Exit:
    """Print the documents of a collection."""
    async with Client(server) as mesh:
        listed = mesh.documents.list(collection, uri_prefix=prefix)
        found = [document async for document in listed]
    if as_json:
        print_json([_document_json(document) for document in found])
        return Exit.DONE
    print_table(
        ("DOCUMENT", "TITLE", "TYPE", "SIZE#", "CHUNKS#", "UPDATED"),
        [
            (
                display_uri(each.uri),
                each.title,
                each.media_type,
                size_text(each.content_bytes),
                f"{each.chunk_count}",
                local_time(each.updated),
            )
            for each in found
        ],
    )
    return Exit.DONE


async def show_document(
    document: str, *, server: str, collection: str | None, as_json: bool
) -> Exit:
    """Print what the catalog knows of a document."""
    async with Client(server) as mesh:
        found = await mesh.documents.get(uri_of(document), collection=collection)
    if as_json:
        print_json(_document_json(found))
        return Exit.DONE
    print_fields(
        (
            ("uri", found.uri),
            ("title", found.title),
            ("name", found.name),
            ("type", found.media_type),
            ("size", size_text(found.content_bytes)),
            ("text", size_text(found.text_bytes)),
            ("chunks", f"{found.chunk_count}"),
            ("sha256", found.content_sha256),
            ("readers", ", ".join(found.reader_labels) or "everybody"),
            *((f"metadata {key}", f"{value}") for key, value in found.metadata.items()),
            ("created", local_time(found.created)),
            ("updated", local_time(found.updated)),
        )
    )
    return Exit.DONE


async def print_text(
    document: str, *, server: str, collection: str | None, start: int, end: int | None
) -> Exit:
    """Print the extracted text of a document, or a range of it."""
    async with Client(server) as mesh:
        text = await mesh.documents.text(
            uri_of(document), collection=collection, start_byte=start, end_byte=end
        )
    # A terminal gets no control characters; a pipe gets the text as it is kept.
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
    return Exit.DONE


async def delete_document(
    document: str, *, server: str, collection: str | None, purge: bool, yes: bool
) -> Exit:
    """Delete a document, after asking; with ``purge`` from every store before coming back."""
    async with Client(server) as mesh:
        found = await mesh.documents.get(uri_of(document), collection=collection)
        if not yes:
            confirm(f"Delete {display_uri(found.uri)}?")
        await mesh.documents.delete(found.name, purge=purge)
    done = "deleted and purged" if purge else "deleted"
    sys.stdout.write(f"{done} {display_uri(found.uri)}\n")
    return Exit.DONE


def _document_json(document: Document) -> dict[str, object]:
    return {**vars(document), "metadata": dict(document.metadata)}
