"""A thread that outlives its work, for what the kernel ties to a thread."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def run_in_lasting_thread(function: Callable[[], T], *, name: str) -> T:
    """Run ``function`` in a new thread that, when it succeeds, stays as long as the process.

    Processes that it starts are tied to that thread (see ``groundmesh.lifetime``). The thread is a
    daemon: neither a function that hangs nor the thread itself holds up the end of the process. A
    caller that is cancelled leaves it running.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(setter: Callable[[Any], None], value: Any) -> None:
        if not done.done():
            setter(value)

    def tell(setter: Callable[[Any], None], value: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, setter, value)

    def work() -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - all of them are the caller's
            tell(done.set_exception, error)
            return
        tell(done.set_result, result)
        threading.Event().wait()

    threading.Thread(target=work, name=name, daemon=True).start()
    return await done
