"""Compiles the form that an answer must have, before vLLM's own process does.

vLLM's structured outputs run on llguidance here, whatever the form: it works lazily and stops at
limits of its own, where the others compile all of a form at once, in minutes and gigabytes for a
hostile one. What passes here compiles there, since it is the same library and tokenizer.
"""

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any

import llguidance
import llguidance.hf
from llguidance import LLMatcher

from groundmesh.errors import InvalidArgument
from groundmesh_generator.structured import (
    Choices,
    Grammar,
    JsonSchema,
    Regex,
    StructuredOutput,
)

COMPILER = "guidance"
"""vLLM's name of it."""


class FormCompiler:
    """Compiles in a thread of its own, one form at a time."""

    def __init__(self, tokenizer: Any, *, vocabulary: int) -> None:
        """``tokenizer`` is a fast one of transformers; the model has ``vocabulary`` tokens."""
        self._loaded, self._size = tokenizer, vocabulary
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="forms")

    async def check(self, form: StructuredOutput, *, field: str) -> None:
        """InvalidArgument that names ``field`` for a form that no answer can be held to."""
        loop = asyncio.get_running_loop()
        fault = await loop.run_in_executor(self._thread, partial(self._fault, form))
        if fault:
            raise InvalidArgument.of_field(field, f"can't be compiled: {fault}")

    async def check_kept(
        self, form: StructuredOutput, answers: Sequence[Sequence[int]], *, field: str
    ) -> None:
        """InvalidArgument that names ``field`` when one of these finished answers lacks the form.

        At a limit in the middle of an answer, vLLM ends it as if it were done.
        """
        loop = asyncio.get_running_loop()
        kept = await loop.run_in_executor(self._thread, partial(self._kept, form, answers))
        if not kept:
            raise InvalidArgument.of_field(field, "is too complex to be kept to the end")

    def close(self) -> None:
        """End the thread, after what it does now."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _fault(self, form: StructuredOutput) -> str:
        try:
            grammar = _grammar(form)
        except ValueError as error:
            return _first_line(str(error))
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        if not matcher.is_error():
            matcher.compute_bitmask()  # where a form shows to be empty, or too wide
        return _first_line(matcher.get_error())

    def _kept(self, form: StructuredOutput, answers: Sequence[Sequence[int]]) -> bool:
        matcher = LLMatcher(self._tokenizer, _grammar(form), log_level=0)
        for token_ids in answers:
            matcher.reset()
            if not (matcher.consume_tokens(list(token_ids)) and matcher.is_accepting()):
                return False
        return True

    @cached_property
    def _tokenizer(self) -> llguidance.LLTokenizer:
        return llguidance.hf.from_tokenizer(self._loaded, max(self._size, len(self._loaded)))


def _grammar(form: StructuredOutput) -> str:
    """As vLLM makes it."""
    match form:
        case JsonSchema(text):
            return LLMatcher.grammar_from_json_schema(text, defaults={"whitespace_flexible": True})
        case Regex(text):
            return LLMatcher.grammar_from_regex(text)
        case Choices(values):
            return llguidance.grammar_from("choice", json.dumps(values))
        case Grammar(text):
            return llguidance.grammar_from("grammar", text)


def _first_line(error: str) -> str:
    if error.startswith("NoExtension"):
        return "no answer has this form"
    return error.partition("\n")[0]
