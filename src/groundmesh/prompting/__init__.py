"""The prompt that a question and its passages become; the only place that knows its format.

The gateway asks with it and the trainer builds its examples with it, so that a model is tuned on
exactly what it will be given. Pure: strings in, strings out, tokens counted by a function that the
caller brings.
"""

from groundmesh.prompting.build import (
    GroundedPrompt,
    PackedPassage,
    Passage,
    QuestionTooLong,
    TokenBudget,
    TokenCounter,
    build_prompt,
)
from groundmesh.prompting.format import CONSTANT_MESSAGES, Message, Role
from groundmesh.prompting.neutral import Reserved

__all__ = [
    "CONSTANT_MESSAGES",
    "GroundedPrompt",
    "Message",
    "PackedPassage",
    "Passage",
    "QuestionTooLong",
    "Reserved",
    "Role",
    "TokenBudget",
    "TokenCounter",
    "build_prompt",
]
