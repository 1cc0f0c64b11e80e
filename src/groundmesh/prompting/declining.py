"""Whether a model said that the passages don't answer the question, instead of answering it.

Only what an answer begins with counts, and only in words that speak of the passages or of the
writer's own not knowing: "The treaty does not mention slavery" answers a question about a treaty.
Whoever goes on with "however" has more to say. When in doubt it is an answer: a refusal that is
missed is shown as it is, while an answer that is taken for one would count as none.
"""

import re

_LOOKED_AT = 600
"""Characters of an answer; a refusal comes first."""

_MARKUP = re.compile(r"##\w+(?:##|:)|\[[0-9, ]+\]|</?[a-z]+>|[*_`>]")
_LABEL = re.compile(r"[#\s]*(?:final )?answer\s*:")
_END = re.compile(r"(?<=[.!?])[\"')]*\s+|\n+")
_OPENING = re.compile(
    r"\W*(?:(?:i'm |i am )?(?:very )?sorry\b|unfortunately\b|(?:based on|according to|from|in) "
    r"[^,]{1,60},)[\s,.:;]*(?:but\b\s*)?"
)
_OPENINGS = 3
_GOES_ON = re.compile(
    r"\b(?:but|however|although|though|instead|nevertheless|nonetheless|yet|still|rather|only that|"
    r"while|except)\b"
)
_SOON = 12
"""Characters of a next sentence in which it says that it goes on."""

_WELL_NAMED = r"(?:passages?|contexts?|excerpts?|sources|search results|snippets)"
_LOOSELY_NAMED = r"(?:documents?|texts?|information|articles?|paragraphs?|materials?|content)"
_GIVEN = r"(?:provided|given|above|supplied|retrieved|numbered|available|following)"
_WHICH = r"(?:(?:the|these|those|this|that|any|any of the|your|both|all) )?"
_PASSAGES = (
    rf"(?:{_WHICH}(?:{_GIVEN} )?{_WELL_NAMED}(?: (?:{_GIVEN}|\d+))?"
    rf"|{_WHICH}{_GIVEN} {_LOOSELY_NAMED}"
    rf"|the {_LOOSELY_NAMED} {_GIVEN}"
    r"|(?:the|these|your) documents)"
)
_HOW = r"(?:(?:explicitly|directly|specifically|clearly|actually|really|seem to|appear to) ){0,2}"
_TELL = (
    rf"{_HOW}(?:contain|mention|provide|say|answer|give|specify|state|include|discuss|address|tell|"
    r"indicate|explain|offer|cover|have|describe|support|relevant)s?\b"
)
_TOLD = (
    rf"{_HOW}(?:mentioned|found|stated|provided|specified|given|answered|included|discussed|"
    r"addressed|described|available|contained)"
)
_SOME = r"(?:(?:an|the|any|enough|this|that) )?"
_NEWS = r"(?:information|mention|answer|evidence|details?|data|references?|anything)\b"

_SAYINGS = (
    # The passages do not mention it. None of the passages says so. No passage answers it.
    rf"{_PASSAGES} (?:do|does|did|can|could|is|are)(?:n't| ?not) {_TELL}",
    rf"(?:none|neither) of {_PASSAGES} {_TELL}",
    rf"no {_WELL_NAMED} {_TELL}",
    # There is no information about it in the passages. It is not mentioned in the passages.
    rf"there(?: is|'s| are) (?:no|not any|not enough) (?:\w+ )?{_NEWS}.{{0,160}}? in {_PASSAGES}",
    rf".{{1,160}}? (?:is|are|was|were)(?:n't| not) {_TOLD} (?:in|by|within|from) {_PASSAGES}",
    rf"(?:it(?: is|'s) )?not (?:{_TOLD} )?in {_PASSAGES}",
    # I don't know. I could not find the answer. I am not able to say.
    r"i (?:do|can|could)(?:n't| ?not) (?:know|answer|determine)\b",
    rf"i (?:do|did|can|could)(?:n't| ?not) (?:find|provide|see|have) {_SOME}(?:\w+ )?{_NEWS}",
    r"i(?:'m| am) (?:not sure|(?:unable|not able) to (?:answer|find|tell|determine|provide|say))\b",
    rf"i found (?:nothing\b|no (?:passage\b|{_NEWS}))",
    # The question can't be answered. Unanswerable.
    r"(?:the |this )?(?:question|answer) (?:can|could)(?:'t|n't| ?not) be (?:answered|found)\b",
    r"(?:it is |this is )?(?:unanswerable|no answer(?: found)?|not answerable|unknown)\W*$",
)
_DECLINES = re.compile("|".join(_SAYINGS))


def declines(answer: str) -> bool:
    """Whether an answer begins by saying that there is none, and leaves it at that."""
    plain = _MARKUP.sub(" ", answer[:_LOOKED_AT].lower().replace("\u2019", "'")).strip()
    if (label := _LABEL.match(plain)) is not None:
        plain = plain[label.end() :]
    sentences = [" ".join(sentence.split()) for sentence in _END.split(_without_opening(plain))]
    said = _DECLINES.match(sentences[0].lstrip("\"'(-: "))
    if said is None or _GOES_ON.search(sentences[0], said.end()):
        return False
    return len(sentences) == 1 or _GOES_ON.search(sentences[1][:_SOON]) is None


def _without_opening(text: str) -> str:
    """What comes after "I'm sorry, but based on the passages,"."""
    for _ in range(_OPENINGS):
        if (opening := _OPENING.match(text)) is None:
            break
        text = text[opening.end() :]
    return text
