"""Messages between the gateway and its worker processes: a JSON header, then blobs.

It is not pickle: a worker reads untrusted documents with native libraries, and to unpickle what a
worker says would let whoever takes over a worker take over the gateway, too.
"""

import asyncio
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

_LENGTH = struct.Struct(">I")
_MAX_HEADER_BYTES = 256 * 1024
_MAX_BLOBS = 3
_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Frame:
    """One message."""

    header: dict[str, Any]
    blobs: tuple[bytes, ...] = ()


class FrameError(Exception):
    """The other side sent what is no frame, or a larger one than was asked for."""


def pieces(frame: Frame) -> Iterator[bytes | memoryview]:
    """What to write for ``frame``, in pieces so small that none of them holds up a loop."""
    header = json.dumps({**frame.header, "blobs": [len(blob) for blob in frame.blobs]}).encode()
    yield _LENGTH.pack(len(header)) + header
    for blob in frame.blobs:
        for begin in range(0, len(blob), _PIECE_BYTES):
            yield memoryview(blob)[begin : begin + _PIECE_BYTES]


def read(stream: BinaryIO) -> Frame | None:
    """The next message of a worker's parent, None at the end."""
    prefix = stream.read(_LENGTH.size)
    if len(prefix) < _LENGTH.size:
        return None
    header = json.loads(stream.read(*_LENGTH.unpack(prefix)))
    return Frame(header, tuple(stream.read(size) for size in header.pop("blobs")))


async def receive(reader: asyncio.StreamReader, *, max_blob_bytes: int) -> Frame:
    """The next message of a worker; IncompleteReadError when it died."""
    (size,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if size > _MAX_HEADER_BYTES:
        raise FrameError(f"a header of {size} bytes")
    try:
        header = json.loads(await reader.readexactly(size))
        sizes = _checked(header.pop("blobs"), max_blob_bytes)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise FrameError("a header that is no frame's") from error
    return Frame(header, tuple([await _blob(reader, size) for size in sizes]))


def _checked(sizes: Sequence[int], limit: int) -> Sequence[int]:
    if len(sizes) > _MAX_BLOBS or not all(0 <= size <= limit for size in sizes):
        raise ValueError(f"blobs of {sizes} bytes")
    return sizes


async def _blob(reader: asyncio.StreamReader, size: int) -> bytes:
    blob = bytearray()
    while len(blob) < size:
        blob += await reader.readexactly(min(_PIECE_BYTES, size - len(blob)))
    return bytes(blob)
