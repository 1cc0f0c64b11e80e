"""The mesh of one machine: which processes it is made of, and how each is started."""

import importlib.util
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from groundmesh.addresses import BASE_PORT, LOOPBACK, PORT_OFFSETS
from groundmesh.cli.problems import Problem
from groundmesh.cli.up.keeper import ServiceSpec
from groundmesh.cli.up.probe import Question, answer_to, health_of
from groundmesh.lifetime import tied


@dataclass(frozen=True)
class MeshOptions:
    """What a user may choose."""

    data: Path
    base_port: int = BASE_PORT
    model: str | None = None
    embedding_model: str | None = None
    rerank_model: str | None = None
    without: frozenset[str] = frozenset()
    """Members that are not started, of those that ``OptionalService`` names."""


@dataclass(frozen=True)
class Member:
    """One process of the mesh.

    Flags are format strings over the options, ``{port}`` and the address of each member by its
    name; a flag whose option was left out is left out too.
    """

    name: str
    module: str
    flags: tuple[str, ...]
    ready: Question
    """What it is asked to find out whether it is ready."""
    calls: tuple[str, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def port_offset(self) -> int:
        """Its port, counted from the gateway's."""
        return PORT_OFFSETS[self.name]


_COMMON = (
    f"--host={LOOPBACK}",
    "--port={port}",
    # One user, no balancer in front: nobody needs a pause to hear of the end, nor a long one.
    "--drain-pause-s=0",
    "--drain-grace-s=8",
)

MESH = (
    # In the order of starting: vLLM takes longest, so it goes first.
    Member(
        name="generator",
        module="groundmesh_generator",
        flags=(*_COMMON, "--model={model}", "--artifact-root={data}/artifacts"),
        ready=health_of("groundmesh.v1.GeneratorService"),
    ),
    Member(
        name="milvus",
        module="milvus_lite",
        flags=("server", "--data-dir={data}/milvus", f"--host={LOOPBACK}", "--port={port}"),
        ready=answer_to("/milvus.proto.milvus.MilvusService/GetVersion"),
        stop_signal=signal.SIGINT,  # what it closes its files on
    ),
    Member(
        name="embedder",
        module="groundmesh_embedder",
        flags=(*_COMMON, "--model={embedding_model}", "--reranker={rerank_model}"),
        ready=health_of("groundmesh.v1.EmbedderService"),
    ),
    Member(
        name="retriever",
        module="groundmesh_retriever",
        flags=(*_COMMON, "--milvus-uri=http://{milvus}", "--data={data}/retriever"),
        ready=health_of("groundmesh.v1.RetrieverService"),
        calls=("milvus",),
    ),
    Member(
        name="trainer",
        module="groundmesh_trainer",
        flags=_COMMON,
        ready=health_of("groundmesh.v1.MeshService"),
    ),
    Member(
        name="gateway",
        module="groundmesh_gateway",
        flags=(
            *_COMMON,
            "--embedder={embedder}",
            "--retriever={retriever}",
            "--generator={generator}",
            "--trainer={trainer}",
        ),
        ready=health_of("groundmesh.v1.GatewayService"),
        calls=("embedder", "retriever", "generator", "trainer"),
    ),
)


def members(options: MeshOptions) -> tuple[Member, ...]:
    """Those that are started."""
    return tuple(member for member in MESH if member.name not in options.without)


def ports(options: MeshOptions) -> dict[str, int]:
    """The port of each of them."""
    return {member.name: options.base_port + member.port_offset for member in members(options)}


def check_installed(options: MeshOptions) -> None:
    """See that every one of them can be started.

    Raises:
        Problem: a distribution is not installed here.
    """
    modules = [member.module for member in members(options)]
    missing = [module for module in modules if not importlib.util.find_spec(module)]
    if missing:
        names = ", ".join(module.replace("_", "-") for module in missing)
        raise Problem(
            f"not installed in this environment: {names}",
            hint=f"install the services with `make setup`, or `pip install {names}`",
        )


def spec_of(member: Member, options: MeshOptions) -> ServiceSpec:
    """How a member is run with these options."""
    port = ports(options)[member.name]
    values: Mapping[str, object] = {
        **dict.fromkeys(options.without, ""),
        **{name: f"{LOOPBACK}:{other}" for name, other in ports(options).items()},
        **vars(options),
        "port": port,
    }
    flags = [flag.format_map(values) for flag in member.flags if not _left_out(flag, values)]
    return ServiceSpec(
        name=member.name,
        address=f"{LOOPBACK}:{port}",
        command=tied((sys.executable, "-m", member.module, *flags)),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        calls=tuple(name for name in member.calls if name not in options.without),
        stop_signal=member.stop_signal,
    )


def _left_out(flag: str, values: Mapping[str, object]) -> bool:
    return any(value is None and f"{{{name}}}" in flag for name, value in values.items())
