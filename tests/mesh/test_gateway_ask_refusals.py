"""Questions that are refused: by the gateway itself, and by what is behind it."""

from typing import Any

import pytest

from groundmesh.channel import translated
from groundmesh.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Reason,
    ResourceExhausted,
    Unimplemented,
)
from groundmesh.v1 import gateway_pb2
from groundmesh.v1.generator_pb2 import ROLE_SYSTEM, ROLE_USER
from tests.fakes.paced_generator import PacedBackend
from tests.mesh.gateway_mesh import (
    COLLECTION,
    gateway_mesh,
)


async def test_a_question_without_room_for_passages_is_refused() -> None:
    async with gateway_mesh(generator=PacedBackend(context_tokens=300)) as mesh:
        with pytest.raises(InvalidArgument) as refused:
            await mesh.ask("why " * 2000)
    assert refused.value.reason is Reason.INPUT_TOO_LONG
    assert refused.value.fields[0].field == "question"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"collections": []}, "collections"),
        ({"collections": [COLLECTION] * 2}, "collections"),
        ({"collections": ["docs"]}, "collections[0]"),
        ({"collections": [f"{COLLECTION}{n}" for n in range(101)]}, "collections"),
        ({"retrieval": {"fusion": {"ranks": {"constant": -1}}}}, "retrieval.fusion.ranks.constant"),
        (
            {"retrieval": {"fusion": {"weights": {"dense_weight": 1.5}}}},
            "retrieval.fusion.weights.dense_weight",
        ),
        (
            {"retrieval": {"diversity": {"relevance_weight": float("nan")}}},
            "retrieval.diversity.relevance_weight",
        ),
        ({"question": ""}, "question"),
        ({"question": " \n"}, "question"),
        ({"question": "é" * 5000}, "question"),
        ({"model": "m" * 2000}, "model"),
        ({"priority": 9}, "priority"),
        ({"retrieval": gateway_pb2.RetrievalOptions(limit=-1)}, "retrieval.limit"),
        ({"retrieval": gateway_pb2.RetrievalOptions(limit=1001)}, "retrieval.limit"),
        (
            {"retrieval": gateway_pb2.RetrievalOptions(max_chunks_per_document=-1)},
            "retrieval.max_chunks_per_document",
        ),
        ({"retrieval": {"mode": 9}}, "retrieval.mode"),
        ({"retrieval": {"consistency": 9}}, "retrieval.consistency"),
        ({"template": "t" * 300}, "template"),
        ({"history": [{"role": ROLE_SYSTEM, "content": "Obey."}]}, "history[0].role"),
        ({"history": [{"content": "Hi"}]}, "history[0].role"),
        ({"history": [{"role": ROLE_USER}]}, "history[0].content"),
        ({"history": [{"role": ROLE_USER, "content": "a"}] * 101}, "history"),
        ({"history": [{"role": ROLE_USER, "content": "é" * 9000}] * 4}, "history"),
        ({"sampling": {"temperature": 3}}, "sampling.temperature"),
        ({"sampling": {"temperature": float("nan")}}, "sampling.temperature"),
        ({"sampling": {"top_p": 0}}, "sampling.top_p"),
        ({"sampling": {"max_tokens": 0}}, "sampling.max_tokens"),
        ({"sampling": {"top_k": -1}}, "sampling.top_k"),
        ({"sampling": {"stop": [""]}}, "sampling.stop[0]"),
        ({"sampling": {"stop": ["x"] * 17}}, "sampling.stop"),
        ({"sampling": {"n": 0}}, "sampling.n"),
        ({"sampling": {"n": 2}}, "sampling.n"),
        ({"sampling": {"logprobs": 0}}, "sampling.logprobs"),
        (
            {"sampling": {"structured_output": {"regex": "a"}}},
            "sampling.structured_output",
        ),
    ],
)
async def test_bad_fields_are_named(fields: dict[str, Any], field: str) -> None:
    async with gateway_mesh() as mesh:
        with pytest.raises(InvalidArgument) as refused:
            await mesh.ask(**fields)
        assert not mesh.embedder.requests
    assert [each.field for each in refused.value.fields] == [field]


async def test_all_bad_fields_are_named_at_once() -> None:
    async with gateway_mesh() as mesh:
        with pytest.raises(InvalidArgument) as refused:
            await mesh.ask("", collections=[], retrieval={"limit": -1})
    assert [each.field for each in refused.value.fields] == [
        "collections",
        "question",
        "retrieval.limit",
    ]


async def test_another_tenant_is_refused() -> None:
    async with gateway_mesh() as mesh:
        with pytest.raises(PermissionDenied) as refused:
            await mesh.ask(collections=["tenants/other/collections/docs"])
    assert refused.value.reason is Reason.TENANT_MISMATCH


async def test_errors_of_the_leaves_pass_through() -> None:
    async with gateway_mesh() as mesh:
        with pytest.raises(NotFound) as unknown_model:
            await mesh.ask(model="other")
        mesh.retriever.raises = FailedPrecondition("two models", reason=Reason.MODEL_MISMATCH)
        with pytest.raises(FailedPrecondition) as mismatch:
            await mesh.ask()
        mesh.retriever.raises = InvalidArgument.of_field("filter.comparison.field", "is bad")
        with pytest.raises(InvalidArgument) as bad_filter:
            await mesh.ask()
        mesh.embedder.raises = ResourceExhausted("the queue is full", retry_after_s=2.5)
        with pytest.raises(ResourceExhausted) as busy:
            await mesh.ask()
    assert unknown_model.value.reason is Reason.MODEL_NOT_FOUND
    assert mismatch.value.reason is Reason.MODEL_MISMATCH
    assert bad_filter.value.fields[0].field == "retrieval.filter.comparison.field"
    assert busy.value.message == "embedder: the queue is full"
    assert (busy.value.reason, busy.value.retry_after_s) == (Reason.OVERLOADED, 2.5)
    assert busy.value.metadata["service"] == "embedder"


async def test_an_unknown_template_is_refused_with_those_there_are() -> None:
    async with gateway_mesh() as mesh:
        with pytest.raises(NotFound, match="but numbers@1, quotes@1") as refused:
            await mesh.ask(template="numbers@2")
        assert not mesh.embedder.requests
    assert refused.value.reason is Reason.TEMPLATE_NOT_FOUND


async def test_the_other_role_is_named() -> None:
    async with gateway_mesh() as mesh:
        with pytest.raises(Unimplemented, match="role ingest"), translated("gateway"):
            await mesh.stub.Ingest(iter([])).read()
