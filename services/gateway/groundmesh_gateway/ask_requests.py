"""What of a question is refused before any work is put into it."""

from collections.abc import Iterable, Sequence

from groundmesh.errors import InvalidArgument
from groundmesh.names import CollectionName
from groundmesh.server.checks import (
    Checks,
    in_range,
    known_enum,
    max_bytes,
    max_items,
    not_empty,
    require_name,
)
from groundmesh.v1 import common_pb2, gateway_pb2, generator_pb2, retriever_pb2

_MAX_TEXT_BYTES = 8 * 1024
_MAX_COLLECTIONS = 100
_MAX_LIMIT = 1_000
_MAX_RANK_CONSTANT = 1_000
_MAX_MODEL_BYTES = 1_024
_MAX_TEMPLATE_BYTES = 256
_MAX_HISTORY = 100
_MAX_HISTORY_BYTES = 64 * 1024
_SAID_BY = (generator_pb2.ROLE_USER, generator_pb2.ROLE_ASSISTANT)
MAX_STOPS = 16
"""What the generator takes."""
_MAX_STOP_BYTES = 256
_MAX_INT32 = 2**31 - 1
_MAX_INT64 = 2**63 - 1

_RANGES = (
    ("temperature", 0.0, 2.0),
    ("min_p", 0.0, 1.0),
    ("presence_penalty", -2.0, 2.0),
    ("frequency_penalty", -2.0, 2.0),
    ("top_k", 0, _MAX_INT32),
    ("seed", 0, _MAX_INT64),
    ("max_tokens", 1, _MAX_INT32),
    ("n", 1, 1),
)
_NOT_OF_AN_ANSWER = {"logprobs", "structured_output"}
_OVER_ZERO = (("top_p", 1.0), ("repetition_penalty", 2.0))


def check_ask(request: gateway_pb2.AskRequest) -> None:
    """Raise for everything that no state of the mesh could make right."""
    checks = Checks()
    _check_collections(request.collections, checks)
    _check_text(request.question, "question", checks)
    with checks:
        max_bytes(request.model, field="model", limit=_MAX_MODEL_BYTES)
    with checks:
        _check_known(request.priority, common_pb2.Priority, "priority")
    _check_retrieval(request.retrieval, checks)
    _check_sampling(request.sampling, checks)
    with checks:
        max_bytes(request.template, field="template", limit=_MAX_TEMPLATE_BYTES)
    _check_history(request.history, checks)
    checks.raise_if_any()


def check_search(request: gateway_pb2.GatewayServiceSearchRequest) -> None:
    """Raise for everything that no state of the mesh could make right."""
    checks = Checks()
    _check_collections(request.collections, checks)
    _check_text(request.query, "query", checks)
    _check_retrieval(request.retrieval, checks)
    checks.raise_if_any()


def _check_collections(sent: Iterable[str], checks: Checks) -> None:
    names = list(sent)
    with checks:
        if not names:
            raise InvalidArgument.of_field("collections", "must name at least one")
        max_items(len(names), field="collections", limit=_MAX_COLLECTIONS)
        if len(set(names)) < len(names):
            raise InvalidArgument.of_field("collections", "must not name one twice")
    for index, name in enumerate(names[:_MAX_COLLECTIONS]):
        with checks:
            require_name(name, CollectionName, field=f"collections[{index}]")


def _check_text(text: str, field: str, checks: Checks) -> None:
    with checks:
        not_empty(text, field=field)
        max_bytes(text, field=field, limit=_MAX_TEXT_BYTES)


def _check_history(history: Sequence[generator_pb2.ChatMessage], checks: Checks) -> None:
    with checks:
        max_items(len(history), field="history", limit=_MAX_HISTORY)
        size = sum(len(message.content.encode()) for message in history)
        if size > _MAX_HISTORY_BYTES:
            raise InvalidArgument.of_field(
                "history", f"has {size} bytes, at most {_MAX_HISTORY_BYTES} are taken"
            )
    for index, message in enumerate(history[:_MAX_HISTORY]):
        with checks:
            if message.role not in _SAID_BY:
                raise InvalidArgument.of_field(
                    f"history[{index}].role", "must be that of the user or of the assistant"
                )
            not_empty(message.content, field=f"history[{index}].content")


def _check_retrieval(retrieval: gateway_pb2.RetrievalOptions, checks: Checks) -> None:
    with checks:
        _check_known(retrieval.mode, retriever_pb2.SearchMode, "retrieval.mode")
    with checks:
        _check_known(retrieval.consistency, retriever_pb2.Consistency, "retrieval.consistency")
    with checks:
        in_range(retrieval.limit, field="retrieval.limit", low=0, high=_MAX_LIMIT)
    with checks:
        in_range(
            retrieval.max_chunks_per_document,
            field="retrieval.max_chunks_per_document",
            low=0,
            high=_MAX_INT32,
        )
    for field, value, high in _shares(retrieval):
        with checks:
            in_range(value, field=f"retrieval.{field}", low=0, high=high)


def _shares(retrieval: gateway_pb2.RetrievalOptions) -> Iterable[tuple[str, float, float]]:
    """What weighs rankings against each other, and what it is at most."""
    fusion = retrieval.fusion
    yield "fusion.ranks.constant", fusion.ranks.constant, _MAX_RANK_CONSTANT
    yield "fusion.weights.dense_weight", fusion.weights.dense_weight, 1.0
    yield "diversity.relevance_weight", retrieval.diversity.relevance_weight, 1.0


def _check_known(value: int, enum: object, field: str) -> None:
    if value:
        known_enum(value, enum, field=field)  # type: ignore[arg-type] # each wrapper has its own


def _check_sampling(sampling: generator_pb2.Sampling, checks: Checks) -> None:
    given = {field.name: value for field, value in sampling.ListFields()}
    for name, low, high in _RANGES:
        if name in given:
            with checks:
                in_range(given[name], field=f"sampling.{name}", low=low, high=high)
    for name, high in _OVER_ZERO:
        if name in given and not 0 < given[name] <= high:
            with checks:
                raise InvalidArgument.of_field(
                    f"sampling.{name}", f"must be over 0 and up to {high}, not {given[name]}"
                )
    for name in sorted(_NOT_OF_AN_ANSWER & given.keys()):
        with checks:
            raise InvalidArgument.of_field(
                f"sampling.{name}", "is not taken for an answer with citations; ask the generator"
            )
    _check_stops(sampling.stop, checks)


def _check_stops(stops: Sequence[str], checks: Checks) -> None:
    with checks:
        max_items(len(stops), field="sampling.stop", limit=MAX_STOPS)
    for index, stop in enumerate(stops[:MAX_STOPS]):
        with checks:
            field = f"sampling.stop[{index}]"
            if not stop:
                raise InvalidArgument.of_field(field, "must not be empty")
            max_bytes(stop, field=field, limit=_MAX_STOP_BYTES)
