"""What one mesh has to itself: folder and ports."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from groundmesh.cli.options import OptionalService
from groundmesh.cli.problems import Problem
from groundmesh.cli.up import mesh, models
from groundmesh.cli.up.folder import check_ports_free, default_data_folder, held
from groundmesh.cli.up.mesh import MESH, MeshOptions
from groundmesh.models import DEFAULT_EMBEDDING_MODEL, DEFAULT_GENERATION_MODEL

PORTS = {"gateway": 50050, "embedder": 50051}

HOLDER = """
import sys
from pathlib import Path
from groundmesh.cli.up.folder import held
with held(Path(sys.argv[1]), ports={"gateway": 50050, "embedder": 50051}):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_mesh_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        (sys.executable, "-c", HOLDER, str(tmp_path)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(Problem) as refused, held(tmp_path, ports=PORTS):
            pass
        holder.kill()
    assert f"process {holder.pid}, ports 50050 to 50051" in refused.value.message
    assert "--data" in refused.value.hint
    with held(tmp_path, ports=PORTS):  # the kernel freed it
        pass
    with held(tmp_path, ports=PORTS):
        pass


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Problem, match="can't be used"), held(tmp_path / "file" / "x", ports=PORTS):
        pass


def test_taken_ports_are_named_with_who_wants_them() -> None:
    with socket.socket() as free, socket.socket() as taken:
        free.bind(("127.0.0.1", 0))
        free_port = free.getsockname()[1]
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        taken_port = taken.getsockname()[1]
        free.close()
        check_ports_free({"gateway": free_port})
        with pytest.raises(Problem, match=rf"port {taken_port} \(milvus\)"):
            check_ports_free({"gateway": free_port, "milvus": taken_port})


def test_data_goes_where_the_desktop_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_data_folder() == Path("/data/groundmesh")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_data_folder() == Path.home() / ".local/share/groundmesh"


def test_the_table_of_the_mesh_is_whole() -> None:
    names = [member.name for member in MESH]
    assert len(set(names)) == len(names)
    assert sorted(member.port_offset for member in MESH) == list(range(len(MESH)))
    for member in MESH:
        assert set(member.calls) <= set(names)


def test_flags_are_filled_in_and_those_not_given_are_left_out(tmp_path: Path) -> None:
    options = MeshOptions(tmp_path, 60000, model="m o d e l", rerank_model="judge")
    commands = {member.name: mesh.spec_of(member, options).command for member in MESH}
    assert "--model=m o d e l" in commands["generator"]
    assert not any(flag.startswith("--model") for flag in commands["embedder"])
    assert "--reranker=judge" in commands["embedder"]
    assert "--retriever=127.0.0.1:60002" in commands["gateway"]
    assert not any("{" in word for command in commands.values() for word in command)


def test_what_is_left_out_is_neither_started_nor_called(tmp_path: Path) -> None:
    options = MeshOptions(tmp_path, 60000, without=frozenset({"generator", "trainer"}))
    names = {member.name for member in mesh.members(options)}
    assert names == {"milvus", "embedder", "retriever", "gateway"}
    assert set(mesh.ports(options)) == names
    gateway = mesh.spec_of(mesh.members(options)[-1], options)
    assert {"--generator=", "--trainer=", "--embedder=127.0.0.1:60001"} <= set(gateway.command)
    assert set(gateway.calls) == {"embedder", "retriever"}


def test_every_service_that_may_be_left_out_is_one_of_the_mesh() -> None:
    assert set(OptionalService) <= {member.name for member in MESH}


def test_no_model_is_prepared_for_a_generator_that_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_is_prepared", lambda name: False)
    options = MeshOptions(tmp_path, without=frozenset({"generator"}))
    assert models.unprepared(options) == (DEFAULT_EMBEDDING_MODEL,)
    assert models.unprepared(MeshOptions(tmp_path)) == (
        DEFAULT_EMBEDDING_MODEL,
        DEFAULT_GENERATION_MODEL,
    )
