"""``groundmesh ask --file``: many questions, an answer a line."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

from groundmesh.cli.answer_file import AnswerFile, AnswerWriter, StreamWriter
from groundmesh.cli.answer_json import answer_json, failure_json
from groundmesh.cli.ask import Asking
from groundmesh.cli.in_order import in_order
from groundmesh.cli.output import LINE_EVERY_S, console, counted, progress_bar
from groundmesh.cli.problems import Exit, Problem, problem_of
from groundmesh.client import Abstention, Answer, Client, MeshUnreachable
from groundmesh.client.client import gathered
from groundmesh.errors import MeshError, Reason, ResourceExhausted

_PAUSE_S = 1.0
"""Before the next try, where an overloaded mesh does not say when."""


@dataclass(frozen=True)
class Round:
    """Which questions are asked, and how many at a time."""

    questions: Sequence[str]
    concurrency: int
    output: Path | None
    """None: stdout."""


@dataclass
class Count:
    """What became of the questions so far."""

    total: int
    answered: int = 0
    abstained: Counter[Abstention] = field(default_factory=Counter)
    failed: Counter[Reason] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    def take(self, outcome: Answer | MeshError) -> None:
        """Count one."""
        if isinstance(outcome, MeshError):
            self.failed[outcome.reason] += 1
        elif outcome.final.abstention is not None:
            self.abstained[outcome.final.abstention] += 1
        else:
            self.answered += 1

    @property
    def done(self) -> int:
        """Questions that are through."""
        return self.answered + self.abstained.total() + self.failed.total()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def summary(self) -> str:
        """All of it in one line."""
        not_answered = _with_reasons(self.abstained, "not answered")
        failed = _with_reasons(self.failed, "failed")
        took = f"{counted(self.done, 'question')} in {self.elapsed_s:.1f} s"
        return f"{took}: {self.answered} answered, {not_answered}, {failed}"


async def ask_many(asked: Round, asking: Asking, *, server: str) -> Exit:
    """Ask all that are not answered yet; FAILED when any of them got no answer."""
    with ExitStack() as stack:
        # The stream itself: a bar takes the place of sys.stdout while it is drawn.
        writer: AnswerWriter = StreamWriter(sys.stdout.buffer)
        left: Sequence[int] = range(len(asked.questions))
        if asked.output is not None:
            writer = file = stack.enter_context(AnswerFile(asked.output, asked.questions))
            left = [index for index in left if index not in file.answered]
            _tell_passed_over(len(file.answered))
        count = Count(len(left))
        try:
            async with Client(server) as mesh:
                outcomes = _outcomes(mesh, asked, asking, left)
                await _follow(outcomes, writer, count, quiet=asked.output is None)
        except MeshUnreachable as error:
            raise _cut_short(error, count, asked) from error
        except asyncio.CancelledError:  # Ctrl-C
            sys.stderr.write(f"stopped after {count.done} of {count.total}{_to_go_on(asked)}\n")
            raise
    sys.stderr.write(count.summary() + "\n")
    return Exit.FAILED if count.failed else Exit.DONE


@dataclass(frozen=True)
class _Outcome:
    index: int
    question: str
    what: Answer | MeshError

    def as_json(self) -> Mapping[str, object]:
        if isinstance(self.what, MeshError):
            return failure_json(self.question, self.what)
        return answer_json(self.what)


def _outcomes(
    mesh: Client, asked: Round, asking: Asking, left: Sequence[int]
) -> AsyncGenerator[_Outcome, None]:
    async def ask(index: int) -> _Outcome:
        question = asked.questions[index]
        try:
            return _Outcome(index, question, await patiently(mesh, asking, question))
        except MeshUnreachable:  # nor would any other be answered
            raise
        except MeshError as error:
            return _Outcome(index, question, error)

    return in_order(left, ask, concurrency=asked.concurrency)


async def patiently(mesh: Client, asking: Asking, question: str) -> Answer:
    """The answer; an overloaded mesh is asked again when it says, while there is time."""
    end = time.monotonic() + asking.timeout_s
    while True:
        left_s = max(0.001, end - time.monotonic())
        try:
            events = replace(asking, timeout_s=left_s).events(mesh, question)
            return await gathered(question, events)
        except ResourceExhausted as error:
            pause_s = _PAUSE_S if error.retry_after_s is None else error.retry_after_s
            if error.reason is not Reason.OVERLOADED or time.monotonic() + pause_s >= end:
                raise
            await asyncio.sleep(pause_s)


async def _follow(
    outcomes: AsyncGenerator[_Outcome, None], writer: AnswerWriter, count: Count, *, quiet: bool
) -> None:
    """Write what comes, and show on stderr how far it is; ``quiet`` where the lines show it."""
    stderr = console(stderr=True)
    next_line_s = LINE_EVERY_S
    bar = progress_bar(stderr)
    bar.disable = bar.disable or (quiet and sys.stdout.isatty())
    async with aclosing(outcomes):
        with bar:
            task = bar.add_task("", total=count.total, text="questions")
            async for outcome in outcomes:
                writer.write(outcome.index, outcome.as_json())
                count.take(outcome.what)
                failed = f" · {count.failed.total()} failed" if count.failed else ""
                bar.update(task, completed=count.done, text=f"questions{failed}")
                if not stderr.is_terminal and count.elapsed_s >= next_line_s:
                    stderr.print(f"{count.done} of {count.total} questions{failed}")
                    next_line_s = count.elapsed_s + LINE_EVERY_S


def _tell_passed_over(answered: int) -> None:
    if answered:
        sys.stderr.write(f"{counted(answered, 'question')} answered already\n")


def _with_reasons(counts: Counter[Abstention] | Counter[Reason], word: str) -> str:
    why = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    return f"{counts.total()} {word}{f' ({why})' if why else ''}"


def _to_go_on(asked: Round) -> str:
    return "; to go on, run the same command again" if asked.output is not None else ""


def _cut_short(error: MeshError, count: Count, asked: Round) -> Problem:
    problem = problem_of(error)
    done = f"{count.done} of {counted(count.total, 'question')} done"
    return Problem(
        f"{problem.message}; {done}",
        hint=f"{problem.hint}{_to_go_on(asked)}",
        exit_code=problem.exit_code,
    )
