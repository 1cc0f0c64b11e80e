"""The prompt that a question and its passages become; the only place that knows its format.

The gateway asks with it and the trainer builds its examples with it, so that a model is tuned on
exactly what it will be given. Pure: strings in, strings out, tokens counted by a function that the
caller brings.
"""

from groundmesh.prompting.build import (
    ChatTokens,
    GroundedPrompt,
    QuestionTooLong,
    TokenBudget,
    TokenCounter,
    build_prompt,
)
from groundmesh.prompting.builtin import BUILT_IN, DEFAULT_TEMPLATE, NUMBERS, QUOTES
from groundmesh.prompting.messages import Message, Role
from groundmesh.prompting.neutral import Reserved
from groundmesh.prompting.packing import PackedPassage
from groundmesh.prompting.standalone import (
    STANDALONE_STOPS,
    read_standalone,
    standalone_prompt,
)
from groundmesh.prompting.template import (
    AnswerStyle,
    Example,
    Passage,
    PassageOrder,
    Template,
    TemplateError,
)
from groundmesh.prompting.template_file import read_templates
from groundmesh.prompting.templates import Templates

__all__ = [
    "BUILT_IN",
    "DEFAULT_TEMPLATE",
    "NUMBERS",
    "QUOTES",
    "STANDALONE_STOPS",
    "AnswerStyle",
    "ChatTokens",
    "Example",
    "GroundedPrompt",
    "Message",
    "PackedPassage",
    "Passage",
    "PassageOrder",
    "QuestionTooLong",
    "Reserved",
    "Role",
    "Template",
    "TemplateError",
    "Templates",
    "TokenBudget",
    "TokenCounter",
    "build_prompt",
    "read_standalone",
    "read_templates",
    "standalone_prompt",
]
