"""``groundmesh collections``."""

import sys

from groundmesh.cli.confirm import confirm
from groundmesh.cli.output import local_time, print_fields, print_json, print_table
from groundmesh.cli.problems import Exit
from groundmesh.client import Calibration, Client, Collection, IndexSettings


async def list_collections(*, server: str, as_json: bool) -> Exit:
    """Print every collection."""
    async with Client(server) as mesh:
        found = [collection async for collection in mesh.collections.list()]
    if as_json:
        print_json([collection_json(collection) for collection in found])
        return Exit.DONE
    if not found:
        sys.stdout.write("There are no collections yet: `groundmesh ingest` makes one.\n")
        return Exit.DONE
    print_table(
        ("NAME", "DOCUMENTS#", "CHUNKS#", "EMBEDDING MODEL", "UPDATED", "DESCRIPTION"),
        [
            (
                each.id,
                f"{each.document_count}",
                f"{each.chunk_count}",
                each.embedding.model,
                local_time(each.updated),
                each.description,
            )
            for each in found
        ],
    )
    return Exit.DONE


async def create_collection(
    name: str, *, server: str, description: str, index: IndexSettings, as_json: bool
) -> Exit:
    """Create an empty collection."""
    async with Client(server) as mesh:
        created = await mesh.collections.create(name, description=description, index=index)
    _print_collection(created, as_json=as_json)
    return Exit.DONE


async def show_collection(name: str, *, server: str, as_json: bool) -> Exit:
    """Print one collection."""
    async with Client(server) as mesh:
        found = await mesh.collections.get(name)
    _print_collection(found, as_json=as_json)
    return Exit.DONE


async def delete_collection(name: str, *, server: str, yes: bool) -> Exit:
    """Delete a collection, after asking."""
    async with Client(server) as mesh:
        found = await mesh.collections.get(name)
        if not yes:
            confirm(f"Delete {found.id} with its {found.document_count} documents?")
        await mesh.collections.delete(name)
    sys.stdout.write(f"deleted the collection {found.id}\n")
    return Exit.DONE


def _print_collection(collection: Collection, *, as_json: bool) -> None:
    if as_json:
        print_json(collection_json(collection))
        return
    embedding, index = collection.embedding, collection.index
    print_fields(
        (
            ("name", collection.name),
            ("description", collection.description),
            ("documents", f"{collection.document_count}"),
            ("chunks", f"{collection.chunk_count}"),
            ("embedding model", f"{embedding.model} ({embedding.dimension} dimensions)"),
            ("model revision", embedding.revision),
            ("chunk size", f"{index.max_tokens} tokens, {index.overlap_tokens} of them shared"),
            ("language", index.language),
            ("index version", f"{collection.index_version}"),
            ("created", local_time(collection.created)),
            ("updated", local_time(collection.updated)),
            *_calibration_fields(collection),
            *_reindex_fields(collection),
        )
    )


def _calibration_fields(collection: Collection) -> tuple[tuple[str, str], ...]:
    found = collection.calibration
    if found is None:
        return ()
    return (("answers from", f"cosine {found.min_evidence:.4f} on ({calibration_text(found)})"),)


def calibration_text(found: Calibration) -> str:
    """How good a bound is: ``AUC 0.970; refuses 5.0 % of its own 400 questions, ...``."""
    return (
        f"AUC {found.auc:.3f}; refuses {found.false_refusal_rate:.1%} of "
        f"{found.answerable_questions} questions of its own, answers "
        f"{found.false_answer_rate:.1%} of {found.unanswerable_questions} others"
    ).replace("%", " %")


def _reindex_fields(collection: Collection) -> tuple[tuple[str, str], ...]:
    if collection.reindex is None:
        return ()
    done = f"{collection.reindex.document_count} of {collection.document_count} documents"
    return (("reindex under way", f"{done} (groundmesh collections reindex --resume)"),)


def collection_json(collection: Collection) -> dict[str, object]:
    """A collection as the command line gives it to programs."""
    return {
        **vars(collection),
        "index": vars(collection.index),
        "embedding": vars(collection.embedding),
        "reindex": collection.reindex
        and {
            **vars(collection.reindex),
            "index": vars(collection.reindex.index),
        },
        "calibration": collection.calibration and vars(collection.calibration),
    }
