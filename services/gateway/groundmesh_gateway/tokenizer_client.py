"""The generator, as far as tokens go."""

from collections.abc import Iterable, Sequence

from groundmesh.errors import Internal, NotFound, Reason
from groundmesh.prompting import Message, Role
from groundmesh.v1 import generator_pb2, generator_pb2_grpc
from groundmesh_gateway.downstreams import Downstream
from groundmesh_gateway.model_tokens import ModelFacts

_ROLES = {
    Role.SYSTEM: generator_pb2.ROLE_SYSTEM,
    Role.USER: generator_pb2.ROLE_USER,
    Role.ASSISTANT: generator_pb2.ROLE_ASSISTANT,
}


class RemoteTokenizers:
    """The generator, as far as tokens go."""

    def __init__(self, generator: Downstream) -> None:
        self._generator = generator

    async def facts(self, model: str) -> ModelFacts:
        """The model of that name, the default one for an empty name."""
        with self._generator.errors():
            served = await self._stub().ListModels(
                generator_pb2.GeneratorServiceListModelsRequest()
            )
        for each in served.models:
            if model in ("", each.model):
                return ModelFacts(
                    each.model, each.revision, each.context_tokens, each.max_output_tokens
                )
        names = ", ".join(each.model for each in served.models)
        raise NotFound(
            f"the generator does not serve {model[:200]!r}, but {names}",
            reason=Reason.MODEL_NOT_FOUND,
        )

    async def tokenizer_json(self, model: str) -> bytes:
        """Its tokenizer."""
        with self._generator.errors():
            response = await self._stub().GetTokenizer(
                generator_pb2.GeneratorServiceGetTokenizerRequest(model=model)
            )
        return response.tokenizer_json

    async def count(self, model: str, prompts: Sequence[Sequence[Message]]) -> Sequence[int]:
        """The tokens of each of some conversations in its chat template."""
        request = generator_pb2.CountTokensRequest(
            model=model, prompts=[chat_prompt(messages) for messages in prompts]
        )
        with self._generator.errors():
            response = await self._stub().CountTokens(request)
        if len(response.token_counts) != len(prompts):
            raise Internal(
                f"the generator counted {len(response.token_counts)} of {len(prompts)} prompts"
            )
        return response.token_counts

    def _stub(self) -> "generator_pb2_grpc.GeneratorServiceAsyncStub":
        return generator_pb2_grpc.GeneratorServiceStub(self._generator.channel)


def chat_messages(sent: Iterable[generator_pb2.ChatMessage]) -> list[Message]:
    """A conversation, as it was checked."""
    roles = {wire: role for role, wire in _ROLES.items()}
    return [Message(roles[message.role], message.content) for message in sent]


def chat_prompt(messages: Sequence[Message]) -> generator_pb2.Prompt:
    """A conversation, as the generator takes it."""
    chat = generator_pb2.ChatPrompt(
        messages=[
            generator_pb2.ChatMessage(role=_ROLES[message.role], content=message.content)
            for message in messages
        ]
    )
    return generator_pb2.Prompt(chat=chat)
