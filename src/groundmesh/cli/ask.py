"""``groundmesh ask``: one question."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundmesh.cli.answer_json import answer_json
from groundmesh.cli.answer_text import print_answer
from groundmesh.cli.chat import append_turn, newest, read_chat
from groundmesh.cli.output import print_json, print_notes
from groundmesh.cli.problems import Exit
from groundmesh.client import AskEvent, ChatMessage, Client, Retrieval, Sampling
from groundmesh.client.client import gathered


@dataclass(frozen=True)
class Asking:
    """How questions are asked."""

    collections: Sequence[str]
    model: str
    retrieval: Retrieval
    sampling: Sampling
    template: str
    timeout_s: float

    def events(
        self, mesh: Client, question: str, history: Sequence[ChatMessage] = ()
    ) -> AsyncGenerator[AskEvent, None]:
        """Ask one."""
        return mesh.ask(
            question,
            collection=self.collections,
            model=self.model,
            retrieval=self.retrieval,
            sampling=self.sampling,
            history=history,
            template=self.template,
            timeout_s=self.timeout_s,
        )


async def ask(
    question: str, asking: Asking, *, chat: Path | None, server: str, as_json: bool
) -> Exit:
    """Ask, and print the answer as it is made, or all of it as JSON at its end."""
    history = newest(read_chat(chat)) if chat else ()
    async with Client(server) as mesh:
        events = asking.events(mesh, question, history)
        if as_json:
            answer = await gathered(question, events)
            print_json(answer_json(answer))
            print_notes(answer.final.degraded)
        else:
            answer = await print_answer(question, events)
    if chat and answer.text.strip():
        append_turn(chat, question, answer.text)
    elif chat:  # the mesh takes no empty message of a conversation
        print_notes([f"the model said nothing, so {chat} is left as it was"])
    return Exit.DONE
