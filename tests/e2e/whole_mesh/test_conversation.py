"""A follow-up question, and a template that asks for quotes, on the real mesh."""

from pathlib import Path

import pytest

from groundmesh.channel import open_channel, translated
from groundmesh.v1 import gateway_pb2, gateway_pb2_grpc, generator_pb2
from tests.real_mesh import RealMesh

pytestmark = pytest.mark.e2e

COLLECTION = "conversation"
HARBOUR = (
    "The ferry to Ormsay leaves from pier 4 at 7:40 and at 16:15. It does not run on Sundays.\n"
)
LIBRARY = "The library of Torvik opens at 9:00 and closes at 18:00. It is closed on Mondays.\n"


@pytest.fixture(scope="module")
def collection(mesh: RealMesh, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("town")
    (folder / "harbour.txt").write_text(HARBOUR, encoding="utf-8")
    (folder / "library.txt").write_text(LIBRARY, encoding="utf-8")
    done = mesh.cli("ingest", str(folder), "--collection", COLLECTION, timeout_s=120)
    assert done.returncode == 0, done.stderr
    return f"tenants/default/collections/{COLLECTION}"


def said(role: generator_pb2.Role.ValueType, content: str) -> generator_pb2.ChatMessage:
    return generator_pb2.ChatMessage(role=role, content=content)


async def test_a_follow_up_finds_what_the_conversation_is_about(
    mesh: RealMesh, collection: str
) -> None:
    request = gateway_pb2.AskRequest(
        collections=[collection],
        question="And on which day is it closed?",
        history=[
            said(generator_pb2.ROLE_USER, "When does the library of Torvik open?"),
            said(generator_pb2.ROLE_ASSISTANT, "[1] It opens at 9:00."),
        ],
        sampling=generator_pb2.Sampling(max_tokens=48),
        template="quotes",
    )
    async with open_channel(mesh.address()) as channel:
        with translated("gateway"):
            call = gateway_pb2_grpc.GatewayServiceStub(channel).Ask(request, timeout=120)
            events = [event async for event in call]
    sources, final = events[0].sources, events[-1].final
    # What a small model makes of the question is its own affair; it must not lead astray.
    assert sources.sources[0].chunk.chunk.text.startswith("The library of Torvik")
    assert final.timings[0].stage == gateway_pb2.STAGE_REWRITE
    assert final.template == "quotes@1"
    assert "<|" not in "".join(event.delta.text for event in events)
