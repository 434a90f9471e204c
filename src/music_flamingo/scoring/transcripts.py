"""Word error counts of sung text by jiwer: edits and reference length per item, additive over a corpus.

Stated normalisers for words, and readings of Chinese:
- `published_words`: lower case, ASCII punctuation removed, spaces collapsed; typographic apostrophes are apostrophes;
- `plain_words`: besides, NFKC, apostrophes kept inside words, all other marks dropped, and the marks of uncertain words
  (`*`, `?`) too;
- `alt_eval_words`: the words of alt-eval 1.2 (Cifka et al. 2024, Jam-ALT): contractions split as Moses does, elisions
  with their apostrophes, hyphens opened;
- `character_words`: every Chinese character a word, runs of other letters a word each;
- `characters`: letters and digits alone, one by one;
- `folded_characters`: the same, full-width forms and traditional characters folded (OpenCC, where it is installed).
"""

import re
import string
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_PLAIN_WORD = re.compile(r"\w+(?:'\w+)*")
_CJK = re.compile(r"[㐀-䶿一-鿿豈-﫿]|[^\W㐀-䶿一-鿿豈-﫿]+")
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "＇": "'"})
_QUOTES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "´": "'"})
_INSIDE = re.compile(r"(?<=\w)\.+(?=\w)|(?<=\d),(?=\d)")
_SEPARATING = re.compile(r"[^\w\s']|_")
_CONTRACTION = re.compile(r"([^\W\d_])'([^\W\d_])|(\d)'(s)")

Normaliser = Callable[[str], str]
"""Text to words with single spaces between them."""


def published_words(text: str) -> str:
    """Normalise to lower-case words without apostrophes and ASCII punctuation, joined by one space."""
    return " ".join(text.translate(_APOSTROPHES).lower().translate(_PUNCTUATION).split())


def plain_words(text: str) -> str:
    """Normalise to case-folded NFKC words, apostrophes unified, joined by one space."""
    plain = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).casefold().replace("_", " ")
    return _bare_words(plain) or " ".join(_PLAIN_WORD.findall(plain))


def alt_eval_words(text: str) -> str:
    """Normalise to the words that alt-eval's word error rate counts in English: `Don’t stop` is `don 't stop`."""
    plain = unicodedata.normalize("NFC", text).translate(_QUOTES).lower()
    if bare := _bare_words(plain):
        return bare
    opened = _SEPARATING.sub(" ", _INSIDE.sub("", plain))
    split = _CONTRACTION.sub(lambda m: f"{m[1] or m[3]} '{m[2] or m[4]}", opened)
    return " ".join(word for word in split.split() if word.strip("'"))


def _bare_words(text: str) -> str:
    """The words of a text of letters, digits and spaces alone, which need no rule; empty for any other."""
    words = text.split()
    return " ".join(words) if "".join(words).isalnum() else ""


def character_words(text: str) -> str:
    """Normalise to words, each CJK character being a word of its own."""
    return " ".join(_CJK.findall(unicodedata.normalize("NFKC", text).casefold().replace("_", " ")))


def characters(text: str) -> str:
    """Normalise to single letters and digits separated by spaces, for character error rates."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(c for c in plain if c.isalnum())


def folds_chinese() -> bool:
    """Whether OpenCC is installed, which `folded_characters` needs."""
    return find_spec("opencc") is not None


def folded_characters(text: str) -> str:
    """Normalise to single letters and digits, traditional Chinese characters as simplified ones (needs OpenCC)."""
    return characters(_to_simplified().convert(unicodedata.normalize("NFKC", text)))


@lru_cache(maxsize=1)
def _to_simplified() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


def word_errors(reference: str, hypothesis: str, normalise: Normaliser) -> tuple[int, int]:
    """(edits, words of the reference). An empty hypothesis misses every word; a rate can exceed 1."""
    truth, said = normalise(reference), normalise(hypothesis)
    num_words = len(truth.split())
    if not num_words or not said:
        return (num_words or len(said.split())), num_words
    return (0 if truth == said else _edits(truth, said)), num_words


# several normalisers mostly leave the same words of one line
@lru_cache(maxsize=16)
def _edits(truth: str, said: str) -> int:
    import jiwer

    counts = jiwer.process_words(truth, said)
    return counts.substitutions + counts.deletions + counts.insertions
