"""The whole mesh, as a question wants it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from groundmesh.errors import InvalidArgument, NotFound, Reason, Unavailable
from groundmesh.prompting import Message
from groundmesh.v1 import gateway_pb2, generator_pb2, generator_pb2_grpc
from groundmesh_gateway.ask_ports import Done, ModelTokens, Piece, Started
from groundmesh_gateway.ask_requests import MAX_STOPS
from groundmesh_gateway.calibrations import Calibrations
from groundmesh_gateway.downstreams import Downstream, Downstreams
from groundmesh_gateway.find_clients import RemoteFinding
from groundmesh_gateway.model_tokens import ModelTokensCache
from groundmesh_gateway.query_models import QueryModels
from groundmesh_gateway.tokenizer_client import chat_prompt


class RemoteAsking(RemoteFinding):
    """One question to the whole mesh."""

    def __init__(
        self,
        request: gateway_pb2.AskRequest,
        downstreams: Downstreams,
        tokens: ModelTokensCache,
        models: QueryModels,
        *,
        calibrations: Calibrations,
        temperature: float,
    ) -> None:
        """``temperature`` is for a question that sets none."""
        super().__init__(request.question, request, downstreams, models)
        self._model = request.model
        self._tokens = tokens
        self._calibrations = calibrations
        self._sampling = generator_pb2.Sampling()
        self._sampling.CopyFrom(request.sampling)
        if not request.sampling.HasField("temperature"):
            self._sampling.temperature = temperature

    async def least_evidence(self) -> Mapping[str, float]:
        """The cosine that a passage of each calibrated collection must have."""
        return await self._calibrations.of(self._collections)

    async def model_tokens(self) -> ModelTokens:
        """The model that is to answer."""
        return await self._tokens.get(self._model)

    async def generate(
        self, messages: Sequence[Message], *, max_tokens: int, stops: Sequence[str]
    ) -> AsyncGenerator[Started | Piece | Done[generator_pb2.GenerationFinal], None]:
        """Have it answered; closing this early aborts the work in the generator."""
        self._sampling.max_tokens = max_tokens
        self._sampling.stop.extend(stops[: MAX_STOPS - len(self._sampling.stop)])
        async with aclosing(self._generated(messages, self._sampling)) as events:
            async for event in events:
                yield event

    async def complete(
        self, messages: Sequence[Message], *, max_tokens: int, stops: Sequence[str]
    ) -> str:
        """What the model says to this, without chance."""
        sampling = generator_pb2.Sampling(temperature=0.0, max_tokens=max_tokens, stop=stops)
        async with aclosing(self._generated(messages, sampling)) as events:
            return "".join([event.text async for event in events if isinstance(event, Piece)])

    async def _generated(
        self, messages: Sequence[Message], sampling: generator_pb2.Sampling
    ) -> AsyncGenerator[Started | Piece | Done[generator_pb2.GenerationFinal], None]:
        request = generator_pb2.GenerateRequest(
            model=self._model,
            prompt=chat_prompt(messages),
            sampling=sampling,
            priority=self._priority,
        )
        generator = self._downstreams.generator
        call = generator_pb2_grpc.GeneratorServiceStub(generator.channel).Generate(request)
        has_begun = False
        try:
            with generator.errors():
                async for response in call:
                    match response.WhichOneof("event"):
                        case "started":
                            has_begun = True
                            yield Started(response.started.model)
                        case "delta":
                            yield Piece(response.delta.text)
                        case "final":
                            yield Done(response.final)
        except (Unavailable, NotFound, InvalidArgument) as error:
            self._tokens.recheck()  # it may be another generator now, with another model
            if has_begun and error.reason is Reason.SERVICE_UNREACHABLE:
                raise _broken_off(generator) from error
            raise
        finally:
            call.cancel()


def _broken_off(generator: Downstream) -> Unavailable:
    error = Unavailable(
        f"the {generator.name} at {generator.address} broke off in the middle of the answer;"
        " ask again",
        metadata={"service": generator.name},
    )
    error.travelled = True
    return error
