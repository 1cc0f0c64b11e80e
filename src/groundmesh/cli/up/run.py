"""Runs the mesh of one machine until Ctrl-C, SIGTERM or the end of the terminal."""

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from groundmesh.addresses import BASE_PORT, LOOPBACK
from groundmesh.cli.output import console
from groundmesh.cli.problems import Exit
from groundmesh.cli.up import folder, mesh, models
from groundmesh.cli.up.keeper import Keeper, KeeperPolicy
from groundmesh.cli.up.live import LiveView
from groundmesh.cli.up.log import ServiceLog, readable
from groundmesh.cli.up.mesh import Member, MeshOptions
from groundmesh.cli.up.probe import GrpcProbe
from groundmesh.cli.up.supervisor import Supervisor
from groundmesh.cli.up.view import PlainView, View

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(options: MeshOptions, *, verbose: bool) -> Exit:
    """Run the mesh; returns once all of it has stopped.

    Raises:
        Problem: nothing was started: something is missing, taken or in use.
    """
    mesh.check_installed(options)
    ports = mesh.ports(options)
    with folder.held(options.data, ports=ports):
        folder.check_ports_free(ports)
        _prepare_models(options)
        try:
            asyncio.run(_up(options, verbose=verbose))
        except asyncio.CancelledError:
            return Exit.INTERRUPTED
    return Exit.DONE


def _prepare_models(options: MeshOptions) -> None:
    names = models.unprepared(options)
    if names:
        out = console()
        out.print(f"preparing {', '.join(names)}: half a minute, the first time only")
        with out.status("preparing"):
            models.prepare(names)


async def _up(options: MeshOptions, *, verbose: bool) -> None:
    stop = asyncio.Event()
    view = _view(options, gone=stop.set)
    keepers = [_keeper(member, options, view, verbose=verbose) for member in mesh.members(options)]
    await supervise(keepers, view=view, stop=stop)


async def supervise(keepers: Sequence[Keeper], *, view: View, stop: asyncio.Event) -> None:
    """Run keepers and show them until ``stop`` or a signal; a second signal kills them at once."""
    supervisor = Supervisor(keepers, stop=stop)
    async with view.showing(supervisor):
        running = asyncio.create_task(supervisor.run())

        def on_signal() -> None:
            if stop.is_set():
                running.cancel()
            else:
                stop.set()
                view.say("stopping all services; once more to kill them at once")

        with _calling_on_stop_signals(on_signal):
            await running
    view.say("all services have stopped")


def _view(options: MeshOptions, *, gone: Callable[[], None]) -> View:
    out = console()
    welcome = _welcome(options)
    if out.is_terminal:
        return LiveView(out, title=f"groundmesh · data in {options.data}", welcome=welcome)
    return PlainView(out, welcome=welcome, gone=gone)


def _welcome(options: MeshOptions) -> str:
    elsewhere = options.base_port != BASE_PORT
    server = f"  export GROUNDMESH_SERVER={LOOPBACK}:{options.base_port}\n" if elsewhere else ""
    question = "search" if "generator" in options.without else "ask"
    return (
        f"The mesh is up. In another shell:\n{server}"
        "  groundmesh ingest PATH... --collection docs\n"
        f'  groundmesh {question} "..." --collection docs\n'
        "Ctrl-C stops everything."
    )


def _keeper(member: Member, options: MeshOptions, view: View, *, verbose: bool) -> Keeper:
    spec = mesh.spec_of(member, options)

    def show(line: str) -> None:
        view.say(f"{member.name} | {readable(line)}")

    log_path = options.data / "logs" / f"{member.name}.log"
    return Keeper(
        spec,
        probe=GrpcProbe(spec.address, member.ready),
        log=ServiceLog(log_path, on_line=show if verbose else None),
        reporter=view,
        policy=KeeperPolicy(),
    )


@contextmanager
def _calling_on_stop_signals(call: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    # SIGHUP is ignored under nohup, and stays so; Ctrl-C stops a mesh started with & by a script.
    ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()
    numbers = set(_STOP_SIGNALS) - ignored
    for number in numbers:
        loop.add_signal_handler(number, call)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
