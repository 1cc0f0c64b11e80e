"""An endpoint as a cloud has it, without a model: each answer is what the test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

MODEL = "gpt-fake"


def chunk(text: str = "", *, finish: str | None = None, index: int = 0) -> dict[str, Any]:
    """A chunk of a streamed answer to a conversation."""
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "choices": [choice]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}}
HELLO = (chunk("Hello "), chunk("there"), chunk(finish="stop"), USAGE)


@dataclass
class Endpoint:
    """What it will say next, and what it was asked."""

    url: str = ""
    card: Mapping[str, Any] = field(
        default_factory=lambda: {"id": MODEL, "object": "model", "owned_by": "a cloud"}
    )
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)
    """Of a status that is not 200."""
    chunks: tuple[Mapping[str, Any], ...] = HELLO
    then_hang: bool = False
    """After the chunks, instead of the end."""
    ends: bool = True
    """Whether it says that it is done."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a caller has closed the stream of an answer that hangs."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.keys.append(headers.get("authorization", ""))
        if head.startswith("GET") and self.status == 200:
            _respond(writer, 200, {}, json.dumps({"object": "list", "data": [self.card]}))
        elif self.status != 200:
            _respond(writer, self.status, self.headers, json.dumps({"error": self.error}))
        else:
            self.asked.append(json.loads(body))
            await self._stream(reader, writer)
        writer.close()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
        writer.write(b"connection: close\r\n\r\n")
        for each in self.chunks:
            writer.write(f"data: {json.dumps(each)}\n\n".encode())
        await writer.drain()
        if self.then_hang:
            await reader.read()  # until the caller leaves
            self.left.set()
        elif self.ends:
            writer.write(b"data: [DONE]\n\n")


def _respond(
    writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str], body: str
) -> None:
    said = {**headers, "content-type": "application/json", "content-length": str(len(body))}
    lines = [f"HTTP/1.1 {status} OK", *(f"{name}: {value}" for name, value in said.items())]
    writer.write(("\r\n".join(lines) + "\r\nconnection: close\r\n\r\n" + body).encode())


@asynccontextmanager
async def openai_endpoint() -> AsyncIterator[Endpoint]:
    """An endpoint on a free port."""
    endpoint = Endpoint()
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    endpoint.url = f"http://127.0.0.1:{port}/v1"
    async with server:
        yield endpoint
        server.close()
