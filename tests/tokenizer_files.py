"""Small tokenizers of the kinds that embedding models have, as ``tokenizer.json``."""

import string

from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, WordPiece

_LETTERS = string.ascii_lowercase + string.digits + string.punctuation


def wordpiece() -> bytes:
    """Like BERT's: two special tokens, each letter a token, words of over 20 letters unknown."""
    pieces = ["[UNK]", "[CLS]", "[SEP]", *_LETTERS, *(f"##{letter}" for letter in _LETTERS)]
    model = WordPiece(_numbered(pieces), unk_token="[UNK]", max_input_chars_per_word=20)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    # As such files often come: what they say of lengths must not count.
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    return tokenizer.to_str().encode()


def byte_level() -> bytes:
    """Like GPT's: a token a byte, so that one character may be four."""
    tokenizer = Tokenizer(BPE(_numbered(sorted(pre_tokenizers.ByteLevel.alphabet())), []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer.to_str().encode()


def metaspace() -> bytes:
    """Like XLM-R's: a space belongs to the word after it, and every text begins with one."""
    tokenizer = Tokenizer(BPE(_numbered(["<unk>", "▁", *_LETTERS]), [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer.to_str().encode()


def _numbered(pieces: list[str]) -> dict[str, int]:
    return {piece: number for number, piece in enumerate(pieces)}
