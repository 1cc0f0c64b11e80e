"""A generation as an OpenAI-compatible endpoint is asked for it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groundmesh.errors import Unimplemented
from groundmesh_generator.backends.base import GenerationJob
from groundmesh_generator.prompts import ChatPrompt, TextPrompt
from groundmesh_generator.sampling import Sampling
from groundmesh_generator.structured import (
    Choices,
    Grammar,
    JsonSchema,
    Regex,
    StructuredOutput,
    field_of,
)

_STANDARD = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "n")
_VLLM = ("top_k", "min_p", "repetition_penalty")
_VLLM_FORMS = {JsonSchema: "json", Regex: "regex", Choices: "choice", Grammar: "grammar"}


@dataclass(frozen=True)
class Dialect:
    """What an endpoint takes besides OpenAI's own parameters."""

    is_vllm: bool
    """Whether ``vllm serve`` is behind it, by what it says of its models."""

    def check(self, sampling: Sampling, *, field: str) -> None:
        """Unimplemented that names the first part of a sampling that the endpoint can't take."""
        if self.is_vllm:
            return
        for name in _VLLM:
            if getattr(sampling, name) is not None:
                raise Unimplemented.of_field(f"{field}.{name}", "the endpoint does not take it")
        form = sampling.structured_output
        if form is not None and not isinstance(form, JsonSchema):
            raise Unimplemented.of_field(
                field_of(form, sampling=field), "the endpoint takes json_schema only"
            )

    def arguments(self, job: GenerationJob, *, model: str) -> dict[str, Any]:
        """Of the client's ``create``, for a conversation or for a text."""
        sampling = job.sampling
        asked = {
            "model": model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "stop": list(sampling.stop) or None,
            **{name: getattr(sampling, name) for name in _STANDARD},
            **_of_prompt(job),
        }
        return {
            **{name: value for name, value in asked.items() if value is not None},
            **self._form(sampling.structured_output),
            "extra_body": self._extras(sampling),
        }

    def _extras(self, sampling: Sampling) -> Mapping[str, Any]:
        if not self.is_vllm:
            return {}
        set_here = {name: getattr(sampling, name) for name in _VLLM}
        extras = {name: value for name, value in set_here.items() if value is not None}
        if (form := sampling.structured_output) is not None:
            value = list(form.values) if isinstance(form, Choices) else form.text
            extras["structured_outputs"] = {_VLLM_FORMS[type(form)]: value}
        return {**extras, "return_token_ids": True}  # so that the tokens of a delta are counted

    def _form(self, form: StructuredOutput | None) -> Mapping[str, Any]:
        if self.is_vllm or not isinstance(form, JsonSchema):
            return {}
        schema = {"name": "answer", "schema": json.loads(form.text), "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _chat(job: GenerationJob, prompt: ChatPrompt) -> Mapping[str, Any]:
    count = job.sampling.logprobs
    return {
        "messages": [{"role": str(each.role), "content": each.content} for each in prompt.messages],
        "max_completion_tokens": job.max_tokens,
        "logprobs": None if count is None else True,
        "top_logprobs": count,
    }


def _text(job: GenerationJob, prompt: TextPrompt) -> Mapping[str, Any]:
    return {
        "prompt": prompt.text,
        "max_tokens": job.max_tokens,
        "logprobs": job.sampling.logprobs,
    }


def _of_prompt(job: GenerationJob) -> Mapping[str, Any]:
    prompt = job.prompt
    return _chat(job, prompt) if isinstance(prompt, ChatPrompt) else _text(job, prompt)
