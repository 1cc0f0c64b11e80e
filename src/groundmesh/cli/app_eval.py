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
Documents = Annotated[
    str | None,
    typer.Option(
        "--collection",
        "-c",
        metavar="NAME",
        help="Where the texts go, or are already. [default: eval- and the file's name]",
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

Questions = Annotated[
    Path,
    typer.Argument(metavar="DATASET", help="A file of questions: SQuAD's .json, or .jsonl."),
]
QuestionLimit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        "-n",
        min=1,
        help="Put so many questions, always the same ones. [default: all; to calibrate, 300]",
    ),
]
Seed = Annotated[int, typer.Option(help="Another one puts other questions.")]
Model = Annotated[
    str, typer.Option("--model", "-m", metavar="NAME", help="Who answers. [default: the mesh's]")
]
Template = Annotated[
    str,
    typer.Option("--template", metavar="NAME", help="That of the prompt. [default: the mesh's]"),
]
MaxTokens = Annotated[
    int | None, typer.Option(min=1, help="Of an answer, at most. [default: the mesh's]")
]
QuestionsAtOnce = Annotated[
    int,
    typer.Option(
        "--concurrency",
        min=1,
        max=256,
        help="Questions at once. With more than one, answers can differ from run to run.",
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write report.md, report.json, answers.jsonl and plots."),
]
Calibrate = Annotated[
    bool,
    typer.Option("--calibrate", help="Ask nothing; find and set from which evidence to answer."),
]
MaxRefusals = Annotated[
    float,
    typer.Option(
        "--max-refusals",
        min=0.0,
        max=0.5,
        help="With --calibrate: the share of its own questions that may be refused.",
    ),
]

app = typer.Typer(
    help="Measure how good the mesh's retrieval and answers are.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


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


@app.command(
    epilog=examples(
        "groundmesh eval answers dev-v2.0.json --calibrate",
        "groundmesh eval answers dev-v2.0.json --limit 300 --report answers",
        "groundmesh eval answers ours.jsonl --collection handbook --json",
    )
)
def answers(  # noqa: PLR0913  each is an option
    dataset: Questions,
    *,
    collection: Documents = None,
    model: Model = "",
    template: Template = "",
    max_tokens: MaxTokens = None,
    limit: QuestionLimit = None,
    seed: Seed = 0,
    concurrency: QuestionsAtOnce = 1,
    report: Report = None,
    calibrate: Calibrate = False,
    max_refusals: MaxRefusals = 0.05,
    timeout: Timeout = 300.0,
    server: Server = DEFAULT_ADDRESS,
    as_json: Json = False,
) -> None:
    """Measure answers on questions whose right answers are known.

    A .json file is in the format of SQuAD, 1.1 or 2.0. A .jsonl file holds an object a line:
    {"question": "...", "answers": ["..."], "context": "...", "document": "..."}. The context is the
    text that answers it, and the document its title; without contexts the questions are about the
    documents of --collection, and a document is the URI of the right one. A question that the
    documents don't answer has "is_impossible": true.

    The texts go into a collection of the running mesh; a second run finds them there. One question
    of five is put with its own article hidden, as one about another subject.

    Printed are exact match and token F1 as SQuAD computes them, whether a right answer stands in
    the answer, whether the right passage was found and cited, what was refused or answered wrongly,
    and the times. --report keeps every answer, to be checked again. The answers are those that the
    model finds likeliest, so with one question at once a second run gives the same.

    --calibrate asks no model. It hides half of the articles, then the other half, and sees how near
    the best passage is to questions that belong and to those that don't. From then on, the
    collection answers only questions with at least the evidence that --max-refusals allows for.
    """
    from groundmesh.cli.eval_answers import Calibrating, Evaluation, evaluate_answers
    from groundmesh.cli.eval_answers import calibrate as calibrated

    asked = Evaluation(
        dataset=dataset,
        collection=collection,
        model=model,
        template=template,
        max_tokens=max_tokens,
        limit=limit,
        seed=seed,
        concurrency=concurrency,
        timeout_s=timeout,
        report=report,
    )
    if calibrate:
        how = Calibrating(max_refusals)
        finish(calibrated(asked, how, server=server, as_json=as_json))
    finish(evaluate_answers(asked, server=server, as_json=as_json))
