"""What Milvus says, in our words: its state is told from a fault in what it was asked."""

import logging
from typing import Any

import pytest
from pymilvus import MilvusException
from pymilvus.exceptions import DataNotMatchException, ParamError

from groundmesh.errors import Internal, MeshError, Reason, Unavailable
from groundmesh_retriever.stores.base import IndexMissing
from groundmesh_retriever.stores.milvus import MilvusStore

LITE = {"code": 6, "compatible_code": 6, "message": "unknown field 'nofield'"}


class Client:
    """Fails every deletion."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def delete(self, *_: Any, **__: Any) -> None:
        raise self.error

    async def close(self) -> None:
        pass


async def said_of(error: Exception, monkeypatch: pytest.MonkeyPatch) -> Exception:
    """What a caller of the store gets."""
    monkeypatch.setattr(
        "groundmesh_retriever.stores.milvus_connection.AsyncMilvusClient", lambda **_: Client(error)
    )
    store = MilvusStore("http://127.0.0.1:1", token="", timeout_s=1.0)
    with pytest.raises((MeshError, IndexMissing)) as caught:
        await store.delete("gm", ["key"])
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        MilvusException(1100, "invalid parameter"),
        MilvusException(1, "bad", is_input_error=True),
        MilvusException(**LITE),
        ParamError(message="`limit` value -1 is illegal"),
        DataNotMatchException(message="Insert missed a field"),
    ],
)
async def test_a_refused_request_is_a_fault_of_ours(
    error: MilvusException, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        said = await said_of(error, monkeypatch)
    assert isinstance(said, Internal)
    assert error.message not in said.message
    assert error.message in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        MilvusException(1, "service not ready"),
        MilvusException(6, "cross cluster routing", 1),
        MilvusException(65535, "whatever"),
        OSError("connection reset"),
    ],
)
async def test_whatever_else_is_the_state_of_the_store(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = await said_of(error, monkeypatch)
    assert isinstance(said, Unavailable)
    assert said.reason is Reason.STORE_UNAVAILABLE


async def test_an_index_that_is_not_there_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    said = await said_of(MilvusException(100, "can't find collection"), monkeypatch)
    assert isinstance(said, IndexMissing)
