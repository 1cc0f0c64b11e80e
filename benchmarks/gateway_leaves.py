"""What stands behind the gateway in its benchmark: ``python -m benchmarks.gateway_leaves``.

Each a process of its own: a generator without a model that says its words at a fixed pace, with
the tokenizer of a real one; an embedder and a retriever that are fakes and answer at once.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.corpus import passages
from groundmesh.models import resolve_model
from groundmesh.server.app import Service, run
from groundmesh.server.settings import ServerSettings, load_settings
from groundmesh.v1 import retriever_pb2
from groundmesh_generator.backends.base import TokenizerFile
from tests.fakes.leaves import FakeEmbedder, FakeRetriever, chunk
from tests.fakes.paced_generator import CHAT_TEMPLATE, PacedBackend, paced_generator

FIRST_TOKEN_S = 0.05
TOKEN_S = 0.02
"""Fifty tokens a second for each of all callers, however many there are."""
_CONTEXT_TOKENS = 8_192
_PASSAGES = 5
_MODEL = "SmolLM2-135M-Instruct"


@dataclass(frozen=True)
class LeafSettings(ServerSettings):
    """Which leaf this is."""

    leaf: Literal["generator", "embedder", "retriever"] = "generator"
    """What it serves."""


def main() -> int:
    """Serve until told to stop."""
    settings = load_settings(LeafSettings, service="leaf")
    match settings.leaf:
        case "generator":
            return run(_generator(), settings)
        case "embedder":
            return run(FakeEmbedder().service(), settings)
        case "retriever":
            return run(FakeRetriever(chunks=_chunks()).service(), settings)


def _generator() -> Service:
    backend = PacedBackend(
        first_token_s=FIRST_TOKEN_S, token_s=TOKEN_S, context_tokens=_CONTEXT_TOKENS
    )
    content = (Path(resolve_model(_MODEL).path) / "tokenizer.json").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    backend.tokenizer = TokenizerFile(content, sha256, CHAT_TEMPLATE)
    return paced_generator(backend)


def _chunks() -> list[retriever_pb2.ScoredChunk]:
    texts = [text for text in passages(100) if len(text.split()) > 100][:_PASSAGES]  # noqa: PLR2004
    return [chunk(text, uri=f"file:///{number}.md") for number, text in enumerate(texts)]


if __name__ == "__main__":
    sys.exit(main())
