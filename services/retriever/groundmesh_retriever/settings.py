"""The retriever's settings."""

from dataclasses import dataclass, field
from pathlib import Path

from groundmesh.addresses import default_address, default_port
from groundmesh.server.settings import ServerSettings
from groundmesh_retriever.core import RetrieverOptions
from groundmesh_retriever.stores import STORES

LEAST = {
    "store_timeout_s": 0.1,
    "store_start_timeout_s": 1.0,
    "catalog_timeout_s": 0.1,
    "max_text_bytes": 1.0,
    "sweep_interval_s": 1.0,
    "sweep_min_age_s": 60.0,
    "replaced_index_s": 0.0,
}


@dataclass(frozen=True)
class RetrieverSettings(ServerSettings):
    """Groundmesh's retriever: keeps documents and chunks; dense, full-text and hybrid search."""

    port: int = default_port("retriever")
    """Port to listen on; 0 takes a free one and logs it."""
    store: str = "milvus"
    """Vector store."""
    milvus_uri: str = f"http://{default_address('milvus')}"
    """Address of Milvus: a server, a cluster, or Milvus Lite's own process. Milvus Lite takes one
    retriever that writes: it does not guard itself against two."""
    milvus_token: str = field(default="", repr=False)
    """Token of Milvus (USER:PASSWORD or a key); empty where it asks for none."""
    data: Path = Path("data/retriever")
    """Folder of the catalog and of the kept texts, where no URL says otherwise."""
    catalog_url: str = ""
    """SQLAlchemy URL of the catalog, such as postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE;
    empty: SQLite in --data. Replicas share one PostgreSQL."""
    artifact_url: str = ""
    """fsspec URL of the kept texts, such as s3://BUCKET/FOLDER; empty: a folder in --data."""
    store_timeout_s: float = 10.0
    """How long one call to the vector store may take."""
    store_start_timeout_s: float = 60.0
    """How long to wait at the start for a vector store that does not answer yet."""
    catalog_timeout_s: float = 10.0
    """How long one transaction of the catalog may take."""
    max_text_bytes: int = 64 * 1024 * 1024
    """The longest text of a document."""
    sweep_interval_s: float = 300.0
    """Pause between two sweeps of what nothing refers to."""
    sweep_min_age_s: float = 900.0
    """A write that made no progress for this long was left behind, and is swept."""
    replaced_index_s: float = 120.0
    """How long an index that a reindex replaced is kept for searches under way on it."""

    def __post_init__(self) -> None:
        """ValueError, in words for who set it, for values that can't work."""
        super().__post_init__()
        if self.store not in STORES:
            raise ValueError(f"--store is {self.store}, must be one of {', '.join(STORES)}")
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"--{name.replace('_', '-')} must be at least {least:g}")

    def options(self) -> RetrieverOptions:
        """What the core needs of them."""
        folder = self.data.absolute()
        return RetrieverOptions(
            catalog_url=self.catalog_url or f"sqlite+aiosqlite:///{folder / 'catalog.db'}",
            artifact_url=self.artifact_url or (folder / "artifacts").as_uri(),
            folder=folder,
            store_start_timeout_s=self.store_start_timeout_s,
            store_timeout_s=self.store_timeout_s,
            catalog_timeout_s=self.catalog_timeout_s,
            max_text_bytes=self.max_text_bytes,
            sweep_interval_s=self.sweep_interval_s,
            sweep_min_age_s=self.sweep_min_age_s,
            replaced_index_s=self.replaced_index_s,
        )
