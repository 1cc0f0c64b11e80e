"""The gateway's settings."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from groundmesh.addresses import default_address, default_port
from groundmesh.errors import NotFound
from groundmesh.prompting import BUILT_IN, DEFAULT_TEMPLATE, Templates, read_templates
from groundmesh.server.settings import ServerSettings
from groundmesh_gateway.ask import AskOptions
from groundmesh_gateway.finding import FindOptions
from groundmesh_gateway.grounding import InferOptions
from groundmesh_gateway.ingestion.options import IngestOptions
from groundmesh_gateway.workers import WorkerLimits

_MIB = 1024 * 1024

LEAST = {
    "answer_tokens": 1,
    "min_score": -1.0,
    "min_inferred_score": 0.0,
    "temperature": 0.0,
    "candidates_per_result": 1,
    "least_candidates": 1,
    "most_candidates": 1,
    "max_document_bytes": 1,
    "max_text_bytes": 1,
    "bytes_in_hand": 1,
    "documents_in_hand": 1,
    "parse_workers": 0,
    "parse_timeout_s": 0.1,
    "parse_timeout_per_mib_s": 0.0,
    "parse_memory_bytes": 64 * _MIB,
    "embed_batch_texts": 1,
    "embed_calls": 1,
    "embed_timeout_s": 0.1,
    "write_streams": 1,
    "write_timeout_s": 0.1,
    "patience_s": 0.0,
}


@dataclass(frozen=True)
class GatewaySettings(ServerSettings):
    """Groundmesh's gateway: takes documents in, answers questions from them."""

    port: int = default_port("gateway")
    """Port to listen on; 0 takes a free one and logs it."""
    role: Literal["ask", "ingest", "all"] = "all"
    """ask: Ask and Search; ingest: Ingest. Collections and documents are served by both."""
    embedder: str = default_address("embedder")
    """Address of the embedder: host:port, or any target of gRPC."""
    retriever: str = default_address("retriever")
    """Address of the retriever."""
    generator: str = default_address("generator")
    """Address of the generator; empty: there is none."""
    trainer: str = default_address("trainer")
    """Address of the trainer; empty: there is none."""
    mesh_tls_ca: Path | None = None
    """CA certificates (PEM) that the services behind must come from; turns TLS to them on."""
    mesh_tls_cert: Path | None = None
    """Own certificate chain (PEM), shown to the services behind (mTLS)."""
    mesh_tls_key: Path | None = None
    """Private key (PEM) of it."""
    answer_tokens: int = AskOptions.answer_tokens
    """Most tokens of an answer for which the question sets no bound."""
    min_score: float = AskOptions.min_score
    """Cosine that the nearest passage must have, else the question is not put to the model, for
    collections that are not calibrated (groundmesh eval answers --calibrate); 0: no bound."""
    min_inferred_score: float = InferOptions.min_score
    """How well a sentence of an answer that cites nothing must agree with one of a passage to be
    given that as its citation, 0 to 1; over 1: no citation is inferred."""
    temperature: float = 0.0
    """Of answers to questions that set none."""
    template: str = DEFAULT_TEMPLATE.reference
    """Prompt template of questions that choose none: name@version, or name for its newest."""
    templates: Path | None = None
    """TOML file with prompt templates of your own, beside the built-in ones."""
    candidates_per_result: int = FindOptions.candidates_per_result
    """Chunks to search for a result that is wanted, where they are reranked, made diverse or
    merged,"""
    least_candidates: int = FindOptions.least_candidates
    """but so many in all at least"""
    most_candidates: int = FindOptions.most_candidates
    """and so many at most."""
    max_document_bytes: int = 64 * _MIB
    """Largest document that is taken in."""
    max_text_bytes: int = 64 * _MIB
    """Longest text that is extracted from one; no more than the retriever takes."""
    bytes_in_hand: int = 128 * _MIB
    """Bytes of documents that are worked on; past it streams are read no further. One document a
    stream may come on top."""
    documents_in_hand: int = 512
    """Documents of one stream that are worked on side by side."""
    parse_workers: int = 0
    """Processes that parse; 0: half of the cores."""
    parse_timeout_s: float = 30.0
    """How long parsing and splitting a document may take,"""
    parse_timeout_per_mib_s: float = 5.0
    """and this for each MiB of it."""
    parse_memory_bytes: int = 1024 * _MIB
    """Memory that a document may cost the process that parses it."""
    embed_batch_texts: int = 64
    """Chunks in one call of the embedder; it takes no more than its --max-texts."""
    embed_calls: int = 4
    """Calls of the embedder that a stream of documents has under way."""
    embed_timeout_s: float = 300.0
    """How long one of them may take."""
    write_streams: int = 16
    """Documents of a stream that are written side by side."""
    write_timeout_s: float = 120.0
    """How long the retriever may take nothing and answer nothing."""
    patience_s: float = 120.0
    """How long embedder or retriever may be away before documents fail for it."""

    def __post_init__(self) -> None:
        """ValueError, in words for who set it, for values that can't work."""
        super().__post_init__()
        if (self.mesh_tls_cert is None) != (self.mesh_tls_key is None):
            raise ValueError("--mesh-tls-cert and --mesh-tls-key are given together or not at all")
        for name, least in LEAST.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"--{name.replace('_', '-')} must be at least {least:g}")
        try:
            self.prompt_templates().get(self.template)
        except NotFound as error:
            raise ValueError(f"--template: {error.message}") from error

    def prompt_templates(self) -> Templates:
        """The built-in templates and those of the file; TemplateError where one can't work."""
        own = read_templates(self.templates) if self.templates else []
        return Templates((*BUILT_IN, *own))

    def ask_options(self) -> AskOptions:
        """What answering needs of them."""
        finding = FindOptions(
            candidates_per_result=self.candidates_per_result,
            least_candidates=self.least_candidates,
            most_candidates=self.most_candidates,
        )
        return AskOptions(
            answer_tokens=self.answer_tokens,
            min_score=self.min_score,
            finding=finding,
            inferring=InferOptions(min_score=self.min_inferred_score),
        )

    def ingest_options(self) -> IngestOptions:
        """What taking documents in needs of them."""
        return IngestOptions(
            parse_workers=self.parse_workers or max(1, (os.cpu_count() or 1) // 2),
            worker=WorkerLimits(
                timeout_s=self.parse_timeout_s,
                timeout_per_mib_s=self.parse_timeout_per_mib_s,
                memory_bytes=self.parse_memory_bytes,
                max_text_bytes=self.max_text_bytes,
            ),
            bytes_in_hand=self.bytes_in_hand,
            documents_in_hand=self.documents_in_hand,
            max_document_bytes=self.max_document_bytes,
            embed_batch_texts=self.embed_batch_texts,
            embed_calls=self.embed_calls,
            embed_timeout_s=self.embed_timeout_s,
            write_streams=self.write_streams,
            write_timeout_s=self.write_timeout_s,
            patience_s=self.patience_s,
        )
