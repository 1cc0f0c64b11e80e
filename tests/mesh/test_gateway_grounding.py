"""Citations of all kinds through the gateway: what is asked of the embedder, and when it is not."""

import asyncio

import pytest

from groundmesh.quotes import BEGIN_QUOTE, END_QUOTE, normalised
from groundmesh.v1 import common_pb2, embedder_pb2, gateway_pb2, retriever_pb2
from tests.fakes.leaves import chunk
from tests.fakes.paced_generator import PacedBackend
from tests.mesh.gateway_mesh import GatewayMesh, ask_request, gateway_mesh, text_of
from tests.waiting import until

SPARSE = gateway_pb2.RetrievalOptions(mode=retriever_pb2.SEARCH_MODE_SPARSE)
SOURCE = "The ferry’s pier is number 4. It costs 12 crowns."
ANSWER = f"So: {BEGIN_QUOTE}The ferry's pier is number 4.{END_QUOTE} It costs 12 crowns. [1] Good."


def answering(answer: str) -> PacedBackend:
    return PacedBackend(answer=answer, repeat=False)


def citations(events: list[gateway_pb2.AskResponse]) -> list[gateway_pb2.Citation]:
    return [event.citation for event in events if event.HasField("citation")]


async def asked(mesh: GatewayMesh) -> list[gateway_pb2.AskResponse]:
    mesh.retriever.chunks = [chunk(SOURCE, start_byte=50)]
    mesh.embedder.vector_of = lambda text: [float(text[0] == first) for first in "TIGL"]
    return await mesh.ask(priority=common_pb2.PRIORITY_BULK)


async def test_a_quote_is_found_word_for_word() -> None:
    async with gateway_mesh(generator=answering(ANSWER)) as mesh:
        events = await asked(mesh)
    quote, marker = citations(events)
    assert quote.kind == gateway_pb2.CITATION_KIND_VERBATIM
    assert marker.kind == gateway_pb2.CITATION_KIND_MARKER
    answer = text_of(events).encode()
    assert answer.startswith(b"So: The ferry's pier is number 4. It costs")
    said = answer[quote.answer_start_byte : quote.answer_end_byte].decode()
    assert quote.quote == "The ferry’s pier is number 4."
    assert normalised(quote.quote) == normalised(said)
    assert SOURCE.encode()[quote.start_byte - 50 : quote.end_byte - 50].decode() == quote.quote
    assert not quote.HasField("score")


async def test_an_untrue_quote_is_counted() -> None:
    untrue = f"{BEGIN_QUOTE}The ferry is red.{END_QUOTE}"
    async with gateway_mesh(generator=answering(untrue)) as mesh:
        events = await asked(mesh)
    assert text_of(events).strip() == "The ferry is red."
    final = events[-1].final
    assert (final.removed_citations, final.coverage.verbatim) == (1, 0)


async def test_a_sentence_without_a_citation_is_given_its_source() -> None:
    async with gateway_mesh(generator=answering("[1] It is so. It costs 12 crowns.")) as mesh:
        events = await asked(mesh)
        passages, sentence = [
            each for each in mesh.embedder.requests if each.kind == embedder_pb2.INPUT_KIND_PASSAGE
        ]
    marker, inferred = citations(events)
    assert marker.kind == gateway_pb2.CITATION_KIND_MARKER
    assert (inferred.kind, inferred.quote) == (
        gateway_pb2.CITATION_KIND_INFERRED,
        "It costs 12 crowns.",
    )
    assert inferred.score == pytest.approx(1)
    assert inferred.start_byte == 50 + len("The ferry’s pier is number 4. ".encode())
    assert passages.texts == ["The ferry’s pier is number 4.", "It costs 12 crowns."]
    assert (sentence.texts, sentence.priority) == (
        ["It costs 12 crowns."],
        common_pb2.PRIORITY_BULK,
    )
    coverage = events[-1].final.coverage
    assert (coverage.sentences, coverage.cited) == (2, 2)
    assert (coverage.verbatim, coverage.marker, coverage.inferred) == (0, 1, 1)


async def test_without_the_embedder_there_is_an_answer_that_says_so() -> None:
    async with gateway_mesh(generator=answering("It costs 12 crowns.")) as mesh:
        await mesh.stop("embedder")
        events = await mesh.ask(retrieval=SPARSE)
    final = events[-1].final
    assert text_of(events).strip() == "It costs 12 crowns."
    assert "no citations were inferred: the embedder at" in final.degraded[0]
    assert (final.coverage.sentences, final.coverage.cited) == (1, 0)


async def test_no_text_waits_for_a_slow_embedder() -> None:
    async with gateway_mesh(generator=answering("It costs 12 crowns. It is so.")) as mesh:
        mesh.embedder.embeds_passages.clear()
        text, call = "", mesh.stub.Ask(ask_request(), timeout=20)
        async for event in call:
            text += event.delta.text
            if event.HasField("final"):
                break
            if text.strip().endswith("so."):
                mesh.embedder.embeds_passages.set()
        assert event.final.coverage.sentences == 2
        assert not event.final.degraded


async def test_a_caller_that_leaves_frees_the_embedder() -> None:
    async with gateway_mesh(generator=answering("It costs 12 crowns.")) as mesh:
        mesh.embedder.embeds_passages.clear()
        call = mesh.stub.Ask(ask_request(), timeout=20)
        async for event in call:
            if event.HasField("delta"):
                break
        call.cancel()
        await until(lambda: not any("_align_all" in repr(task) for task in asyncio.all_tasks()))
