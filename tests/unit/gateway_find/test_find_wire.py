"""Passages and vectors as they travel, and the settings of how many are looked at."""

import struct

import pytest

from groundmesh.v1 import common_pb2, retriever_pb2
from groundmesh_gateway.find_wire import found_passage, rows, scored_chunk
from groundmesh_gateway.finding import FindOptions
from groundmesh_gateway.settings import GatewaySettings
from groundmesh_gateway.stages import Stage, Stopwatch
from tests.fakes.leaves import chunk

F32, F16 = common_pb2.VECTOR_DTYPE_F32, common_pb2.VECTOR_DTYPE_F16


@pytest.mark.parametrize(("dtype", "code"), [(F32, "f"), (F16, "e")])
def test_vectors_are_read_in_both_sizes(dtype: common_pb2.VectorDtype.ValueType, code: str) -> None:
    data = struct.pack(f"<6{code}", 1, 2, 3, 4, 5, 0.5)
    vectors = common_pb2.Vectors(data=data, rows=2, dimension=3, dtype=dtype)
    assert rows(vectors, count=2) == [(1, 2, 3), (4, 5, 0.5)]
    assert rows(vectors, count=3) is None
    vectors.dimension = 2
    assert rows(vectors, count=2) is None


def test_no_vectors_are_none() -> None:
    assert rows(common_pb2.Vectors(), count=0) is None
    assert rows(common_pb2.Vectors(rows=1, dtype=F32), count=1) is None


def test_a_single_chunk_goes_out_as_it_came() -> None:
    found = retriever_pb2.SearchResponse(chunks=[chunk("One."), chunk("Two.", start_byte=9)])
    for index, wire in enumerate(found.chunks):
        assert scored_chunk(found_passage(wire, index), found) == wire


def test_settings_say_how_many_are_looked_at() -> None:
    settings = GatewaySettings(candidates_per_result=3, least_candidates=7, most_candidates=90)
    finding = settings.ask_options().finding
    assert finding == FindOptions(3, 7, 90)
    with pytest.raises(ValueError, match="--most-candidates must be at least 1"):
        GatewaySettings(most_candidates=0)


def test_a_stage_that_goes_on_is_counted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 3.0, 6.0, 10.0])
    monkeypatch.setattr("groundmesh_gateway.stages.time.perf_counter", lambda: next(times))
    watch = Stopwatch()
    for stage in (Stage.SEARCH, Stage.RERANK, Stage.SEARCH):
        watch.enter(stage)
    assert watch.finish() == {Stage.SEARCH: 6.0, Stage.RERANK: 3.0, Stage.TOTAL: 10.0}
