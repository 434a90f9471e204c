"""Things that stand in time, as texts name them: a part, a chord, a degree of the key; and the spans in which they sound."""

from collections.abc import Callable, Mapping

from music_flamingo.records import Facts, Segment
from music_flamingo.scoring.chords import parse_chord, triad_of
from music_flamingo.scoring.claims.degrees import degree_semitones
from music_flamingo.scoring.claims.harmony import triads_in
from music_flamingo.scoring.claims.keys import key_of
from music_flamingo.scoring.claims.parts import PartName, a_part

CHORD = (
    r"(?<![\w#/'])(?-i:[A-G])(?:(?:#|b(?![a-z])|b(?=m(?![a-z])|maj7|dim|aug)| sharp| flat)(?:(?: major| minor|m7?|maj7|dim7?|aug|7)(?![\w#]))?"
    r"|(?: major| minor|m7?|maj7|dim7?|aug|7)(?![\w#])|(?= chord)|(?<=\bchord [A-G])(?![\w#']))(?! (?:key|scale))"
)
"""A chord whose name cannot be an article or a section's letter."""
DEGREE = r"tonic|supertonic|mediant|subdominant|dominant|submediant|home chord"
_ROLE = r"(?: (?:chord|triad|harmony|seventh))?"
WHOLE_PIECE = r"(?:piece|song|music|track|recording|tune|clip|excerpt|time|performance|running time)"


def a_thing(n: str = "") -> str:
    """Give the pattern of a thing's name; `n` keeps the groups of several apart."""
    chord = rf"(?:(?:tonic|dominant|submediant|subdominant|mediant|minor|major|opening|relative) )?(?P<chord{n}>{CHORD}){_ROLE}"
    return rf"(?:{chord}|(?P<degree{n}>{DEGREE})(?! of (?-i:[A-G])){_ROLE}|{a_part(n)}|(?P<letter_alone{n}>(?-i:[B-E]))(?![\w#' ]))"


Spans = Callable[[Facts], list[Segment] | None]


def spans_of(groups: Mapping[str, str | None], n: str = "") -> Spans | None:
    """Give what finds the spans of the thing that the groups of `a_thing(n)` name; None where they leave open which."""
    if chord := groups.get(f"chord{n}"):
        triads = triads_in(f" {chord}") or [c for c in [parse_chord(chord)] if c]
        if not triads:
            return None
        return lambda facts: _chords(facts, lambda c, _: c in triads)
    if degree := groups.get(f"degree{n}"):
        above = degree_semitones("tonic" if degree.lower() == "home chord" else degree)
        return lambda facts: _chords(facts, lambda c, key: key is not None and (c[0] - key[0]) % 12 in above)
    if letter := groups.get(f"letter_alone{n}"):
        return PartName("section", letter).spans
    part = PartName.of(groups, n)
    return part.spans if groups.get(f"part{n}") and part.is_known else None


def kind_of(groups: Mapping[str, str | None], n: str = "") -> str:
    """Name the kind of claims about such a thing."""
    return "chords" if groups.get(f"chord{n}") or groups.get(f"degree{n}") else "form"


def _chords(facts: Facts, fits: Callable[[tuple[int, str], tuple[int, str] | None], bool]) -> list[Segment] | None:
    if facts.chords is None:
        return None
    key = key_of(facts)
    return [s for s in facts.chords.segments if (c := triad_of(s.label)) is not None and fits(c, key)]


def named(spans: list[Segment]) -> str:
    """Give spans in words."""
    return (", ".join(f"{s.start_s:.1f} to {s.end_s:.1f}" for s in spans[:4]) or "none") + " s measured"
