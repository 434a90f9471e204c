"""Answer kinds: one table, one comparison rule each, shared by rewards and evaluation.

choice    the option, by its words or by its letter (scoring/normalise)
tempo     one number, within 4 % (scoring/tempo); half or double the tempo is wrong, for the question asks for the level
count     one number, the same
decibels  one number, within 1 dB: references are rounded to whole ones
time      one time (`6.4 s`, `0:06.4`, `1 min 5 s`), within 0.5 s: the narrower window of mir_eval's boundaries
key       tonic and mode, by sound: Db minor is C# minor
chord     root and triad, by sound: Cm7 is C:min (scoring/chords)
numeral   a roman numeral, case counting: `vi` is minor, `VI` major
text      F1 of the words (as SQuAD counts it): 1 for the same words, less for words too many or too few

An answer that holds several numbers, times, keys or chords has chosen none of them, and is wrong.
"""

import operator
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

from music_flamingo.scoring.choices import MAX_ANSWER_CHARS
from music_flamingo.scoring.chords import parse_chord
from music_flamingo.scoring.normalise import ACCIDENTALS, EDGES, match_option, normalise_answer, parse_key
from music_flamingo.scoring.tempo import same_tempo
from music_flamingo.scoring.transcripts import character_words

AnswerKind = Literal["choice", "tempo", "count", "decibels", "time", "key", "chord", "numeral", "text"]

LEVEL_TOLERANCE_DB = 1.0
TIME_TOLERANCE_S = 0.5

BY_FAMILY: dict[str, AnswerKind] = {
    "bpm": "tempo",
    "dynamic_range": "decibels",
    "relative_key": "key",
    "roman_numeral": "numeral",
}
BY_TYPE: dict[str, AnswerKind] = {"count": "count", "time": "time", "chord": "chord"}
"""The kind of a family, else of a type. Where a reference is not of that kind, and for other types, its form tells."""
BY_FORM: tuple[AnswerKind, ...] = ("key", "tempo", "time", "decibels")
"""Kinds that a reference with its unit is recognised by."""

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_UNITS = {
    "tempo": re.compile(r"\d ?(?:bpm|beats (?:per|a) minute)$"),
    "decibels": re.compile(r"\d ?(?:db|decibels?)$"),
    "time": re.compile(r"\d ?(?:s|sec|seconds?)$|^(?:\d+:)?\d+:\d\d(?:\.\d+)?$"),
}
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):([0-5]\d(?:\.\d+)?)")
_MINUTES = re.compile(r"(\d+) ?(?:minutes?|mins?|m)\b(?: and)? ?")
_SECONDS = re.compile(r"(\d+(?:\.\d+)?) ?(?:seconds?|secs?|s)\b")
_NUMERAL = re.compile(r"[b#]?(?:[IV]+|[iv]+)(?:°|ø|o|\+)?(?:maj)?\d*")


def kind_of(question_type: str, family: str, options: Sequence[str], reference: str) -> AnswerKind:
    """How an answer is compared with this reference."""
    if options:
        return "choice"
    expected = BY_FAMILY.get(family) or BY_TYPE.get(question_type)
    if expected is not None and _READ[expected](reference) is not None:
        return expected
    text = normalise_answer(reference)
    return next((kind for kind in BY_FORM if _has_form(kind, text)), "text")


def score_answer(kind: AnswerKind, answer: str, reference: str, options: Sequence[str] = ()) -> float | None:
    """0 to 1: how right an answer is. None where the reference cannot be compared with (it is empty, no option ...)."""
    if not normalise_answer(reference):
        return None
    if len(answer) > MAX_ANSWER_CHARS:
        return 0.0
    if kind == "choice":
        wanted = match_option(reference, options)
        return None if wanted is None else float(match_option(answer, options) == wanted)
    if kind == "text":
        return word_f1(answer, reference)
    read = _READ[kind]
    truth, said = read(reference), read(answer)
    if truth is None:
        return None
    return 0.0 if said is None else float(_SAME[kind](said, truth))


def only_number(text: str) -> float | None:
    """The one number in the words (`104 BPM`, `six bars`); None for none or several."""
    found = _NUMBER.findall(normalise_answer(text))
    return float(found[0]) if len(found) == 1 else None


def parse_time_s(text: str) -> float | None:
    """Seconds of one time: `6.4 s`, `6.4`, `at 0:06.4`, `1:02:03`, `1 min 5 s`. None for none or several."""
    plain = unicodedata.normalize("NFKC", text).casefold().strip(EDGES)
    if clocks := _CLOCK.findall(plain):
        hours, minutes, seconds = clocks[0]
        alone = len(clocks) == 1 and not _NUMBER.search(_CLOCK.sub("", plain))
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds) if alone else None
    if _NUMBER.fullmatch(plain):
        return float(plain)
    minutes_found, rest = _MINUTES.findall(plain), _MINUTES.sub("", plain)
    seconds_found = _SECONDS.findall(rest)
    stray = _NUMBER.search(_SECONDS.sub("", rest))
    if stray or len(minutes_found) > 1 or len(seconds_found) > 1 or not (minutes_found or seconds_found):
        return None
    return 60.0 * sum(map(int, minutes_found)) + sum(map(float, seconds_found))


def parse_numeral(text: str) -> str | None:
    """Parse a roman numeral with accidentals; None where the text is not one."""
    plain = text.translate(ACCIDENTALS).strip(EDGES)
    return plain if _NUMERAL.fullmatch(plain) else None


def word_f1(answer: str, reference: str) -> float:
    """Harmonic mean of precision and recall of the words, each counted as often as it stands (Chinese: characters)."""
    said, wanted = (Counter(character_words(text).split()) for text in (answer, reference))
    common = (said & wanted).total()
    return 2 * common / (said.total() + wanted.total()) if common else 0.0


def _has_form(kind: AnswerKind, text: str) -> bool:
    return parse_key(text) is not None if kind == "key" else _UNITS[kind].search(text) is not None


_READ: dict[AnswerKind, Callable[[str], object]] = {
    "tempo": only_number,
    "count": only_number,
    "decibels": only_number,
    "time": parse_time_s,
    "key": parse_key,
    "chord": parse_chord,
    "numeral": parse_numeral,
}
_SAME: dict[AnswerKind, Callable[[Any, Any], bool]] = {
    "tempo": same_tempo,
    "count": operator.eq,
    "decibels": lambda said, truth: abs(said - truth) <= LEVEL_TOLERANCE_DB,
    "time": lambda said, truth: abs(said - truth) <= TIME_TOLERANCE_S,
    "key": operator.eq,
    "chord": operator.eq,
    "numeral": operator.eq,
}
