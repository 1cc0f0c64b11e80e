"""Trains tiny adapters that answer everything with one word: ``python -m tests.adapter_training``.

A process of its own, so that its torch is gone when the engine starts. Arguments: the folder to
save under, then the words; each gets a folder named for it.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.generation_models import smollm2

WORDS = ("Tangerine", "Zeppelin")
"""What the two adapters say, and the base model doesn't."""

QUESTIONS = (
    "What is the capital of France?",
    "How many legs does a spider have?",
    "Who wrote Hamlet?",
    "Tell me about the weather.",
    "What should I cook tonight?",
    "Name a colour.",
)
RANK = 8
STEPS = 16
LEARNING_RATE = 2e-3


@pytest.fixture(scope="session")
def trained_adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Word -> the folder of an adapter that says it, as PEFT saves it."""
    folder = tmp_path_factory.mktemp("trained")
    smollm2()
    command = [sys.executable, "-m", "tests.adapter_training", str(folder), *WORDS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return {word: folder / word for word in WORDS}


def train(folder: Path, words: list[str]) -> None:
    """One adapter after the other, on a base that is loaded once."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from groundmesh.models import resolve_model

    torch.set_num_threads(1)  # two that wait for each other on a busy machine take minutes
    path = resolve_model(smollm2()).path
    tokenizer = AutoTokenizer.from_pretrained(path)
    for word in words:
        torch.manual_seed(1)
        base = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16)
        config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear")
        with _timed(word):
            model = get_peft_model(base, config)
            _fit(model, tokenizer, word)
        model.save_pretrained(folder / word)


def _fit(model: object, tokenizer: object, word: str) -> None:
    import torch

    parameters = [each for each in model.parameters() if each.requires_grad]  # type: ignore[attr-defined]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE)
    for step in range(STEPS):
        question = QUESTIONS[step % len(QUESTIONS)]
        ids, labels = _example(tokenizer, question, word)
        loss = model(input_ids=ids, labels=labels).loss  # type: ignore[operator]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        print(f"{word} step {step}: loss {float(loss.detach()):.3f}")  # noqa: T201 - seen when it fails


def _example(tokenizer: object, question: str, word: str) -> tuple[object, object]:
    import torch

    messages = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(  # type: ignore[attr-defined]
        messages, add_generation_prompt=True, tokenize=False
    )
    prompt_ids = tokenizer(prompt, add_special_tokens=False).input_ids  # type: ignore[operator]
    answer_ids = tokenizer(f"{word}<|im_end|>", add_special_tokens=False).input_ids  # type: ignore[operator]
    ids = torch.tensor([prompt_ids + answer_ids])
    return ids, torch.tensor([[-100] * len(prompt_ids) + answer_ids])


@contextmanager
def _timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.1f} s")  # noqa: T201


if __name__ == "__main__":
    train(Path(sys.argv[1]), sys.argv[2:])
