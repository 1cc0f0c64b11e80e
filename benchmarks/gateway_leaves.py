"""What stands behind the gateway in its benchmark: ``python -m benchmarks.gateway_leaves``.

Each a process of its own: a generator without a model that says its words at a fixed pace, with
the tokenizer of a real one; an embedder and a retriever that are fakes and answer at once.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from google.protobuf.message import Message

from benchmarks.corpus import passages
from groundmesh.models import resolve_model
from groundmesh.server.app import Service, run
from groundmesh.server.settings import ServerSettings, load_settings
from groundmesh_generator.backends.base import TokenizerFile
from tests.fakes.leaves import Context, FakeEmbedder, FakeRetriever, chunk
from tests.fakes.paced_generator import CHAT_TEMPLATE, PacedBackend, paced_generator

FIRST_TOKEN_S = 0.05
_CONTEXT_TOKENS = 8_192
_PASSAGES = 5
_TEXTS = 20_000
"""More than are remembered anywhere."""
_LEAST_WORDS = 100
_MODEL = "SmolLM2-135M-Instruct"


@dataclass(frozen=True)
class LeafSettings(ServerSettings):
    """Which leaf this is."""

    leaf: Literal["generator", "embedder", "retriever"] = "generator"
    """What it serves."""
    token_s: float = 0.05
    """The generator's pace: a token in so many seconds for each caller, however many there are."""


def main() -> int:
    """Serve until told to stop."""
    settings = load_settings(LeafSettings, service="leaf")
    match settings.leaf:
        case "generator":
            return run(_generator(settings.token_s), settings)
        case "embedder":
            return run(_Embedder().service(), settings)
        case "retriever":
            return run(_retriever().service(), settings)


def _generator(token_s: float) -> Service:
    backend = PacedBackend(
        first_token_s=FIRST_TOKEN_S, token_s=token_s, context_tokens=_CONTEXT_TOKENS
    )
    content = (Path(resolve_model(_MODEL).path) / "tokenizer.json").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    backend.tokenizer = TokenizerFile(content, sha256, CHAT_TEMPLATE)
    return paced_generator(backend)


class _OtherChunks(FakeRetriever):
    """Finds other chunks for every question, as if each were about something else."""

    async def seen(self, request: Message, context: Context) -> None:
        """One call."""
        self.chunks = [*self.chunks[_PASSAGES:], *self.chunks[:_PASSAGES]]


class _Embedder(FakeEmbedder):
    """Remembers nothing."""

    async def seen(self, request: Message, context: Context) -> None:
        """One call."""


def _retriever() -> FakeRetriever:
    texts = [text for text in passages(_TEXTS) if len(text.split()) > _LEAST_WORDS]
    chunks = [chunk(text, uri=f"file:///{number}.md") for number, text in enumerate(texts)]
    return _OtherChunks(chunks=chunks)


if __name__ == "__main__":
    sys.exit(main())
