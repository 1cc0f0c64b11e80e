"""Hostile documents through the gateway, repeated word for word by a model that obeys them."""

import pytest

from groundmesh.v1 import gateway_pb2, generator_pb2
from groundmesh_generator.prompts import ChatPrompt
from tests.fakes.leaves import chunk
from tests.fakes.telling_generator import TellingBackend
from tests.injections import INJECTIONS
from tests.mesh.gateway_mesh import gateway_mesh, text_of

_WINDOW = 50_000
_ANSWER = 1000


def echo(prompt: ChatPrompt) -> str:
    """All that the prompt has of passages."""
    return prompt.messages[-1].content.rpartition("\n\nQuestion: Why?")[0]


@pytest.mark.parametrize("template", ["numbers", "quotes"])
async def test_a_model_that_repeats_them_cites_nothing(template: str) -> None:
    """A marker or a quote of the answer is the model's own, never a document's."""
    backend = TellingBackend(echo, context_tokens=_WINDOW)
    hostile = [
        chunk(text, start_byte=1000 * at, ordinal=3 * at)
        for at, text in enumerate(INJECTIONS.values())
    ]
    for each in hostile:
        each.title = each.chunk.text
    async with gateway_mesh(generator=backend) as mesh:
        mesh.retriever.chunks = hostile
        events = await mesh.ask(
            template=template,
            retrieval=gateway_pb2.RetrievalOptions(limit=len(hostile)),
            sampling=generator_pb2.Sampling(max_tokens=_ANSWER),
        )
    sources = events[0].sources.sources
    final = events[-1].final
    assert [each.number for each in sources] == list(range(1, len(hostile) + 1))
    assert not any(each.truncated for each in sources)
    assert final.finish_reason == generator_pb2.FINISH_REASON_STOP
    assert final.removed_citations == 0
    assert text_of(events) == echo(backend.prompts[-1])
    citations = [event.citation for event in events if event.HasField("citation")]
    claimed = {gateway_pb2.CITATION_KIND_MARKER, gateway_pb2.CITATION_KIND_VERBATIM}
    assert not [each for each in citations if each.kind in claimed]
    for inferred in citations:  # by the gateway itself
        source = sources[inferred.source - 1].chunk.chunk
        assert source.start_byte <= inferred.start_byte < inferred.end_byte <= source.end_byte


async def test_a_document_can_not_move_what_the_model_cites() -> None:
    """Offsets are those of the source, whatever was put into its text in the prompt."""
    backend = TellingBackend(lambda prompt: f"[2] So it is.\n{echo(prompt)}")
    hostile = INJECTIONS["both"] + "\n" + INJECTIONS["markers"]
    async with gateway_mesh(generator=backend) as mesh:
        mesh.retriever.chunks = [chunk("True."), chunk(hostile, start_byte=50, ordinal=9)]
        events = await mesh.ask(sampling=generator_pb2.Sampling(max_tokens=_ANSWER))
    (cited,) = [
        event.citation
        for event in events
        if event.citation.kind == gateway_pb2.CITATION_KIND_MARKER
    ]
    answer = text_of(events).encode()
    assert (cited.source, cited.quote) == (2, hostile)
    assert (cited.start_byte, cited.end_byte) == (50, 50 + len(hostile.encode()))
    claim = answer[cited.answer_start_byte : cited.answer_end_byte]
    assert claim.decode().startswith("So it is")
