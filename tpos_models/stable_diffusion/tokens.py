"""Tokenizers: the folder's own, or for random models one whose alphabet is all there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tpos_models.errors import ModelError

MAX_TOKENS = 77
_END = "<|endoftext|>"


def byte_tokenizer(pad: str = _END) -> Any:
    """A CLIPTokenizer that spells every word in bytes: 256 letters, 256 word ends, start and end of text.

    `pad` fills up to 77 tokens; SDXL's second tokenizer has "!", its token 0.
    """
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    entries = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", _END]
    vocab = {entry: i for i, entry in enumerate(entries)}
    return CLIPTokenizer(vocab=vocab, merges=[], pad_token=pad, model_max_length=MAX_TOKENS)


def read_tokenizer(folder: Path) -> Any:
    """The CLIPTokenizer saved in `folder`; raises `ModelError` when its files are missing or damaged."""
    from transformers import CLIPTokenizer

    complete = (folder / "tokenizer.json").is_file() or (
        (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file()
    )
    if not complete:
        raise ModelError(f"{folder}: no tokenizer; vocab.json and merges.txt, or tokenizer.json, were expected")
    try:
        return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{folder}: damaged tokenizer ({_first_line(error)}); restore its files") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
