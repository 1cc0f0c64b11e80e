"""Calls for tests of the queue."""

import asyncio
from collections.abc import Sequence

import numpy as np

from groundmesh_embedder.backends.base import Encoded, Rows
from groundmesh_embedder.fair_queue import Call, Lane


class Lengths:
    """A model whose answer to an input is how much of it it read."""

    def run(self, batch: Sequence[Encoded]) -> Rows:
        return np.array([[encoded.read] for encoded in batch], dtype=np.float32)


LENGTHS = Lengths()

# Futures want a loop; nothing here runs one.
NO_LOOP = asyncio.new_event_loop()
NO_LOOP.close()


def inputs(lengths: Sequence[int], *, group: str = "") -> list[Encoded]:
    return [Encoded({}, tokens=length, read=length, group=group) for length in lengths]


def call(
    lengths: Sequence[int], lane: Lane = Lane.INTERACTIVE, *, runner: Lengths = LENGTHS
) -> Call:
    done: asyncio.Future[None] = asyncio.Future(loop=NO_LOOP)
    return Call(runner=runner, lane=lane, inputs=inputs(lengths), deadline=None, done=done)
