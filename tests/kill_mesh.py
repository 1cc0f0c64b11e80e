"""A mesh for ingesting whose processes can be killed one by one, and what lies in its stores."""

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from groundmesh.client import Client, IndexSettings
from groundmesh.errors import Unavailable
from groundmesh.lifetime import tied
from groundmesh.v1 import mesh_pb2, mesh_pb2_grpc
from groundmesh_retriever.core import Retriever
from groundmesh_retriever.settings import RetrieverSettings
from groundmesh_retriever.stores.milvus import MilvusStore
from tests.milvus_servers import MilvusProcess, free_port, milvus_client

UP_WITHIN_S = 120.0
INGEST_WITHIN_S = 600.0
SWEPT_WITHIN_S = 60.0
FEW_TOKENS = IndexSettings(max_tokens=32, overlap_tokens=4)
MOST_ROWS = 16_384
"""Milvus gives no more at once."""

Chunk = tuple[int, int, int, str]
"""Ordinal, first byte, the byte after the last, and text."""


@dataclass
class Member:
    """A service as a process at an address of its own, started again at the same."""

    name: str
    flags: tuple[str, ...]
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        command = (sys.executable, "-m", f"groundmesh_{self.name}", "--port", str(self.port))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                tied((*command, *self.flags)), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """As an operator's kill -9 would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def load(self) -> dict[str, float]:
        """Its present figures; empty when it does not answer."""
        with grpc.insecure_channel(self.address) as channel:
            stub = mesh_pb2_grpc.MeshServiceStub(channel)
            try:
                info = stub.GetServerInfo(mesh_pb2.GetServerInfoRequest(), timeout=2.0)
            except grpc.RpcError:
                return {}
        return dict(info.server.load) if info.server.ready else {}

    def wait_ready(self) -> None:
        end = time.monotonic() + UP_WITHIN_S
        while not self.load():
            assert self.process is not None, "start it first"
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            assert time.monotonic() < end, self.log.read_text()[-2000:]
            time.sleep(0.1)


@dataclass(frozen=True)
class Contents:
    """All that the stores hold, but for what a catalog has of its own."""

    chunks: dict[str, list[Chunk]]
    """By the URI of the document, in the vector store."""
    keys: list[str]
    """Of every row of every index of the vector store."""
    live_keys: list[str]
    """Those that the catalog wants there."""
    leftovers: list[str]
    """Rows of the catalog that only a sweep cares for."""
    texts: list[str]
    """Hashes of the files in the store of texts."""
    wanted_texts: list[str]
    """Those that the catalog's documents have."""


@dataclass
class KillMesh:
    """Gateway, embedder, retriever and Milvus, each to be killed and started again by name."""

    milvus: MilvusProcess
    folder: Path
    members: dict[str, Member]

    def start(self) -> None:
        for member in self.members.values():
            member.start()
        self.wait_ready()

    def wait_ready(self) -> None:
        asyncio.run(self.milvus.up())
        for member in self.members.values():
            member.wait_ready()

    def kill(self, name: str) -> None:
        (self.milvus if name == "milvus" else self.members[name]).kill()

    def restart(self, name: str) -> None:
        (self.milvus if name == "milvus" else self.members[name]).start()

    def ingest(self, folder: Path, collection: str) -> subprocess.Popen[str]:
        """`groundmesh ingest` as a process of its own."""
        command = (sys.executable, "-m", "groundmesh.cli", "ingest", str(folder), "--json")
        return subprocess.Popen(
            [*command, "--collection", collection, "--server", self.members["gateway"].address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ingested(self, folder: Path, collection: str) -> dict[str, int]:
        """What a whole `groundmesh ingest` says that it has done."""
        return finished(self.ingest(folder, collection))

    def create(self, collection: str) -> None:
        asyncio.run(self._create(collection))

    async def _create(self, collection: str) -> None:
        async with Client(self.members["gateway"].address) as client:
            await client.collections.create(collection, index=FEW_TOKENS)

    @contextmanager
    def catalog(self) -> Iterator[sqlite3.Connection]:
        path = self.folder / "retriever" / "catalog.db"
        with closing(sqlite3.connect(path, timeout=5.0, isolation_level=None)) as connection:
            yield connection

    def sweep(self) -> None:
        """What the retriever's own sweep would do a quarter of an hour after the last write.

        In its place, as Milvus Lite takes one retriever that writes.
        """
        self.kill("retriever")
        asyncio.run(self._sweep())
        self.restart("retriever")
        self.wait_ready()

    async def _sweep(self) -> None:
        settings = RetrieverSettings(data=self.folder / "retriever")
        store = MilvusStore(self.milvus.uri, token="", timeout_s=30.0)
        sweeping = Retriever(store, settings.options(), engine="milvus")
        async with asyncio.timeout(SWEPT_WITHIN_S):
            await sweeping.start()
            try:
                sweeping.sweeper.min_age_s = 0.0
                await _sweep_to_the_end(sweeping)
            finally:
                await sweeping.stop()

    def contents(self, collection: str) -> Contents:
        """What is in the stores now; no other collection may be there."""
        with self.catalog() as catalog:
            [(uid,)] = catalog.execute(
                "SELECT uid FROM collections WHERE collection_id = ?", (collection,)
            ).fetchall()
            uris = dict(
                catalog.execute(
                    "SELECT document_id, uri FROM documents WHERE collection_uid = ?", (uid,)
                )
            )
            live = catalog.execute(
                "SELECT version, chunk_count FROM chunk_sets WHERE state = 'LIVE'"
            ).fetchall()
            left = catalog.execute(
                "SELECT version || state FROM chunk_sets WHERE state <> 'LIVE'"
                " UNION SELECT id || state FROM indexes WHERE state <> 'SERVING'"
                " UNION SELECT sha256 FROM texts"
                " WHERE sha256 NOT IN (SELECT text_sha256 FROM documents)"
            ).fetchall()
            wanted = catalog.execute("SELECT DISTINCT text_sha256 FROM documents").fetchall()
        rows = self._rows()
        chunks: dict[str, list[Chunk]] = {}
        for row in rows:
            uri = uris.get(row["document"], f"unknown {row['document']}")
            chunk = (row["ordinal"], row["start_byte"], row["end_byte"], row["text"])
            chunks.setdefault(uri, []).append(chunk)
        return Contents(
            chunks={uri: sorted(of) for uri, of in chunks.items()},
            keys=sorted(row["key"] for row in rows),
            live_keys=sorted(f"{version}-{n}" for version, count in live for n in range(count)),
            leftovers=[value for (value,) in left],
            texts=self._texts(),
            wanted_texts=sorted(value for (value,) in wanted),
        )

    def _texts(self) -> list[str]:
        folder = self.folder / "retriever" / "artifacts"
        files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
        return sorted("".join(path.parts).removeprefix("texts") for path in files)

    def _rows(self) -> list[dict[str, Any]]:
        client = milvus_client(self.milvus.uri)
        fields = ["key", "document", "ordinal", "start_byte", "end_byte", "text"]
        try:
            rows: list[dict[str, Any]] = []
            for index in client.list_collections():
                client.load_collection(index)
                some = client.query(
                    index,
                    filter='key > ""',
                    output_fields=fields,
                    limit=MOST_ROWS,
                    consistency_level="Strong",
                )
                assert len(some) < MOST_ROWS
                rows.extend(some)
        finally:
            client.close()
        return rows


async def _sweep_to_the_end(retriever: Retriever) -> None:
    while True:
        try:
            return await retriever.sweeper.sweep()
        except Unavailable:  # Milvus still comes up
            await asyncio.sleep(1)


def finished(ingest: subprocess.Popen[str]) -> dict[str, int]:
    """What an ingest says that it has done; it must have ended well."""
    out, err = ingest.communicate(timeout=INGEST_WITHIN_S)
    assert ingest.returncode == 0, f"{ingest.returncode}: {err[-3000:]}{out[-3000:]}"
    return {key: value for key, value in json.loads(out).items() if isinstance(value, int)}


@contextmanager
def kill_mesh(milvus: MilvusProcess, folder: Path) -> Iterator[KillMesh]:
    """A mesh over a running Milvus, all of it ready; killed at the end."""
    embedder = Member("embedder", (), folder)
    retriever = Member(
        "retriever",
        (f"--milvus-uri={milvus.uri}", f"--data={folder / 'retriever'}"),
        folder,
    )
    gateway = Member(
        "gateway",
        (
            "--role=ingest",
            f"--embedder={embedder.address}",
            f"--retriever={retriever.address}",
            f"--generator={embedder.address}",  # is never called, but asked how it is
            f"--trainer={embedder.address}",
        ),
        folder,
    )
    mesh = KillMesh(milvus, folder, {each.name: each for each in (embedder, retriever, gateway)})
    with ExitStack() as stack:
        for member in mesh.members.values():
            stack.callback(member.kill)
        mesh.start()
        yield mesh
