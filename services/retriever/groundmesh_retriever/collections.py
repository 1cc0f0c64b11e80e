"""Collections: create, get, list, describe, delete."""

import secrets
from dataclasses import replace

from sqlalchemy.exc import IntegrityError

from groundmesh.errors import AlreadyExists, InvalidArgument, MeshError, Reason
from groundmesh.names import CollectionName
from groundmesh_retriever import analysis
from groundmesh_retriever.catalog import chunk_sets, reindexes, times
from groundmesh_retriever.catalog import collections as rows
from groundmesh_retriever.model import (
    Calibration,
    Collection,
    CollectionChange,
    CollectionView,
    EmbeddingModel,
    Index,
    IndexConfig,
    Splitting,
)
from groundmesh_retriever.parts import Parts, no_collection
from groundmesh_retriever.stores.base import MAX_DIMENSION, IndexSpec
from groundmesh_retriever.sweep import Sweeper

MAX_DESCRIPTION_BYTES = 1_024
"""The longest description."""
_MAX_TOKENS = 1 << 20
_MAX_NAME_BYTES = 1_024
_MAX_PROMPT_BYTES = 8_192
_DEFAULT_OVERLAP_SHARE = 8
_MAX_COUNT = 2**31 - 1
_CALIBRATION = (
    ("min_evidence", -1, 1),
    ("auc", 0, 1),
    ("false_refusal_rate", 0, 1),
    ("false_answer_rate", 0, 1),
    ("answerable_questions", 0, _MAX_COUNT),
    ("unanswerable_questions", 0, _MAX_COUNT),
)


class Collections:
    """The collections of every tenant; callers have checked whose they may touch."""

    def __init__(self, parts: Parts, sweeper: Sweeper) -> None:
        self._parts = parts
        self._sweeper = sweeper

    async def create(
        self, name: CollectionName, description: str, config: IndexConfig
    ) -> CollectionView:
        """Create an empty collection; AlreadyExists when the name is taken."""
        check_description(description)
        check_config(config, at="collection.index")
        async with self._parts.database.reading() as connection:
            if await rows.find(connection, name) is not None:
                raise _exists(name)
        # The index first, noted as pending; the collection's row commits both.
        collection = await self._new(name, description, config)
        async with self._parts.database.writing() as connection:
            await rows.add_pending_index(connection, collection.uid, collection.index)
        try:
            await self._parts.vectors.create_index(index_spec(collection.index))
            async with self._parts.database.writing() as connection:
                await rows.add(connection, collection)
        except (IntegrityError, MeshError) as error:
            await self._parts.give_up_index(collection.index)
            self._sweeper.wake()
            if isinstance(error, IntegrityError):
                raise _exists(name) from error
            raise
        return CollectionView(collection, document_count=0, chunk_count=0)

    async def get(self, name: CollectionName) -> CollectionView:
        """One collection, or NotFound."""
        async with self._parts.database.reading() as connection:
            return await self._parts.view(connection, name)

    async def page(
        self, tenant: str, *, page_size: int, page_token: str
    ) -> tuple[list[CollectionView], str]:
        """A page of a tenant's collections by name, and the token of the next."""
        tokens = await self._parts.page_tokens()
        listing = ("collections", tenant)
        after = tokens.read(page_token, listing=listing)
        async with self._parts.database.reading() as connection:
            found = await rows.views(connection, tenant, after=after, limit=page_size + 1)
            found = await reindexes.beside(connection, found)
        if len(found) <= page_size:
            return found, ""
        page = found[:page_size]
        return page, tokens.make(page[-1].collection.name.collection, listing=listing)

    async def change(self, name: CollectionName, change: CollectionChange) -> CollectionView:
        """Change what needs no other index."""
        check_description(change.description)
        if change.calibration is not None:
            check_calibration(change.calibration)
        async with self._parts.database.writing() as connection:
            await rows.change(connection, name, change)
            return await self._parts.view(connection, name)

    async def delete(self, name: CollectionName) -> None:
        """Delete a collection with all that is in it; the stores are emptied right after."""
        async with self._parts.database.writing() as connection:
            found = await rows.find(connection, name)
            if found is None:
                raise no_collection(name)
            await chunk_sets.remove_collection(connection, found.uid)
            await rows.remove(connection, found.uid)
        self._sweeper.wake()

    async def _new(self, name: CollectionName, description: str, config: IndexConfig) -> Collection:
        now = times.to_datetime(times.now())
        index = await self._parts.new_index(config, version=1)
        return Collection(secrets.token_hex(16), name, description, index, now, now)


def complete(config: IndexConfig, *, overlap_given: bool) -> IndexConfig:
    """The settings with what a client may leave out filled in."""
    embedding, splitting = config.embedding, config.splitting
    max_tokens = splitting.max_tokens or embedding.max_input_tokens
    overlap = splitting.overlap_tokens if overlap_given else max_tokens // _DEFAULT_OVERLAP_SHARE
    return IndexConfig(
        embedding,
        replace(splitting, max_tokens=max_tokens, overlap_tokens=overlap),
        config.language or analysis.DEFAULT_LANGUAGE,
    )


def check_description(description: str) -> None:
    """InvalidArgument when a description is too long."""
    _at_most(description, "collection.description", MAX_DESCRIPTION_BYTES)


def check_calibration(calibration: Calibration) -> None:
    """InvalidArgument for figures that nobody can have measured."""
    for part, least, most in _CALIBRATION:
        value = getattr(calibration, part)
        if not least <= value <= most:  # which NaN is not
            raise InvalidArgument.of_field(
                f"collection.calibration.{part}", f"must be {least} to {most}, not {value}"
            )


def check_config(config: IndexConfig, *, at: str) -> None:
    """InvalidArgument for settings that no index can have; ``at`` is their field."""
    _check_embedding(config.embedding, f"{at}.embedding")
    _check_splitting(config.splitting, config.embedding, f"{at}.splitting")
    if not analysis.is_language(config.language):
        known = ", ".join((*analysis.LANGUAGES, analysis.UNDETERMINED))
        raise InvalidArgument.of_field(f"{at}.analysis.language", f"must be one of {known}")


def _check_embedding(embedding: EmbeddingModel, at: str) -> None:
    for part in ("model", "revision"):
        if not getattr(embedding, part):
            raise InvalidArgument.of_field(f"{at}.{part}", "must be set")
    for part in ("model", "revision", "compute_dtype"):
        _at_most(getattr(embedding, part), f"{at}.{part}", _MAX_NAME_BYTES)
    for part in ("query_prompt", "passage_prompt"):
        _at_most(getattr(embedding, part), f"{at}.{part}", _MAX_PROMPT_BYTES)
    if not 2 <= embedding.dimension <= MAX_DIMENSION:  # noqa: PLR2004 - Milvus's own least
        raise InvalidArgument.of_field(f"{at}.dimension", f"must be from 2 to {MAX_DIMENSION}")
    if not 1 <= embedding.max_input_tokens <= _MAX_TOKENS:
        raise InvalidArgument.of_field(f"{at}.max_input_tokens", f"must be 1 to {_MAX_TOKENS}")


def _check_splitting(splitting: Splitting, embedding: EmbeddingModel, at: str) -> None:
    if not 1 <= splitting.max_tokens <= embedding.max_input_tokens:
        raise InvalidArgument.of_field(
            f"{at}.max_tokens", f"must be 1 to {embedding.max_input_tokens}, what the model reads"
        )
    half = splitting.max_tokens // 2  # with more, a chunk might add nothing new
    if not 0 <= splitting.overlap_tokens <= half:
        raise InvalidArgument.of_field(
            f"{at}.overlap_tokens", f"must be 0 to {half}, half of max_tokens"
        )
    _at_most(splitting.method, f"{at}.method", _MAX_NAME_BYTES)


def _at_most(text: str, field: str, limit: int) -> None:
    if len(text.encode()) > limit:
        raise InvalidArgument.of_field(field, f"at most {limit} bytes")


def index_spec(index: Index) -> IndexSpec:
    """The same to a vector store."""
    return IndexSpec(index.id, index.config.embedding.dimension, full_text=index.full_text)


def _exists(name: CollectionName) -> AlreadyExists:
    return AlreadyExists(f"{name} is there already", reason=Reason.COLLECTION_EXISTS)
