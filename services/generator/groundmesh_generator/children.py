"""The processes that an engine starts: each dies with its parent, and logs as the service does.

vLLM starts its EngineCore, and that its workers, through ``multiprocessing`` (spawn). By themselves
they outlive a parent that is killed, by minutes when it is killed while they still start. So
``multiprocessing`` is told that Python is the command ``groundmesh-generator-child``, which is
``main`` below: it ties itself to its parent before anything is imported, and becomes Python.
"""

import json
import logging
import multiprocessing
import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import NoReturn

from groundmesh.errors import FailedPrecondition
from groundmesh.lifetime import PARENT_PID_VARIABLE, die_with_parent
from groundmesh_generator.backends.base import EngineLogs

COMMAND = "groundmesh-generator-child"
LOGS_VARIABLE = "GROUNDMESH_ENGINE_LOGS"
"""Carries ``EngineLogs`` to the children."""

SLEEP_VARIABLE = "GROUNDMESH_ENGINE_SLEEPS"
"""Set, it lets the processes of the engine sleep while they wait for each other."""

LOOK_EVERY_S = 0.0001
"""How long such a sleep is: short before a step, which takes 20 ms and more."""

_FIRST = "from groundmesh_generator.children import begin; begin(); "
"""Put before the program that ``multiprocessing`` gives a child."""


_NO_NEWS_OF_LEAKS = ("-W", "ignore:resource_tracker:UserWarning")
"""For the process that frees the shared memory of killed ones, and warns of each that it finds."""


@contextmanager
def tied_children(logs: EngineLogs) -> Iterator[None]:
    """Processes started in the block die with this one, and so do those that they start.

    The kernel watches the thread that starts them: it must last as long as they may.
    """
    python = sys.executable
    os.environ[LOGS_VARIABLE] = json.dumps(asdict(logs))
    # vLLM starts its model inspector not by multiprocessing but by sys.executable.
    sys.executable = _tie_from_here()
    try:
        yield
    finally:
        sys.executable = python
        multiprocessing.set_executable(python)
        del os.environ[PARENT_PID_VARIABLE], os.environ[LOGS_VARIABLE]


def begin() -> None:
    """Run before all else in each process that ``multiprocessing`` starts for the engine."""
    from groundmesh.server.logs import configure_logs
    from groundmesh.server.settings import ServerSettings

    _tie_from_here()
    logs = EngineLogs(**json.loads(os.environ[LOGS_VARIABLE]))
    # Every value of EngineLogs comes from a ServerSettings.
    settings = ServerSettings(log_level=logs.level, log_format=logs.format)  # type: ignore[arg-type]
    configure_logs("generator", settings)
    quiet_engine(logs)
    logging.captureWarnings(capture=True)
    logging.getLogger("py.warnings").setLevel(logs.engine_level.upper())
    if os.environ.get(SLEEP_VARIABLE):
        _sleep_while_waiting()


def quiet_engine(logs: EngineLogs) -> None:
    """Let the engine's own messages through from their level on."""
    logging.getLogger("vllm").setLevel(logs.engine_level.upper())


def main() -> NoReturn:
    """Tie this process to its parent and become Python with the same arguments."""
    arguments = sys.argv[1:]
    if _is_resource_tracker(arguments):
        os.setsid()  # whoever kills our process group must leave it time to tidy up
        arguments = [*_NO_NEWS_OF_LEAKS, *arguments]
    else:
        die_with_parent()
        arguments = _beginning_first(arguments)
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - no shell is wanted


def _sleep_while_waiting() -> None:
    """Let a process of vLLM sleep between two looks for another's message.

    By itself it looks again and again, and only yields, until a second after the last message. So
    EngineCore takes a whole core while its worker computes; where there are few, that core is the
    one that the frontend needs, and when the worker is done EngineCore has used up its turn. (To
    wait for vLLM's own notice instead does not work: it is sent, but some get lost.)
    """
    from vllm.distributed.device_communicators import shm_broadcast

    shm_broadcast.sched_yield = partial(time.sleep, LOOK_EVERY_S)


def _tie_from_here() -> str:
    command = shutil.which(COMMAND, path=sysconfig.get_path("scripts"))
    if command is None:
        raise FailedPrecondition(f"{COMMAND} is missing: install groundmesh-generator again")
    os.environ[PARENT_PID_VARIABLE] = str(os.getpid())
    multiprocessing.set_executable(command)
    return command


def _is_resource_tracker(arguments: Sequence[str]) -> bool:
    """Whether this must outlive its parent, to free the shared memory that it leaves."""
    return any("multiprocessing.resource_tracker" in argument for argument in arguments)


def _beginning_first(arguments: Sequence[str]) -> list[str]:
    changed = list(arguments)
    if "--multiprocessing-fork" in changed:
        program = changed.index("-c") + 1
        changed[program] = _FIRST + changed[program]
    return changed
