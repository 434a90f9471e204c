"""Do answers and texts agree with the measured facts? Read anew from the facts, apart from whoever wrote them.

Times are compared to a tenth of a second, tempi to one beat a minute, keys and chords by sound (C# is Db).
"""

import re
from collections.abc import Callable

from music_flamingo.records import Example, Facts
from music_flamingo.scoring.families import FAMILIES, meter_class
from music_flamingo.scoring.normalise import PITCH_CLASSES, parse_key

TIME_TOLERANCE_S = 0.11
"""Answers are written to a tenth of a second."""
BPM_TOLERANCE = 1.0
SHORTEST_CHORD_S = 0.25
"""Shorter chords are passed over, in questions as in checks."""

_BPM = re.compile(r"(\d+(?:\.\d+)?) BPM")
_KEY = re.compile(r"\b([A-G][b#]?) (major|minor)\b")
_METER = re.compile(r"\b(duple|triple) meter\b")
_BEATS = re.compile(r"\b(\w+) beats? to the bar")
_BARS = re.compile(r"\bhas (\w+) bars?\b")
_SYMBOL = re.compile(r"(?<![\w#])([A-G][b#]?)(m7b5|maj7|dim7|min7|m7|m6|dim|aug|sus[24]?|m|7|6)(?![\w#])")
"""A chord as lead sheets write it. Bare letters are left alone: they may be form letters or words."""
_DRUMS = re.compile(r"\b(no|and|with) drums\b")
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DEGREES = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}


def answer_agrees(example: Example, facts: Facts) -> bool:
    """False when the facts give another answer; True also for families that no rule here covers."""
    if example.family in FAMILIES:
        return FAMILIES[example.family].from_facts(facts) == example.answer
    rule = RULES.get(example.family)
    return rule is None or rule(example, facts)


def text_contradicts(text: str, facts: Facts, family: str) -> str | None:
    """`tempo`, `key`, `meter`, `chords` or `drums`: what the text names otherwise than the facts; None if nothing."""
    tempo_bpm = facts.tempo.bpm if facts.tempo else None
    if any(tempo_bpm is None or abs(float(n) - tempo_bpm) > BPM_TOLERANCE for n in _BPM.findall(text)):
        return "tempo"
    keys = {parse_key(f"{tonic} {mode}") for tonic, mode in _KEY.findall(text)}
    if family != "relative_key" and keys - {_key(facts)}:
        return "key"
    if _wrong_meter(text, facts):
        return "meter"
    if any(not _is_heard(_symbol(root, kind), facts) for root, kind in _SYMBOL.findall(text)):
        return "chords"
    has_drums = facts.sound.has_drums if facts.sound else None
    return "drums" if any((word != "no") != has_drums for word in _DRUMS.findall(text)) else None


def _is_heard(symbol: tuple[int, str], facts: Facts) -> bool:
    """A chord as it was measured, or its triad: Bdim where Bm7b5 is heard."""
    labels = [s.label for s in facts.chords.segments] if facts.chords else []
    triad = {"m": "minor", "dim": "dim", "aug": "aug", "sus": "sus"}.get(symbol[1])
    return any(_read(label) == symbol or (triad and _triad(label) == (symbol[0], triad)) for label in labels)


def _wrong_meter(text: str, facts: Facts) -> bool:
    beats_per_bar = facts.beats.beats_per_bar if facts.beats else 0
    num_bars = len(facts.beats.downbeats_s) if facts.beats else 0
    return (
        any(name != meter_class(beats_per_bar) for name in _METER.findall(text))
        or any(_number(word) != beats_per_bar for word in _BEATS.findall(text))
        or any(_number(word) != num_bars for word in _BARS.findall(text))
    )


def _number(word: str) -> int:
    return _NUMBERS.index(word) if word in _NUMBERS else int(word) if word.isdigit() else -1


def _key(facts: Facts) -> tuple[int, str] | None:
    return parse_key(facts.key.label) if facts.key else None


def _pitch_class(name: str) -> int:
    return (PITCH_CLASSES[name[0].lower()] + name.count("#") - name.count("b")) % 12


def _read(label: str) -> tuple[int, str] | None:
    """(pitch class, lead-sheet suffix) of a mir_eval label."""
    if label in ("N", "X"):
        return None
    root, _, quality = label.partition("/")[0].partition(":")
    quality = quality.partition("(")[0]
    suffixes = {"maj": "", "min": "m", "min7": "m7", "min6": "m6", "maj6": "6", "hdim7": "m7b5", "minmaj7": "mmaj7"}
    suffixes |= {"sus2": "sus", "sus4": "sus", "9": "7", "11": "7", "13": "7", "maj9": "maj7", "min9": "m7"}
    return _pitch_class(root), suffixes.get(quality, quality)


def _symbol(root: str, kind: str) -> tuple[int, str]:
    return _pitch_class(root), {"sus2": "sus", "sus4": "sus", "min7": "m7"}.get(kind, kind)


def _triad(label: str) -> tuple[int, str] | None:
    """(pitch class, kind of triad), whatever is added."""
    read = _read(label)
    if read is None or read[1] in ("1", "5"):
        return None
    root, kind = read
    if kind.startswith(("dim", "m7b5")):
        return root, "dim"
    if kind.startswith("aug") or kind.startswith("sus"):
        return root, kind[:3]
    return root, "minor" if kind.startswith("m") and not kind.startswith("maj") else "major"


def _long_chords(facts: Facts) -> list[str]:
    segments = facts.chords.segments if facts.chords else []
    return [s.label for s in segments if s.end_s - s.start_s >= SHORTEST_CHORD_S and _triad(s.label)]


def _figure(example: Example) -> float | None:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?: BPM| dB| s)?", example.answer)
    return float(match.group(1)) if match else None


def _counts(count: Callable[[Facts], int]) -> Callable[[Example, Facts], bool]:
    return lambda example, facts: _figure(example) == count(facts)


def _near(value: Callable[[Facts], float | None], tolerance: float) -> Callable[[Example, Facts], bool]:
    def agrees(example: Example, facts: Facts) -> bool:
        measured, answered = value(facts), _figure(example)
        return measured is not None and answered is not None and abs(measured - answered) <= tolerance

    return agrees


def _one_of(times: Callable[[Facts], list[float]]) -> Callable[[Example, Facts], bool]:
    """The answered time is one at which such a thing happens, and the example's references say so too."""

    def agrees(example: Example, facts: Facts) -> bool:
        answered = _figure(example)
        if answered is None:
            return False
        cited = any(abs(t - answered) <= TIME_TOLERANCE_S for r in example.references for t in (r.start_s, r.end_s))
        return cited and any(abs(t - answered) <= TIME_TOLERANCE_S for t in times(facts))

    return agrees


def _is_key(example: Example, facts: Facts) -> bool:
    return parse_key(example.answer) is not None and parse_key(example.answer) == _key(facts)


def _is_relative(example: Example, facts: Facts) -> bool:
    key = _key(facts)
    if key is None:
        return False
    tonic, mode = key
    relative = ((tonic + 9) % 12, "minor") if mode == "major" else ((tonic + 3) % 12, "major")
    return parse_key(example.answer) == relative


def _is_cited_chord(example: Example, facts: Facts) -> bool:
    match = re.fullmatch(r"([A-G][b#]?)(\S*)", example.answer)
    cited = [_read(r.label) for r in example.references if r.kind == "chords" and r.label]
    return match is not None and _symbol(*match.groups()) in cited


def _is_cited_numeral(example: Example, facts: Facts) -> bool:
    match = re.match(r"([b#]?)([IV]+|[iv]+)", example.answer)
    cited = [_triad(r.label) for r in example.references if r.kind == "chords" and r.label]
    key = _key(facts)
    if match is None or key is None or not cited or cited[0] is None:
        return False
    root, kind = cited[0]
    degree = _DEGREES[match.group(2).upper()] + {"b": -1, "#": 1, "": 0}[match.group(1)]
    # natural minor lowers the third, sixth and seventh degree; `vii°` stands on the raised one
    if key[1] == "minor" and match.group(2).upper() in ("III", "VI", "VII"):
        degree -= 0 if match.group(2) == "vii" and kind == "dim" else 1
    upper = kind in ("major", "aug", "sus")
    return (key[0] + degree) % 12 == root and match.group(2).isupper() == upper


def _starts_at_second(facts: Facts) -> list[float]:
    return [s.start_s for s in facts.sections.segments[1:2]] if facts.sections else []


def _trend(example: Example, facts: Facts) -> bool:
    return facts.dynamics is not None and example.answer == facts.dynamics.trend


def _louder(example: Example, facts: Facts) -> bool:
    halves = {"falling": "first half", "rising": "second half", "steady": "both alike"}
    return facts.dynamics is not None and example.answer == halves[facts.dynamics.trend]


def _lines_with_words(facts: Facts) -> list[str]:
    lines = facts.lyrics.lines if facts.lyrics else []
    return [s.label for s in lines if any(map(str.isalnum, s.label))]


def _opens_the_text(example: Example, facts: Facts) -> bool:
    lines = _lines_with_words(facts)
    return bool(lines) and " ".join(lines[0].split()).startswith(example.answer)


def _ends_the_text(example: Example, facts: Facts) -> bool:
    lines = _lines_with_words(facts)
    return bool(lines) and lines[-1].split()[-1].strip(".,;:!?\"'()").endswith(example.answer)


RULES: dict[str, Callable[[Example, Facts], bool]] = {
    "bpm": _near(lambda f: f.tempo.bpm if f.tempo else None, BPM_TOLERANCE),
    "dynamic_range": _near(lambda f: f.dynamics.range_db if f.dynamics else None, 1.0),
    "bar_count": _counts(lambda f: len(f.beats.downbeats_s) if f.beats else 0),
    "section_count": _counts(lambda f: len(f.sections.segments) if f.sections else 0),
    "lyrics_line_count": _counts(lambda f: len(_lines_with_words(f))),
    "num_chords": _counts(lambda f: len({_triad(label) for label in _long_chords(f)})),
    "bar_start": _one_of(lambda f: f.beats.downbeats_s if f.beats else []),
    "second_section_start": _one_of(_starts_at_second),
    "first_chord_change": _one_of(lambda f: [s.start_s for s in f.chords.segments] if f.chords else []),
    "lyrics_line_start": _one_of(lambda f: [s.start_s for s in f.lyrics.lines] if f.lyrics else []),
    "lyrics_first_words": _opens_the_text,
    "lyrics_last_word": _ends_the_text,
    "key": _is_key,
    "relative_key": _is_relative,
    "first_chord": _is_cited_chord,
    "last_chord": _is_cited_chord,
    "chord_at_time": _is_cited_chord,
    "roman_numeral": _is_cited_numeral,
    "dynamics_trend": _trend,
    "louder_half": _louder,
}
"""Family -> does the answer agree? Chord references themselves are checked against the facts elsewhere."""
