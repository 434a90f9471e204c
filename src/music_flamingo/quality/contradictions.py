"""Find statements of a free text that contradict the facts: tempo, key, meter, chords, drums, times.

Texts of language models are read as such models write: `120 bpm`, `C-sharp minor`, `in 3/4`, `a D minor seventh chord`,
`without drums`. What is no claim is left alone: a major event, the first half (1/2), a form A B A, a bare letter.
A claim of something that was not measured is a contradiction too: it came out of nowhere. Tempi are compared to one
beat a minute, times to a tenth of a second, keys and chords by sound (C# is Db).
"""

import re

from music_flamingo.quality.harmony import is_heard, symbol
from music_flamingo.records import Facts
from music_flamingo.scoring.families import meter_class
from music_flamingo.scoring.normalise import parse_key

BPM_TOLERANCE = 1.0
TIME_TOLERANCE_S = 0.11
"""Times are written to a tenth of a second."""

_NOTE = r"(?<![\w'#])([A-G])(b|#|♭|♯|[- ]sharp|[- ]flat)?"
_BPM = re.compile(r"(\d+(?:\.\d+)?)[\s-]*(?:bpm\b|beats (?:per|a) minute)", re.IGNORECASE)
_KEY = re.compile(rf"{_NOTE}[ -]([Mm]ajor|[Mm]inor)\b")
_CHORD_KINDS = "major seventh|minor seventh|dominant seventh|diminished|augmented|major|minor"
_CHORD = re.compile(rf"{_NOTE}[ -]({_CHORD_KINDS})(?:[ -](?:chord|triad|harmony)s?)?\b")
_OF_A_CHORD = re.compile(r"[ -](?:chord|triad|harmon|seventh|sixth|ninth|7th)", re.IGNORECASE)
_OTHER_KEY = re.compile(r"\b(?:relative|parallel|modulat\w*|tonici\w*|shift\w*|mov\w*|turn\w*)\b[^.;]*$", re.IGNORECASE)
_ARTICLE = re.compile(
    r"(?:^|[.!?:]\s+)A (?:major|minor) (?!key|scale|tonality|mode|is\b|with\b|and\b|in\b|throughout)[a-z]"
)
_METER = re.compile(r"\b(duple|triple) (?:meter|metre|time)\b", re.IGNORECASE)
_WALTZ = re.compile(r"\bwaltz (?:time|meter|metre)\b", re.IGNORECASE)
_SIGNATURE = re.compile(r"(?<![\w/.])(\d{1,2})/(2|4|8|16)(?![\w/])(?! of\b)")
_BEATS = re.compile(r"\b(\w+) beats? (?:to|per|in|a) (?:the |a |each |every )?(?:bar|measure)\b", re.IGNORECASE)
_BARS = re.compile(r"\bhas (\w+) (?:bars?|measures?)\b", re.IGNORECASE)
_SYMBOL = re.compile(r"(?<![\w#])([A-G][b#]?)(m7b5|maj7|dim7|min7|m7|m6|dim|aug|sus[24]?|m|7|6)(?![\w#])")
"""A chord as lead sheets write it. Bare letters are left alone: they may be form letters or words."""
_KINDS = {"major seventh": "maj7", "minor seventh": "m7", "dominant seventh": "7", "diminished": "dim"}
_KINDS |= {"augmented": "aug", "major": "", "minor": "m"}
_DENIED = r"\b(?:no|not|without|lack\w*|neither|nor|never|free of|absence of)\s+(?:[\w-]+\s+){0,3}?"
_A_DRUM = r"\b(?:drums|drum ?kit|drum (?:set|beat|machine|pattern|groove)|drummer)\b"
_DRUMS = re.compile(rf"({_DENIED})?{_A_DRUM}(\s+(?:are|is) (?:absent|missing|not\b))?|\b(drumless)\b", re.IGNORECASE)
_SECONDS = re.compile(
    r"(?<!every )(?<![\w.:])(\d+(?:\.\d+)?) ?(?:s|sec|seconds?)\b(?! (?:long|a|each|every|of|in length))"
)
_CLOCK = re.compile(r"(?<![\w:./])(\d{1,2}):([0-5]\d)(?![\w:])")
_WORDS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
NUMBERS = {word: value for value, word in enumerate(_WORDS.split(" "))}
BEATS_OF = {"6/8": (2, 6), "9/8": (3, 9), "12/8": (4, 12), "3/8": (1, 3), "6/4": (2, 6), "2/2": (2, 4)}
"""Signatures that count otherwise than their upper figure says."""


def text_contradicts(text: str, facts: Facts, family: str) -> str | None:
    """`tempo`, `key`, `meter`, `chords`, `drums` or `time`: what the text names otherwise; None if nothing."""
    tempo_bpm = facts.tempo.bpm if facts.tempo else None
    if any(tempo_bpm is None or abs(float(n) - tempo_bpm) > BPM_TOLERANCE for n in _BPM.findall(text)):
        return "tempo"
    if family != "relative_key" and any(key != _key(facts) for key in named_keys(text)):
        return "key"
    if _wrong_meter(text, facts):
        return "meter"
    if not all(is_heard(chord, facts) for chord in named_chords(text)):
        return "chords"
    has_drums = facts.sound.has_drums if facts.sound else None
    if any(claimed != has_drums for claimed in claims_of_drums(text)):
        return "drums"
    return "time" if any(t > _end_s(facts) + TIME_TOLERANCE_S for t in named_times_s(text)) else None


def named_keys(text: str) -> list[tuple[int, str]]:
    """The keys that a text says the music is in; chords, and keys it says the music leaves for, are no such claims."""
    found = []
    for match in _KEY.finditer(text):
        before, after = text[: match.start()], text[match.end() :]
        if _OF_A_CHORD.match(after) or _OTHER_KEY.search(before) or _is_article(match, text):
            continue
        key = parse_key(f"{_note(match.group(1), match.group(2))} {match.group(3).lower()}")
        found += [key] if key else []
    return found


def named_chords(text: str) -> list[tuple[int, str]]:
    """(pitch class, lead-sheet suffix) of chords by symbol (Am7) and in words (A minor chord)."""
    found = [symbol(root, kind) for root, kind in _SYMBOL.findall(text)]
    for match in _CHORD.finditer(text):
        in_words = match.group(0)[match.end(3) - match.start() :]
        if in_words or match.group(3) not in ("major", "minor"):
            found.append(symbol(_note(match.group(1), match.group(2)), _KINDS[match.group(3)]))
    return found


def claims_of_drums(text: str) -> list[bool]:
    """For each mention of drums: are they said to play?"""
    return [not any(match.groups()) for match in _DRUMS.finditer(text)]


def named_times_s(text: str) -> list[float]:
    """Points of time in seconds: `12.5 s`, `at 83 seconds`, `1:23`."""
    clocks = [60.0 * int(minutes) + int(seconds) for minutes, seconds in _CLOCK.findall(text)]
    return [*map(float, _SECONDS.findall(text)), *clocks]


def _is_article(match: re.Match[str], text: str) -> bool:
    """`A minor detail` at the head of a sentence."""
    return (
        match.group(1) == "A"
        and not match.group(2)
        and any(m.end() > match.end() >= m.start() for m in _ARTICLE.finditer(text))
    )


def _note(letter: str, accidental: str | None) -> str:
    word = (accidental or "").strip(" -")
    return letter + {"sharp": "#", "♯": "#", "flat": "b", "♭": "b"}.get(word, word)


def _wrong_meter(text: str, facts: Facts) -> bool:
    beats_per_bar = (facts.beats.beats_per_bar if facts.beats else None) or 0
    num_bars = len(facts.beats.downbeats_s) if facts.beats else 0
    named = [*(name.lower() for name in _METER.findall(text)), *("triple" for _ in _WALTZ.findall(text))]
    return (
        any(name != meter_class(beats_per_bar) for name in named)
        or any(beats_per_bar not in _beats_of(*signature) for signature in _SIGNATURE.findall(text))
        or any((n := number(word)) is not None and n != beats_per_bar for word in _BEATS.findall(text))
        or any((n := number(word)) is not None and n != num_bars for word in _BARS.findall(text))
    )


def _beats_of(upper: str, lower: str) -> tuple[int, ...]:
    return BEATS_OF.get(f"{upper}/{lower}", (int(upper),))


def number(word: str) -> int | None:
    """Parse a number written in digits or as an English word; None where it is neither."""
    return int(word) if word.isdigit() else NUMBERS.get(word.lower())


def _key(facts: Facts) -> tuple[int, str] | None:
    return parse_key(facts.key.label) if facts.key else None


def _end_s(facts: Facts) -> float:
    return facts.duration_s if facts.duration_s is not None else float("inf")
