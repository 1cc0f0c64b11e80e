"""One child process, leader of a process group that ends with it.

Linux only: a pidfd tells of the leader's death while it is still a zombie. Until it is reaped its
process id names its group and no other, so killing the group then can't hit a stranger.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

OUTPUT_DRAIN_S = 1.0
"""How long to read what a dead group left in its pipe; its end shows that nobody is left."""

KILL_WAIT_S = 2.0
"""A process that was killed is gone at once, unless the kernel holds it in a read or write."""


class Child:
    """A running command; its output goes to a callback, its whole group dies with it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        """Made by :meth:`start`."""
        self.pid = process.pid
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._returncode: asyncio.Future[int] = self._loop.create_future()
        self._drained = asyncio.Event()
        self._pidfd = os.pidfd_open(process.pid)
        self._loop.add_reader(self._pidfd, self._on_exit)

    @classmethod
    async def start(
        cls, command: Sequence[str], *, env: Mapping[str, str], output: Callable[[bytes], None]
    ) -> "Child":
        """Start the command in a session of its own; ``output`` gets what it prints.

        Raises:
            OSError: the command can't be started.
        """
        process = subprocess.Popen(  # noqa: ASYNC220  milliseconds: it returns at the exec
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        child = cls(process)
        reader = _Output(output, child._drained)
        await child._loop.connect_read_pipe(lambda: reader, process.stdout)
        return child

    async def wait(self) -> int:
        """The exit code (negative: the signal) once the leader is gone and its group killed."""
        returncode = await asyncio.shield(self._returncode)
        with suppress(TimeoutError):
            async with asyncio.timeout(OUTPUT_DRAIN_S):
                await self._drained.wait()
        return returncode

    async def stop(self, stop_signal: signal.Signals, *, grace_s: float) -> bool:
        """Ask the leader to end; False, and the group is killed, when it did not in time."""
        self._send(stop_signal)
        try:
            async with asyncio.timeout(grace_s):
                await self.wait()
        except TimeoutError:
            await self.end()
            return False
        return True

    async def end(self) -> None:
        """Kill the group and see it gone; nothing happens when it has ended already."""
        self.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(KILL_WAIT_S):
                await self.wait()

    def kill(self) -> None:
        """Kill the whole group now; nothing happens when it is gone already."""
        if not self._returncode.done():
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _send(self, stop_signal: signal.Signals) -> None:
        if not self._returncode.done():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, stop_signal)

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.kill()
        self._returncode.set_result(self._process.wait())


class _Output(asyncio.Protocol):
    def __init__(self, output: Callable[[bytes], None], drained: asyncio.Event) -> None:
        self._output = output
        self._drained = drained

    def data_received(self, data: bytes) -> None:
        self._output(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._drained.set()


def describe_exit(returncode: int) -> str:
    """How a process ended, for a person: ``exit code 1``, ``killed by SIGKILL``."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"
