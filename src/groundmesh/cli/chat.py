"""A conversation that is kept in a file, a message a line: ``ask --chat``."""

import json
from collections.abc import Sequence
from pathlib import Path

from groundmesh.cli.output import counted, print_notes
from groundmesh.cli.problems import Exit, Problem
from groundmesh.client import ChatMessage, Role
from groundmesh.eval.lines import JsonLine, json_lines

MOST_MESSAGES = 100
MOST_BYTES = 64 * 1024
"""What the mesh takes of a conversation, as ``gateway.proto`` says."""


def read_chat(path: Path) -> list[ChatMessage]:
    """The conversation so far; none where there is no file yet."""
    try:
        return [_message(line) for line in json_lines(path)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unusable(path, error) from error


def append_turn(path: Path, question: str, answer: str) -> None:
    """Add a question and its answer, both or, where the disk is full, none."""
    turn = ((Role.USER, question), (Role.ASSISTANT, answer))
    lines = "".join(
        json.dumps({"role": role, "content": content}, ensure_ascii=False) + "\n"
        for role, content in turn
    )
    try:
        with path.open("ab+", buffering=0) as file:
            end = file.seek(0, 2)
            file.seek(max(0, end - 1))
            begun = b"" if file.read(1) in (b"", b"\n") else b"\n"
            content = begun + lines.encode()
            if file.write(content) != len(content):
                file.truncate(end)
                raise OSError(None, "the disk is full")
    except OSError as error:
        raise _unusable(path, error) from error


def newest(messages: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    """As much of a conversation as the mesh takes, from a question on; says what was left out."""
    kept, size = 0, 0
    for number, message in enumerate(reversed(messages[-MOST_MESSAGES:]), start=1):
        size += len(message.content.encode())
        if size > MOST_BYTES:
            break
        if message.role is Role.USER:
            kept = number
    left_out = len(messages) - kept
    if left_out:
        print_notes([f"the oldest {counted(left_out, 'message')} of the conversation not sent"])
    return messages[left_out:]


def _message(line: JsonLine) -> ChatMessage:
    role, content = line.text("role"), line.text("content")
    if role not in set(Role):
        raise line.wrong(f'"role" must be one of {", ".join(Role)}')
    return ChatMessage(Role(role), content)


def _unusable(path: Path, error: OSError) -> Problem:
    return Problem(f"{path}: {error.strerror}", exit_code=Exit.USAGE)
