"""``groundmesh eval`` with its options."""

from pathlib import Path
from typing import Annotated

import typer

from groundmesh.addresses import DEFAULT_ADDRESS
from groundmesh.cli.options import (
    DenseWeight,
    Fusion,
    Json,
    SearchModeName,
    Server,
    Timeout,
    examples,
)
from groundmesh.cli.problems import finish

DatasetFolder = Annotated[
    Path,
    typer.Argument(
        metavar="DATASET_DIR",
        help="A folder with corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv.",
    ),
]
Split = Annotated[str, typer.Option(metavar="NAME", help="Which judgements: qrels/NAME.tsv.")]
Corpus = Annotated[
    str | None,
    typer.Option(
        "--collection",
        "-c",
        metavar="NAME",
        help="Where the corpus goes. [default: eval- and the folder's name]",
    ),
]
Modes = Annotated[
    list[SearchModeName],
    typer.Option("--mode", help="Only this mode; give it several times for several."),
]
RerankToo = Annotated[
    bool,
    typer.Option(
        "--rerank",
        help="Each mode once more, ordered anew by the cross-encoder "
        "(groundmesh up --rerank-model).",
    ),
]
Concurrency = Annotated[
    int,
    typer.Option(
        min=1, max=256, help="Searches at once; the times printed are those under this load."
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Draw the result, too: a .png, .svg or .pdf."),
]

app = typer.Typer(
    help="Measure how good the mesh's retrieval is.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def main() -> None:
    """Keep ``retrieval`` a command of its own while it is the only one."""


@app.command(
    epilog=examples(
        "groundmesh eval retrieval ~/beir/scifact",
        "groundmesh eval retrieval ~/beir/scifact --json --plot scifact.svg",
        "groundmesh eval retrieval ~/ours --mode hybrid --concurrency 8",
    )
)
def retrieval(  # noqa: PLR0913  each is an option
    folder: DatasetFolder,
    *,
    split: Split = "test",
    collection: Corpus = None,
    mode: Modes = [*SearchModeName],  # noqa: B006  Typer reads it, nobody changes it
    fusion: Fusion = None,
    dense_weight: DenseWeight = None,
    rerank: RerankToo = False,
    concurrency: Concurrency = 1,
    plot: Plot = None,
    timeout: Timeout = 30.0,
    server: Server = DEFAULT_ADDRESS,
    as_json: Json = False,
) -> None:
    """Measure search on a set of documents and questions with known answers.

    The folder has the layout of the BEIR benchmark. corpus.jsonl and queries.jsonl hold an object a
    line: {"_id": "7", "title": "...", "text": "..."} (queries have no title). qrels/test.tsv says
    which documents answer which query: query id, document id and a score with tabs between, 0 for
    not relevant, more for more relevant.

    The documents go into a collection of the running mesh; a second run finds them there. To try
    other settings, create collections with them (groundmesh collections create) and name each with
    --collection. Every query is then searched in every mode, 100 documents deep. A document stands
    where its best passage stands.

    Printed are nDCG@10 (are the best on top?), Recall@10 and @100 (is all found?) and MRR@10 (how
    far down is the first?), each from 0 to 1 and with the range in which 95 of 100 such sets of
    queries would put it, and how long half and 99 % of the searches took at most.
    """
    from groundmesh.cli.evaluate import Evaluation, evaluate, searches

    asked = Evaluation(
        folder=folder,
        split=split,
        collection=collection,
        searches=searches(mode, fusion=fusion, dense_weight=dense_weight, rerank=rerank),
        concurrency=concurrency,
        timeout_s=timeout,
        plot=plot,
    )
    finish(evaluate(asked, server=server, as_json=as_json))
