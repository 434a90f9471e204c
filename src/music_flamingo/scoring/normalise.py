"""Normalise answers: case, spaces, punctuation, numerals, enharmonic keys.

Nothing is searched for inside a longer answer: a model that repeats all the options has not answered.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

PITCH_CLASSES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
FIGURES = {
    **{"zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6"},
    **{"seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12"},
}

ACCIDENTALS = str.maketrans({"♯": "#", "♭": "b"})
EDGES = " \t\n.,;:!?\"'`*()[]"
_KEY = re.compile(r"(?:the key of )?([a-g])[ -]?(#|b|sharp|flat)?[ -]?(major|minor|maj|min|m)?", re.IGNORECASE)
_LONGEST_KEY = len("the key of c sharp major")
_LEADING_LETTER = re.compile(r"\(?([A-Za-z])(?:\)|\.|:)\s*(.*)", re.DOTALL)


# options and labels come again with every question
@lru_cache(maxsize=4096)
def normalise_answer(text: str) -> str:
    """Lower case, single spaces, no punctuation at the edges of words, number words as figures."""
    plain = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).translate(ACCIDENTALS).casefold()
    words = plain.replace("-", " ").split()
    if not "".join(words).isalnum():
        words = [bare for word in words if (bare := word.strip(EDGES))]
    return " ".join([FIGURES.get(word, word) for word in words])


@lru_cache(maxsize=4096)
def parse_key(text: str) -> tuple[int, str] | None:
    """(pitch class of the tonic, `major` or `minor`) of `C# minor`, `D flat major`, `Am`; None for anything else.

    A bare letter (`C`) is no key: it might as well name an option.
    """
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text).translate(ACCIDENTALS)
    plain = " ".join(plain.split()).strip(EDGES)
    is_short = 1 < len(plain) <= _LONGEST_KEY and plain[0] in "abcdefgtABCDEFGT" and plain[-1] in "rjnmRJNM"
    match = _KEY.fullmatch(plain) if is_short else None
    if match is None or match.group(3) is None:
        return None
    letter, accidental, mode = match.groups()
    shift = {"#": 1, "sharp": 1, "b": -1, "flat": -1}.get((accidental or "").lower(), 0)
    is_minor = mode == "m" or mode.lower() in ("min", "minor")
    return (PITCH_CLASSES[letter.lower()] + shift) % 12, "minor" if is_minor else "major"


def same_answer(answer: str, reference: str) -> bool:
    """True when both say the same; keys are compared by sound (C# minor is Db minor)."""
    answer_key, reference_key = parse_key(answer), parse_key(reference)
    if answer_key is not None and reference_key is not None:
        return answer_key == reference_key
    return normalise_answer(answer) == normalise_answer(reference)


def match_option(answer: str, options: Sequence[str]) -> str | None:
    """The one option that the answer names: by its words, by its letter (`B`), or by both (`(B) minor`).

    None when it names no option or more than one.
    """
    by_words = [option for option in options if same_answer(answer, option)]
    if len(by_words) == 1:
        return by_words[0]
    return lettered_option(answer, options)


def lettered_option(answer: str, options: Sequence[str]) -> str | None:
    """The option that the answer names by its letter alone, or by its letter and its own words."""
    bare = answer.strip(EDGES)
    if len(bare) == 1:
        return _by_letter(bare, options)
    if split := _LEADING_LETTER.fullmatch(answer.strip()):
        option = _by_letter(split.group(1), options)
        return option if option is not None and same_answer(split.group(2), option) else None
    return None


def _by_letter(letter: str, options: Sequence[str]) -> str | None:
    index = ord(letter.upper()) - ord("A")
    return options[index] if 0 <= index < len(options) else None
