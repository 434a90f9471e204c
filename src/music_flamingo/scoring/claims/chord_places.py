"""Which chords are meant by a place: first, last, third, at a time, in a part, the longest."""

import re
from itertools import groupby
from typing import Literal

from music_flamingo.records import Facts, Segment
from music_flamingo.scoring.chords import triad_of
from music_flamingo.scoring.claims.clock import EXACT, FRACTION, TIME, Moment, may_hold_time, moment_of, seconds_of
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.parts import PART_WORDS, PartName, a_part
from music_flamingo.scoring.claims.wording import ORDINALS

Place = Moment | PartName | int | Literal["longest", "shortest"] | None
"""Which chord is meant: 0 for the first, -1 for the last, 2 for the third; the one at a time; None is any."""
SHORTEST_CHORD_S = 0.25
PLACE_ROOM_S = 0.3
"""Beyond its borders, in which a chord still counts as sounding at a time."""
CHORD_AT = re.compile(
    rf"\b(?:at|after|around|about) (?:(?:about|around|roughly|the) )*(?:{TIME}|(?P<plain>\d+(?:\.\d+)?)\b)",
    re.IGNORECASE,
)
_CHORD_IN = re.compile(rf"\b(?:(?:{EXACT})(?= (?:in\b|into\b|mark\b))|{FRACTION})", re.IGNORECASE)
_PLACE = re.compile(
    r"\b(first(?! (?:hear|heard|appear|time|enter|sound|come|reach|arriv|occur|play))|opens?|opening|begins?|starts?|last|ends?|stops?|ending|closes?|closing|final|finishes|concludes?|concluding|finishing|comes? to (?:a )?rest|settles?|lands?|resolves? (?:in the )?finally|come to a close)\b",
    re.IGNORECASE,
)
IN_PART = re.compile(
    rf"\b(?:in|during|throughout|for|fills?|under|over|occupies|covers|of|does|accompan(?:y|ies)|underlies|supports?|underpins?|carries|colou?rs|beneath|throughout|through|across|within|into|behind) (?:the |its |this )?{a_part()}\b",
    re.IGNORECASE,
)
_IN_LINE = re.compile(
    rf"\b(?P<nth>{'|'.join(ORDINALS)}|last|final|opening|closing) (?:sung |vocal )?line\b", re.IGNORECASE
)
_LONGEST = re.compile(
    r"\b(?:for the longest|longest|most (?:of the time|often|frequent\w*|common)|dominates|predominat\w*)\b",
    re.IGNORECASE,
)
_IN_FIRST = re.compile(rf"\b(?:first|opening|initial|(?P<late>last|final|closing)) (?:{EXACT})", re.IGNORECASE)
_RULES = re.compile(
    rf"\b(?:dominates|predominates in|prevails in|governs|rules|holds sway (?:in|over|through|throughout|during)) (?:the |its |this )?{a_part()}\b",
    re.IGNORECASE,
)
_SHORTEST = re.compile(r"\b(?:shortest|briefest|least time)\b", re.IGNORECASE)
_SEVERAL = re.compile(r"\b(?:first|last|opening|closing|final) (?:[2-9]|1\d|few|several|pair)", re.IGNORECASE)
_NEIGHBOUR = re.compile(r"\b(?:follow\w*|after|before|next|preced\w*|leads? (?:in)?to)\b", re.IGNORECASE)
_BESIDE_EDGE = re.compile(
    r"\b(?:(?P<after>(?:after|following|follows|next to) the (?:opening|first|initial)(?: (?:1|one|chord|harmony|triad))?(?! (?-i:[A-G])))|(?:before|preceding|precedes) the (?:last|final|closing)(?: (?:1|one|chord|harmony|triad))?|penultimate|second to last|next to last)\b",
    re.IGNORECASE,
)
_NTH_CHORD = re.compile(
    r"\b(second|third|fourth|fifth|sixth|seventh|eighth) (?:(?:different|sounding|distinct|new|heard|audible) )?(?:chord|harmony|triad)\b|\bcomes (second|third|fourth|fifth)\b",
    re.IGNORECASE,
)


def is_heard(chord: Segment) -> bool:
    """Whether a chord is more than a passing one."""
    return chord.label not in "NX" and chord.end_s - chord.start_s >= SHORTEST_CHORD_S


def heard_triads(facts: Facts) -> list[tuple[int, str]]:
    """Give the triads that sound, one after another, without passing ones; runs of one triad as one."""
    segments = facts.chords.segments if facts.chords else []
    triads = [triad_of(s.label) for s in segments if is_heard(s)]
    return [chord for chord, _ in groupby(c for c in triads if c)]


def place_in(words: str) -> Place:
    """Give the place that a question or the words around a chord speak of."""
    if (ruled := _RULES.search(words)) is not None:
        return PartName.of(ruled.groupdict())
    if _LONGEST.search(words):
        return "longest"
    if _SHORTEST.search(words):
        return "shortest"
    if may_hold_time(words):
        if (first := _IN_FIRST.search(words)) is not None:
            half_s = seconds_of(first.groupdict()) / 2
            return Moment(-half_s if first["late"] else half_s)
        if (time := CHORD_AT.search(words)) is not None:
            return moment_of({**time.groupdict(), "bare": time["bare"] or time["plain"]})
        if (time := _CHORD_IN.search(words)) is not None:
            return moment_of(time.groupdict())
    if (line := _IN_LINE.search(words)) is not None:
        return PartName("line", nth=line["nth"].lower())
    if holds(words, PART_WORDS) and (part := IN_PART.search(words)) is not None:
        return PartName.of(part.groupdict())
    if (nth := _NTH_CHORD.search(words)) is not None:
        return ORDINALS[(nth[1] or nth[2]).lower()] - 1
    if (beside := _BESIDE_EDGE.search(words)) is not None:
        return 1 if beside["after"] else -2
    if _NEIGHBOUR.search(words) or _SEVERAL.search(words):
        return None
    found = {m.lower().startswith(("first", "open", "begin", "start")) for m in _PLACE.findall(words)}
    return None if len(found) != 1 else (0 if found.pop() else -1)


def meant(place: Place, facts: Facts, heard: list[tuple[int, str]]) -> list[tuple[int, str]] | None:
    """Give the triads at a place; None where any may be meant. Passing chords at the edges count with them."""
    if place is None or not heard or facts.chords is None:
        return None
    if place == "longest":
        return _held_longest(facts.chords.segments)
    if place == "shortest":
        named = [s for s in facts.chords.segments if s.label not in "NX"]
        brief = min(named, key=lambda s: s.end_s - s.start_s)
        return [c for c in [triad_of(brief.label)] if c]
    if isinstance(place, Moment):
        time_s = place.at(facts)
        if time_s is None:
            return None
        near = [s for s in facts.chords.segments if s.start_s - PLACE_ROOM_S <= time_s <= s.end_s + PLACE_ROOM_S]
        return [chord for s in near if (chord := triad_of(s.label))]
    if isinstance(place, PartName):
        spans = place.spans(facts)
        return _within(spans, facts.chords.segments) if spans and place.is_known else None
    if place in (0, -1):
        segments = [s for s in facts.chords.segments if s.label not in "NX"]
        edge = segments[place]
        edges = [edge] if edge.end_s - edge.start_s >= SHORTEST_CHORD_S else []
        raw = [chord for s in edges if (chord := triad_of(s.label))]
        return [*raw, heard[place]]
    return heard[place:][:1]


def _within(spans: list[Segment], segments: list[Segment]) -> list[tuple[int, str]]:
    """Give the triads that sound for a good part of one of some spans."""
    found = []
    for s in segments:
        shared_s = max(min(s.end_s, span.end_s) - max(s.start_s, span.start_s) for span in spans)
        if shared_s >= SHORTEST_CHORD_S and (chord := triad_of(s.label)):
            found.append(chord)
    return found


def _held_longest(segments: list[Segment]) -> list[tuple[int, str]]:
    """Give the triads that sound longest, all in all or at once."""
    total_s: dict[tuple[int, str], float] = {}
    for s in segments:
        if (chord := triad_of(s.label)) is not None:
            total_s[chord] = total_s.get(chord, 0.0) + s.end_s - s.start_s
    once = max(segments, key=lambda s: s.end_s - s.start_s)
    longest = [chord for chord, time_s in total_s.items() if time_s >= max(total_s.values()) - 0.05]
    if len(longest) == len(total_s) > 1:
        return []  # all sound equally long
    return [*longest, *(c for c in [triad_of(once.label)] if c)]
