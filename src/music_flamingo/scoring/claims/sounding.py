"""Claims that a part or a chord sounds at a time or over a span: `the IV chord sounds from 25 to 50 seconds`."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts, Segment
from music_flamingo.scoring.chords import triad_of
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.clock import TIME, Moment, may_hold_time, moment_of, seconds_of
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.harmony import triads_in
from music_flamingo.scoring.claims.parts import PartName, a_part, parts_named
from music_flamingo.scoring.claims.wording import is_denied

ROOM_S = 0.6
"""By which a border may be missed."""
SHARE_FILLED = 0.75
_CHORD = r"(?P<chord>(?<![\w'])(?-i:[A-G])(?:[#b](?![a-z])| sharp| flat)?(?: ?(?-i:m|maj|min|major|minor|7|m7|maj7|minor 7|dim))?(?![\w#'])(?! section| part))"
_THING = rf"(?:{a_part()}|{_CHORD}(?: (?:chord|triad|harmony))?)"
_SOUNDS = r"(?:,? (?:which |that )?(?:is|are)? ?(?:heard|sounds?|sounding|plays?|playing|played|held|holds?|lasts?|runs?|spans?|covers?|extends?|stretch\w*|occupies|stays?|continues?|goes|present|active|prevails?|dominates?|takes place|sustained|sung|in effect))"
_N = r"(?:\d{1,2}:\d\d|\d+(?:\.\d+)?)"
_UNIT = r"(?: ?s\b| ?seconds?\b| ?secs?\b)?"
_RANGE = rf"(?:from |between |over |during |,? \()?(?:the |about |around |roughly |seconds? )*(?P<from>{_N}){_UNIT} ?(?:to|until|till|through|and|-|up to) ?(?:about |around |roughly |the )*(?P<to>{_N})(?:{_UNIT})"
_OVER = re.compile(rf"\b{_THING}(?:{_SOUNDS})?(?: only| just| exactly| mainly)? {_RANGE}", re.IGNORECASE)
_FROM = re.compile(
    rf"\b(?:from|between) (?P<from>{_N}){_UNIT} (?:to|until|till|through|and) (?P<to>{_N}){_UNIT},? (?:(?:(?:we|you|one|it|they|the \w+)(?: \w+)? )?(?:hears?|have|has|gets?|is|are|stays?|rests?|remains?|plays?|holds?|sits?|dwells?|lingers?|there is)(?: in| on| at| over| with)? )?(?:the |an? )?{_THING}",
    re.IGNORECASE,
)
_WHILE = re.compile(
    rf"\b(?P<side>after|past|beyond|from|at|before|until|around)(?: about| around| roughly)? (?:the )?(?:{TIME})(?: mark)?(?: onwards?| on)?,? (?:(?:we|you|one) (?:hear|have|get)s? |there is |it is )?(?:the |an? )?{_THING}(?: (?:is|are) (?:heard|playing|sounding|sung|active|present)| sounds| plays| prevails| continues| is in effect| continues|(?: (?:again|once more|instead|alone|only|a second time))?(?=[.,;]|$))",
    re.IGNORECASE,
)


_TWO_TIMES = re.compile(r"\d(?: ?s(?:ec\w*)?)? ?(?:to|until|till|through|and|-|up to) ?(?:\w+ )?\d", re.IGNORECASE)
_SIDE = re.compile(
    r"\b(?:after|past|beyond|from|at|before|until|around)\b(?: (?:about|around|roughly|the))* (?:\d|a |1 |half|mid|3 )",
    re.IGNORECASE,
)
_IN_PART = re.compile(
    rf"{_CHORD}(?: (?:chord|triad|harmony))?(?:{_SOUNDS}| comes| enters| falls| lies)(?: only)? (?:in|during|throughout|over) (?:the )?{a_part()}\b",
    re.IGNORECASE,
)


def _in_part(match: re.Match[str]) -> Callable[[Facts], Held]:
    """Whether a chord sounds in a part for a good while."""
    chords, part = _chord_spans(match["chord"]), PartName.of(match.groupdict())

    def test(facts: Facts) -> Held:
        spans, parts = chords(facts), part.spans(facts)
        if spans is None or not parts:
            return NOT_MEASURED
        shared_s = max((min(s.end_s, p.end_s) - max(s.start_s, p.start_s) for s in spans for p in parts), default=0.0)
        return shared_s > ROOM_S, _listed(spans)

    return test


def read_sounding(text: str) -> Iterator[SpokenClaim]:
    """Read what sounds when in a plain text."""
    for match in _IN_PART.finditer(text) if parts_named(text) else ():
        yield SpokenClaim("chords", match[0], _in_part(match), is_denied(text, *match.span()))
    if not may_hold_time(text):
        return
    for pattern in (_OVER, _FROM) if _TWO_TIMES.search(text) else ():
        for match in (
            pattern.finditer(text) if holds(text, (" to ", " until ", " till ", " and ", "-", "through")) else ()
        ):
            span = [seconds_of({"clock" if ":" in said else "sec": said}) for said in (match["from"], match["to"])]
            if span[0] < span[1] and (match["part"] or match["chord"]):
                yield _claim(match, text, _fills(_spans_of(match), span[0], span[1]))
    for match in _WHILE.finditer(text) if _SIDE.search(text) else ():
        groups = {k: v for k, v in match.groupdict().items() if k not in ("part", "chord", "nth", "letter", "late")}
        if match["side"].lower() in ("after", "past", "beyond", "from"):
            yield _claim(match, text, _sounds_beside(_spans_of(match), moment_of(groups), 1.0))
        elif match["side"].lower() in ("at", "around"):
            yield _claim(match, text, _sounds_beside(_spans_of(match), moment_of(groups), 0.0))
        elif match["side"].lower() in ("before", "until"):
            yield _claim(match, text, _sounds_beside(_spans_of(match), moment_of(groups), -1.0))


def _claim(match: re.Match[str], text: str, test: Callable[[Facts], Held]) -> SpokenClaim:
    return SpokenClaim("form" if match["part"] else "chords", match[0], test, is_denied(text, *match.span()))


Spans = Callable[[Facts], list[Segment] | None]


def _spans_of(match: re.Match[str]) -> Spans:
    """Give what finds the spans of the part or chord that a match names."""
    if match["part"]:
        return PartName.of(match.groupdict()).spans
    return _chord_spans(match["chord"])


def _chord_spans(name: str) -> Spans:
    triads = triads_in(f" {name}")

    def spans(facts: Facts) -> list[Segment] | None:
        if facts.chords is None:
            return None
        return [s for s in facts.chords.segments if triad_of(s.label) in triads]

    return spans


def _listed(spans: list[Segment]) -> str:
    return (", ".join(f"{s.start_s:.1f} to {s.end_s:.1f}" for s in spans[:4]) or "none") + " s measured"


def _fills(spans_of: Spans, start_s: float, end_s: float) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        spans = spans_of(facts)
        if spans is None:
            return NOT_MEASURED
        shared_s = sum(max(0.0, min(end_s, s.end_s) - max(start_s, s.start_s)) for s in spans)
        return shared_s >= SHARE_FILLED * (end_s - start_s), _listed(spans)

    return test


def _sounds_beside(spans_of: Spans, moment: Moment, side: float) -> Callable[[Facts], Held]:
    """Whether it sounds at a time (`side` 0), shortly after (1) or before (-1)."""

    def test(facts: Facts) -> Held:
        spans, time_s = spans_of(facts), moment.at(facts)
        if spans is None or time_s is None:
            return NOT_MEASURED
        beside_s, room_s = time_s + side * (ROOM_S + moment.room(facts)), 0.0 if side else ROOM_S
        return any(s.start_s - room_s <= beside_s <= s.end_s + room_s for s in spans), _listed(spans)

    return test
