"""Word error counts of sung text by jiwer: edits and reference length per item, additive over a corpus.

Two stated normalisers for words and two readings of Chinese:
- `published_words`: lower case, ASCII punctuation removed, spaces collapsed (jiwer's usual transforms);
- `plain_words`: besides, NFKC, typographic apostrophes made plain and kept inside words, all other marks dropped, and
  the marks of uncertain words (`*`, `?`) too;
- `character_words`: every Chinese character a word, runs of other letters a word each;
- `characters`: letters and digits alone, one by one.
"""

import re
import string
import unicodedata
from collections.abc import Callable

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_PLAIN_WORD = re.compile(r"\w+(?:'\w+)*")
_CJK = re.compile(r"[㐀-䶿一-鿿豈-﫿]|[^\W㐀-䶿一-鿿豈-﫿]+")
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'"})

Normaliser = Callable[[str], str]
"""Text to words with single spaces between them."""


def published_words(text: str) -> str:
    """Normalise as the published scripts do: lower case, punctuation removed, words joined by one space."""
    return " ".join(text.lower().translate(_PUNCTUATION).split())


def plain_words(text: str) -> str:
    """Normalise to case-folded NFKC words, apostrophes unified, joined by one space."""
    plain = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).casefold().replace("_", " ")
    return " ".join(_PLAIN_WORD.findall(plain))


def character_words(text: str) -> str:
    """Normalise to words, each CJK character being a word of its own."""
    return " ".join(_CJK.findall(unicodedata.normalize("NFKC", text).casefold().replace("_", " ")))


def characters(text: str) -> str:
    """Normalise to single letters and digits separated by spaces, for character error rates."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(c for c in plain if c.isalnum())


def word_errors(reference: str, hypothesis: str, normalise: Normaliser) -> tuple[int, int]:
    """(edits, words of the reference). An empty hypothesis misses every word; a rate can exceed 1."""
    import jiwer

    truth, said = normalise(reference), normalise(hypothesis)
    num_words = len(truth.split())
    if not num_words or not said:
        return (num_words or len(said.split())), num_words
    counts = jiwer.process_words(truth, said)
    return counts.substitutions + counts.deletions + counts.insertions, num_words
