"""Whisper's English normaliser, without its list of British spellings, for whole corpora of lyrics.

The rules are those of transformers' `EnglishTextNormalizer`, in its order and from its tables. Most of them rewrite one
word or one ending each, and most lyrics hold few of these: a rule is applied only where what it looks for is there,
and numbers are read only where a number may stand.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

_MODULE = "transformers.models.whisper.english_normalizer"
_KEPT = ".%$¢€£"
_HESITATIONS = frozenset({"hmm", "mm", "mhm", "mmm", "uh", "um"})
_WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_BRACKETS = re.compile(r"[<\[][^>\]]*[>\]]")
_PARENTHESES = re.compile(r"\(([^)]+?)\)")
_SPACED_APOSTROPHE = re.compile(r"\s+'")
_COMMA = re.compile(r"(\d),(\d)")
_FULL_STOP = re.compile(r"\.([^0-9]|$)")
_SIGN = re.compile(r"[.$¢€£]([^0-9])")
_SPACES = re.compile(r"\s+")
_PERCENT = re.compile(r"([^0-9])%")


@lru_cache(maxsize=4096)
def whisper_words(text: str) -> str:
    """Normalise to the words that Whisper's word error rates count; apostrophes are made plain first."""
    return _rules()(text.replace("’", "'").replace("‘", "'"))


class WhisperWordRules:
    """The rules of the published normaliser, each behind a look for the letters that it needs.

    `published`: the module that defines `EnglishTextNormalizer`, whose results are given to the letter.
    """

    def __init__(self, published: Any) -> None:
        rules = published.EnglishTextNormalizer({})
        self._ignored = re.compile(rules.ignore_patterns)
        self._replacers = [_Replacer(pattern, words) for pattern, words in rules.replacers.items()]
        self._signs = _Signs(published.remove_symbols_and_diacritics)
        self._numbers: Any = rules.standardize_numbers
        # these stand for themselves where no number is near
        harmless = {"and", *self._numbers.following_prefixers, *self._numbers.suffixers}
        self._numeric = frozenset(self._numbers.words - harmless | {"half"})

    def __call__(self, text: str) -> str:
        """The normalised text."""
        text = text.lower()
        if "<" in text or "[" in text:
            text = _BRACKETS.sub("", text)
        if "(" in text:
            text = _PARENTHESES.sub("", text)
        text = self._without_symbols(self._in_full(text))
        words = text.split()
        if not self._numeric.isdisjoint(words) or _DIGIT.search(text):
            words = self._numbers(text).split()
        text = " ".join(words)
        if any(sign in text for sign in _KEPT):
            text = _SPACES.sub(" ", _PERCENT.sub(r"\1 ", _SIGN.sub(r" \1", text)))
        return text

    def _in_full(self, text: str) -> str:
        """Without hesitations, contractions and titles written out."""
        words = set(_WORD.findall(text))
        if not _HESITATIONS.isdisjoint(words):
            text = self._ignored.sub("", text)
        if "'" in text:
            text = _SPACED_APOSTROPHE.sub("'", text)
        for rule in self._replacers:
            if rule.letters in (words if rule.is_word else text):
                text = rule.pattern.sub(rule.words, text)
                words = set(_WORD.findall(text))
        return text

    def _without_symbols(self, text: str) -> str:
        if "," in text:
            text = _COMMA.sub(r"\1\2", text)
        if "." in text:
            text = _FULL_STOP.sub(r" \1", text)
        return (text if text.isascii() else unicodedata.normalize("NFKD", text)).translate(self._signs)


class _Replacer:
    """One rule, and the letters without which it does nothing: a whole word, or a part of the text."""

    def __init__(self, pattern: str, words: str) -> None:
        self.pattern, self.words = re.compile(pattern), words
        letters = pattern.removeprefix(r"\b").removesuffix(r"\b")
        # a pattern of more than letters is always tried
        self.letters = letters if letters.replace("'", "").replace(" ", "").isalpha() else ""
        self.is_word = letters.isalpha() and pattern == rf"\b{letters}\b"


class _Signs(dict[int, str]):
    """Code point -> what the published cleaning makes of it, learnt as characters are met."""

    def __init__(self, clean: Callable[..., str]) -> None:
        super().__init__()
        self._clean = clean

    def __missing__(self, code: int) -> str:
        self[code] = self._clean(chr(code), keep=_KEPT)
        return self[code]


@lru_cache(maxsize=1)
def _rules() -> WhisperWordRules:
    return WhisperWordRules(published_normaliser())


@lru_cache(maxsize=1)
def published_normaliser() -> Any:
    """The module of the published normaliser; ModuleNotFoundError where transformers is not installed.

    Loaded from its file: it needs nothing of its package, whose import takes longer than to score a corpus.
    """
    package = find_spec(_MODULE.partition(".")[0])
    folders = (package.submodule_search_locations or []) if package else []
    for folder in folders:
        path = Path(folder, *_MODULE.split(".")[1:]).with_suffix(".py")
        spec = spec_from_file_location("_whisper_english_normaliser", path) if path.is_file() else None
        if spec and spec.loader:
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise ModuleNotFoundError(f"{_MODULE} is not installed.")


__all__ = ["WhisperWordRules", "published_normaliser", "whisper_words"]
