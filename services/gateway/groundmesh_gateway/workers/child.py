"""The program of a worker process: reads jobs from standard input, answers on standard output."""

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

from groundmesh.errors import MeshError, Reason
from groundmesh.lifetime import die_with_parent
from groundmesh_gateway.parsing.document import unusable
from groundmesh_gateway.preparing import Job, Prepared, prepare
from groundmesh_gateway.splitting import HubTokenCounter, Splitting, TokenCounter
from groundmesh_gateway.workers import frames
from groundmesh_gateway.workers.limits import STARVED_EXIT_CODE

_MAX_OUTPUT_FILE_BYTES = 64 * 1024
"""A worker writes no file but what libraries say on standard error."""
_MAX_OPEN_FILES = 64


def main() -> None:
    """Serve jobs until standard input ends; the arguments are the parent and the memory limit."""
    parent_pid, memory_bytes = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(parent_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the gateway, which then drains
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not look like an answer
    _confine(memory_bytes)
    _send(answers, frames.Frame({}))
    try:
        _serve(sys.stdin.buffer, answers)
    except MemoryError:
        os._exit(STARVED_EXIT_CODE)  # an orderly end could want more memory
    os._exit(0)  # threads of a library may crash when the interpreter ends under them


def _confine(memory_bytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    memory = pages * resource.getpagesize() + memory_bytes
    for kind, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, _MAX_OUTPUT_FILE_BYTES),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
    ):
        resource.setrlimit(kind, (limit, limit))


def _serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    counter: TokenCounter | None = None
    while (frame := frames.read(jobs)) is not None:
        data, *tokenizer = frame.blobs
        try:
            if tokenizer:
                counter = HubTokenCounter(tokenizer[0])
            answer = _answer(prepare(_job(frame.header), data, _known(counter)))
        except MeshError as error:
            answer = _refusal(error)
        except MemoryError:
            raise  # what else this process holds is in doubt
        except Exception as error:  # noqa: BLE001 - any parser may raise anything on bad input
            message = f"the parser failed on it ({type(error).__name__})"
            answer = _refusal(unusable(Reason.PARSER_CRASHED, message))
        _send(answers, answer)


def _job(header: dict[str, Any]) -> Job:
    return Job(**{**header, "splitting": Splitting(**header["splitting"])})


def _known(counter: TokenCounter | None) -> TokenCounter:
    if counter is None:
        raise LookupError("the first job came without a tokenizer")
    return counter


def _answer(prepared: Prepared) -> frames.Frame:
    header = {
        "title": prepared.title,
        "media_type": prepared.media_type,
        "chunk_count": prepared.chunk_count,
    }
    return frames.Frame(header, (prepared.text, prepared.outline, prepared.chunk_lines))


def _refusal(error: MeshError) -> frames.Frame:
    return frames.Frame({"reason": error.reason, "message": error.message})


def _send(answers: BinaryIO, frame: frames.Frame) -> None:
    answers.writelines(frames.pieces(frame))
    answers.flush()


if __name__ == "__main__":
    main()
