"""Check answers against the measured facts, independently of whoever wrote them.

Times are compared to a tenth of a second, tempi to one beat a minute, keys and chords by sound (C# is Db).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from music_flamingo.quality.contradictions import BPM_TOLERANCE, TIME_TOLERANCE_S
from music_flamingo.quality.harmony import read_label, symbol, triad
from music_flamingo.records import Example, Facts
from music_flamingo.scoring.families import COMPOSITES, FAMILIES, Family, Rewording, heard_in_facts, parts_asked
from music_flamingo.scoring.normalise import parse_key
from music_flamingo.scoring.options import RANKS

SHORTEST_CHORD_S = 0.25
"""Shorter chords are passed over, in questions as in checks."""


@dataclass(frozen=True)
class OpenFamily:
    """A family without a closed set of answers: what its answers rest on, and how they are held against it."""

    rests_on: tuple[str, ...]
    """Of `records.MEASURED`."""
    agrees: Callable[[Example, Facts], bool] | None = None
    """Whether an answer follows from the facts; None where no rule here knows."""


_DEGREES = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}


def is_covered(family: str) -> bool:
    """True where a rule here knows the answer."""
    return (
        family in FAMILIES
        or family in COMPOSITES
        or (family in OPEN_FAMILIES and OPEN_FAMILIES[family].agrees is not None)
    )


def rests_on(family: str, question: str = "") -> tuple[str, ...]:
    """Give the facts that an answer of a family rests on; none for a family that is not known.

    A composite question rests on the facts of all its parts.
    """
    if (parts := parts_asked(family, question)) is not None:
        return tuple(dict.fromkeys(fact for part in parts for fact in FAMILIES[part.family].rests_on))
    known: Family | OpenFamily | None = FAMILIES.get(family) or OPEN_FAMILIES.get(family)
    return known.rests_on if known else ()


def answer_agrees(example: Example, facts: Facts) -> bool:
    """False when the facts give another answer; True also for families that no rule here covers."""
    if example.family in FAMILIES:
        return FAMILIES[example.family].from_facts(facts) == example.answer
    if example.family in COMPOSITES:
        return _follows(example, facts)
    rule = OPEN_FAMILIES.get(example.family)
    return rule is None or rule.agrees is None or rule.agrees(example, facts)


def _follows(example: Example, facts: Facts) -> bool:
    """The answer of a composite question is what its parts come to by the facts; other words are no such question."""
    parts = parts_asked(example.family, example.question)
    heard = heard_in_facts(facts, FAMILIES.values())
    return parts is not None and COMPOSITES[example.family].follows(parts, heard) == example.answer


def _key(facts: Facts) -> tuple[int, str] | None:
    return parse_key(facts.key.label) if facts.key else None


def _long_chords(facts: Facts) -> list[str]:
    segments = facts.chords.segments if facts.chords else []
    return [s.label for s in segments if s.end_s - s.start_s >= SHORTEST_CHORD_S and triad(s.label)]


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
    cited = [read_label(r.label) for r in example.references if r.kind == "chords" and r.label]
    return match is not None and symbol(*match.groups()) in cited


def _is_cited_numeral(example: Example, facts: Facts) -> bool:
    match = re.match(r"([b#]?)([IV]+|[iv]+)", example.answer)
    cited = [triad(r.label) for r in example.references if r.kind == "chords" and r.label]
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


def _leads(example: Example, facts: Facts) -> bool:
    """Where the loudness is steady no half is louder, and none can lead."""
    return facts.dynamics is not None and (example.answer == "no" or facts.dynamics.trend != "steady")


def _lines_with_words(facts: Facts) -> list[str]:
    lines = facts.lyrics.lines if facts.lyrics else []
    return [s.label for s in lines if any(map(str.isalnum, s.label))]


def _opens_the_text(example: Example, facts: Facts) -> bool:
    lines = _lines_with_words(facts)
    return bool(lines) and " ".join(lines[0].split()).startswith(example.answer)


def _ends_the_text(example: Example, facts: Facts) -> bool:
    lines = _lines_with_words(facts)
    return bool(lines) and lines[-1].split()[-1].strip(".,;:!?\"'()").endswith(example.answer)


def _labels(facts: Facts) -> list[str]:
    return [s.label for s in facts.sections.segments] if facts.sections else []


def _is_form(example: Example, facts: Facts) -> bool:
    """Letters in order of appearance, whatever the labels are called."""
    labels = _labels(facts)
    letters = {label: chr(ord("A") + k) for k, label in enumerate(dict.fromkeys(labels))}
    return bool(labels) and example.answer.split() == [letters[label] for label in labels]


def _comes_back(example: Example, facts: Facts) -> bool:
    labels = _labels(facts)
    return len(labels) > 1 and (example.answer == "yes") == (labels[0] == labels[-1])


def _is_longest(example: Example, facts: Facts) -> bool:
    lengths = [s.end_s - s.start_s for s in facts.sections.segments] if facts.sections else []
    place = lengths.index(max(lengths)) if lengths else len(RANKS)
    return place < len(RANKS) and example.answer == f"the {RANKS[place]}"


def _reworded(family: Family) -> dict[str, OpenFamily]:
    """The other questions about a family's percept, by name. A teacher may word an answer in its own way: the option of
    the family's last answer belongs to that, every other text to the answers before it."""

    def agrees(other: Rewording) -> Callable[[Example, Facts], bool]:
        last = family.options[-1]
        return lambda example, facts: (
            (heard := family.from_facts(facts)) is not None
            and (example.answer == other.answers[last][0]) == (heard == last)
        )

    return {other.name: OpenFamily(family.rests_on, agrees(other)) for other in family.reworded}


def _plays(example: Example, facts: Facts) -> bool:
    names = [i.name for i in facts.instruments.labels] if facts.instruments else []
    return example.answer in names


def _is_sung(example: Example, facts: Facts) -> bool:
    return facts.voice is not None and (example.answer == "yes") == (facts.voice.present and facts.voice.sings)


def _in_style(example: Example, facts: Facts) -> bool:
    return facts.genre is not None and example.answer in [g.name for g in facts.genre.labels]


OPEN_FAMILIES: dict[str, OpenFamily] = {
    "instrument": OpenFamily(("instruments",), _plays),
    "singing": OpenFamily(("voice",), _is_sung),
    "genre": OpenFamily(("genre",), _in_style),
    "bpm": OpenFamily(("tempo",), _near(lambda f: f.tempo.bpm if f.tempo else None, BPM_TOLERANCE)),
    "tempo_term": OpenFamily(("tempo",)),
    "bar_count": OpenFamily(("beats",), _counts(lambda f: len(f.beats.downbeats_s) if f.beats else 0)),
    "bar_start": OpenFamily(("beats",), _one_of(lambda f: f.beats.downbeats_s if f.beats else [])),
    "second_section_start": OpenFamily(("sections",), _one_of(_starts_at_second)),
    "first_chord_change": OpenFamily(
        ("chords",), _one_of(lambda f: [s.start_s for s in f.chords.segments] if f.chords else [])
    ),
    **{name: open_family for family in FAMILIES.values() for name, open_family in _reworded(family).items()},
    "dynamics_trend": OpenFamily(("dynamics",), _trend),
    "dynamic_range": OpenFamily(("dynamics",), _near(lambda f: f.dynamics.range_db if f.dynamics else None, 1.0)),
    "key": OpenFamily(("key",), _is_key),
    "relative_key": OpenFamily(("key",), _is_relative),
    "key_relation": OpenFamily(("key",)),
    "first_chord": OpenFamily(("chords",), _is_cited_chord),
    "last_chord": OpenFamily(("chords",), _is_cited_chord),
    "chord_at_time": OpenFamily(("chords",), _is_cited_chord),
    "num_chords": OpenFamily(("chords",), _counts(lambda f: len({triad(label) for label in _long_chords(f)}))),
    "roman_numeral": OpenFamily(("chords", "key"), _is_cited_numeral),
    "cadence": OpenFamily(("chords", "key")),
    "modal_mixture": OpenFamily(("chords", "key")),
    "harmonic_rhythm": OpenFamily(("chords", "beats")),
    "lyrics_first_words": OpenFamily(("lyrics",), _opens_the_text),
    "lyrics_line_count": OpenFamily(("lyrics",), _counts(lambda f: len(_lines_with_words(f)))),
    "lyrics_line_start": OpenFamily(
        ("lyrics",), _one_of(lambda f: [s.start_s for s in f.lyrics.lines] if f.lyrics else [])
    ),
    "lyrics_last_word": OpenFamily(("lyrics",), _ends_the_text),
    "louder_half": OpenFamily(("dynamics",), _louder),
    "busier_half": OpenFamily(("chords",)),
    "leading_half": OpenFamily(("dynamics", "chords"), _leads),
    "same_outer_chords": OpenFamily(("chords",)),
    "section_count": OpenFamily(("sections",), _counts(lambda f: len(f.sections.segments) if f.sections else 0)),
    "form": OpenFamily(("sections",), _is_form),
    "opening_returns": OpenFamily(("sections",), _comes_back),
    "longest_section": OpenFamily(("sections",), _is_longest),
    "short_caption": OpenFamily(("sound", "beats")),
    "rich_caption": OpenFamily(("tempo", "beats", "key")),
}
"""Chord references themselves are checked against the facts elsewhere."""
