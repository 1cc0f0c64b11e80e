"""What both evaluations begin with: their libraries, and their documents in a collection."""

import importlib.util
import re
import sys
from collections.abc import Iterable

from groundmesh.cli.ingest import ensure_collection, follow
from groundmesh.cli.output import counted, print_notes
from groundmesh.cli.problems import Problem
from groundmesh.cli.tally import Tally
from groundmesh.client import Client, Upload

_LIBRARIES = ("ir_measures", "matplotlib", "numpy")
_LONGEST_NAME = 63


def default_collection(dataset: str) -> str:
    """The collection of a data set: one that no ingestion of anything else is likely to name."""
    return f"eval-{re.sub('[^a-z0-9]+', '-', dataset.lower())}"[:_LONGEST_NAME].strip("-")


def check_installed() -> None:
    """A Problem that says what to install where evaluation lacks it."""
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise Problem(
            f"evaluation needs {', '.join(missing)}",
            hint="install what it needs with `make setup`, or `pip install 'groundmesh[eval]'`",
        )


async def ingest_corpus(
    mesh: Client, uploads: Iterable[Upload], *, collection: str, total: int
) -> Tally:
    """Take the documents in, and say what became of them, and what else takes part."""
    await ensure_collection(mesh, collection)
    tally = Tally()
    events = mesh.ingest(uploads, collection=collection, create=False)
    await follow(events, tally, total=total, noun="document")
    sys.stderr.write(tally.summary(collection, noun="document") + "\n")
    there = (await mesh.collections.get(collection)).document_count
    strangers = there - (tally.done - len(tally.failures))
    if strangers > 0:
        others = counted(strangers, "other document")
        print_notes([f"{collection} holds {others}, which take part in every ranking"])
    return tally
