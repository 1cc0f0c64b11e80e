"""``groundmesh up`` with its options."""

from pathlib import Path
from typing import Annotated

import typer

from groundmesh.addresses import BASE_PORT
from groundmesh.cli.options import OptionalService, examples
from groundmesh.cli.problems import guarded

EXAMPLES = examples(
    "groundmesh up",
    "groundmesh up --data ~/mesh --port 60000",
    "groundmesh up --model ~/models/Qwen3-4B",
    "groundmesh up --rerank-model ~/models/my-cross-encoder",
    "groundmesh up --without generator --without trainer   # to search, and to evaluate it",
)

Data = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        envvar="GROUNDMESH_DATA",
        help="Where documents, indexes and logs are kept. [default: ~/.local/share/groundmesh]",
    ),
]
Port = Annotated[
    int,
    typer.Option(
        metavar="BASE",
        min=1024,
        max=65530,
        help="The gateway's port; the other services take the five after it.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(metavar="NAME|DIR", help="The model that answers: a folder or a hub name."),
]
EmbeddingModel = Annotated[
    str | None,
    typer.Option(metavar="NAME|DIR", help="The model that embeds: a folder or a hub name."),
]
RerankModel = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|DIR",
        help="The cross-encoder of --rerank: a folder or a hub name. [default: none]",
    ),
]
Without = Annotated[
    list[OptionalService] | None,
    typer.Option(
        "--without",
        help="Don't start this service. Documents and search need neither; give it twice for both.",
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print what the services log.")]


def up(
    *,
    data: Data = None,
    port: Port = BASE_PORT,
    model: Model = None,
    embedding_model: EmbeddingModel = None,
    rerank_model: RerankModel = None,
    without: Without = None,
    verbose: Verbose = False,
) -> None:
    """Start the whole mesh on this machine.

    It runs until Ctrl-C. Each service is a process of its own on 127.0.0.1; one that dies is
    started again. Needs no GPU, no database server and no network.
    """
    from groundmesh.cli.up.folder import default_data_folder
    from groundmesh.cli.up.mesh import MeshOptions
    from groundmesh.cli.up.run import up as run

    folder = (data or default_data_folder()).absolute()
    options = MeshOptions(
        folder,
        port,
        model=model,
        embedding_model=embedding_model,
        rerank_model=rerank_model,
        without=frozenset(without or ()),
    )
    guarded(lambda: run(options, verbose=verbose))
