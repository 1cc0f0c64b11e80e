"""``groundmesh ask`` with its options."""

from pathlib import Path
from typing import Annotated

import typer

from groundmesh.addresses import DEFAULT_ADDRESS
from groundmesh.cli.options import (
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
from groundmesh.cli.problems import completed, guarded

EXAMPLES = examples(
    'groundmesh ask "Who signs the contracts?" --collection docs',
    'groundmesh ask "Who signs the contracts?" -c docs --json | jq -r .answer',
    'groundmesh ask "And who else?" -c docs --chat talk.jsonl       # goes on with a conversation',
    "groundmesh ask --file questions.txt -c docs --output answers.jsonl",
)
_CONCURRENCY = 4


def ask(  # noqa: PLR0913  each is an option
    question: Annotated[
        str | None, typer.Argument(help="In your own words; quote it.", show_default=False)
    ] = None,
    *,
    collection: Collections,
    model: Annotated[str, typer.Option(help="The model that answers. [default: the mesh's]")] = "",
    template: Annotated[
        str,
        typer.Option(
            metavar="NAME[@VERSION]", help="The template of the prompt. [default: the mesh's]"
        ),
    ] = "",
    chat: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Go on with the conversation in this file, and add to it."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Ask every line of a text, or the `question` of every line of JSON Lines; - is "
            "stdin. Prints JSON Lines.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With --file: write there; questions answered there are skipped."
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="With --file: questions at a time. [default: 4]"),
    ] = None,
    limit: Limit = None,
    mode: Mode = None,
    where: Where = None,
    fusion: Fusion = None,
    dense_weight: DenseWeight = None,
    rerank: Rerank = False,
    diversity: DiversityWeight = None,
    merge_neighbors: MergeNeighbors = False,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="The longest answer, in tokens.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, max=2.0, help="0: always the likeliest word.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="For answers that can be repeated.")] = None,
    timeout: Timeout = 120.0,
    server: Server = DEFAULT_ADDRESS,
    as_json: Json = False,
) -> None:
    """Ask a question, or a file of them; answers come with their sources.

    The answer is printed as it is made, then the passages that it was made from, then what of it
    is cited and how, then the time of each stage. [1] in the answer names the first source. Only a
    quote that stands in its source word for word is called verified.
    """
    from groundmesh.cli.ask import Asking
    from groundmesh.cli.ask import ask as ask_one
    from groundmesh.cli.ask_many import Round, ask_many
    from groundmesh.cli.question_file import read_questions
    from groundmesh.cli.retrieval import retrieval
    from groundmesh.client import Sampling

    _check(question, file, output=output, concurrency=concurrency, chat=chat)
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
    sampling = Sampling(temperature=temperature, seed=seed, max_tokens=max_tokens)
    asking = Asking(collection, model, how, sampling, template, timeout_s=timeout)
    if question is not None:
        one = ask_one(question, asking, chat=chat, server=server, as_json=as_json)
        guarded(lambda: completed(one))
    if file is not None:
        # Read outside of the event loop, which would not let Ctrl-C end a read from a terminal.
        guarded(
            lambda: completed(
                ask_many(
                    Round(read_questions(file), concurrency or _CONCURRENCY, output),
                    asking,
                    server=server,
                )
            )
        )


def _check(
    question: str | None,
    file: Path | None,
    *,
    output: Path | None,
    concurrency: int | None,
    chat: Path | None,
) -> None:
    if (question is None) == (file is None):
        raise typer.BadParameter("give a question, or a file of them with --file")
    if file is None:
        for given, name in ((output, "--output"), (concurrency, "--concurrency")):
            if given is not None:
                raise typer.BadParameter("goes with --file", param_hint=name)
    elif chat is not None:
        raise typer.BadParameter("goes with one question, not with --file", param_hint="--chat")
