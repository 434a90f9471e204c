"""Claims about how long parts of a piece are, against times and each other, and which share of it they fill."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts, Segment
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.clock import EXACT, FRACTION_ROOM, may_hold_time, moment_of, seconds_of
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.parts import (
    ARTICLES,
    ORDINAL,
    PartName,
    a_part,
    a_part_or_place,
    labels_of,
    part_claim,
    parts_named,
)

SHARE_FILLED = 0.75
"""Part of a span that a section fills which is said to take it up."""
LENGTH_ROOM = 0.12
"""By which two lengths may differ that are said to be equal."""


_LONGER = re.compile(
    rf"\b{a_part('1')}(?: (?:is|are|lasts?|was|goes on)(?: \w+)?)? (?P<more>longer|shorter|more|less|over|under) (?:than )?(?:{EXACT}|{ARTICLES}{a_part_or_place('2')})",
    re.IGNORECASE,
)
_AS_LONG = re.compile(
    rf"\b{a_part('1')} (?:is|are|lasts?)(?: (?:about|roughly|exactly|just))*(?: (?P<factor>twice|half|\d times))? (?:as long as|the length of) {ARTICLES}{a_part_or_place('2')}",
    re.IGNORECASE,
)
_EQUAL = re.compile(
    r"\b(?:sections?|parts?|verses|choruses|halves|they|both)\b[^.;]{0,40}\b(?:equally long|(?:of )?(?:the same|equal) (?:length|duration)|equal in length)",
    re.IGNORECASE,
)
_UNEQUAL = re.compile(
    r"\b(?:sections?|parts?|verses|choruses|halves|they)\b[^.;]{0,40}\b(?:(?:different|unequal|differ\w*)[^.;]{0,12} (?:length|duration)s?|differ in length)",
    re.IGNORECASE,
)
_FIRST_SECONDS = re.compile(
    rf"\b(?P<edge>first|last|opening|final) (?:{EXACT}) (?:is|are|form|make up|belong to|contain|hold) {ARTICLES}{a_part()}",
    re.IGNORECASE,
)
_SPANS_FIRST = re.compile(
    rf"\b{a_part()} (?:spans|covers|fills|occupies|takes up|takes|makes up|lasts|is heard (?:in|during|over)|runs for|goes on for|holds) {ARTICLES}(?P<edge>first|last|opening|final) (?:{EXACT})",
    re.IGNORECASE,
)
_LIES_IN = re.compile(
    rf"\b{a_part('1')} (?:(?:is|lies|comes|stands|falls|sits) )?in {ARTICLES}(?P<nth2>{ORDINAL}) (?P<part2>half|third|quarter)\b",
    re.IGNORECASE,
)
_IS_A_SHARE = re.compile(
    rf"\b(?P<share>half|(?:a|1|2|3) (?:third|quarter|fifth)s?) of {ARTICLES}(?:piece|song|music|track|recording|tune) is (?:in|taken up by|filled by|made up of) {ARTICLES}{a_part()}",
    re.IGNORECASE,
)
_SPANS = re.compile(
    rf"\b{a_part()} (?:covers|spans|lasts|runs|goes|stretches|is heard|extends)(?: from)?(?: the)?(?: seconds?)? (?P<from>\d{{1,2}}:\d\d|\d+)(?: ?s| seconds)? (?:to|until|till|through) (?P<to>\d{{1,2}}:\d\d|\d+)",
    re.IGNORECASE,
)
_TAKES_UP = re.compile(
    rf"\b{a_part('1')} (?:takes up|fills|occupies|covers|spans|makes up) {ARTICLES}(?P<nth2>{ORDINAL}) (?P<part2>half|third|quarter)\b",
    re.IGNORECASE,
)


_TWO_ALIKE = re.compile(
    rf"\b{a_part('1')} and {ARTICLES}{a_part('2')} (?:(?P<unequal>differ in (?:length|duration)|are not (?:equally long|(?:of )?(?:the same|equal) length)|(?:have|are of) (?:different|unequal) lengths?)|are (?:about |roughly |exactly )?(?:equally long|as long as each other|equal in length|of (?:the same|equal) length)|have (?:about )?(?:the same|equal) lengths?|last equally long)",
    re.IGNORECASE,
)


def _two_alike(match: re.Match[str]) -> Callable[[Facts], Held]:
    one, other = PartName.of(match.groupdict(), "1"), PartName.of(match.groupdict(), "2")

    def test(facts: Facts) -> Held:
        length_s, other_s = _length(one, facts), _length(other, facts)
        if length_s is None or other_s is None:
            return NOT_MEASURED
        alike = abs(length_s - other_s) <= LENGTH_ROOM * max(length_s, other_s)
        return alike != bool(match["unequal"]), f"{length_s:.1f} s and {other_s:.1f} s measured"

    return test


_SHARES_OF = tuple(f"{share} of" for share in ("half", "third", "thirds", "quarter", "quarters", "fifth", "fifths"))


def read_part_lengths(text: str) -> Iterator[SpokenClaim]:
    """Read how long parts are in a plain text."""
    if parts_named(text) == 0 and not holds(text, ("equally", "same length", "equal length", "in length")):
        return
    if holds(text, ("longer", "shorter", "more", "less", "over", "under")):
        for match in _LONGER.finditer(text):
            yield part_claim(match, text, _is_longer(match))
    if holds(text, ("long", "length", "duration")):
        for match in _TWO_ALIKE.finditer(text) if parts_named(text) > 1 else ():
            yield SpokenClaim("form", match[0], _two_alike(match))
        for match in _AS_LONG.finditer(text):
            yield part_claim(match, text, _is_as_long(match))
        for match in _EQUAL.finditer(text):
            yield part_claim(match, text, all_equal)
        for match in _UNEQUAL.finditer(text):
            yield part_claim(match, text, _unequal)
    if may_hold_time(text) and holds(text, ("first ", "last ", "opening ", "final ")):
        for match in _FIRST_SECONDS.finditer(text):
            yield part_claim(match, text, _fills_the_edge(match))
        for match in _SPANS_FIRST.finditer(text):
            yield part_claim(match, text, _is_the_edge(match))
    for match in (
        _SPANS.finditer(text) if may_hold_time(text) and holds(text, (" to ", "until", "till", "through")) else ()
    ):
        yield part_claim(match, text, _spans(PartName.of(match.groupdict()), match["from"], match["to"]))
    for match in _LIES_IN.finditer(text) if parts_named(text) > 1 and holds(text, ("half", "third", "quarter")) else ():
        one, other = PartName.of(match.groupdict(), "1"), PartName.of(match.groupdict(), "2")
        yield part_claim(match, text, _lies_in(one, other))
    for match in _IS_A_SHARE.finditer(text) if holds(text, _SHARES_OF) else ():
        share = moment_of({"share": match["share"]}).seconds
        yield part_claim(match, text, _is_a_share(PartName.of(match.groupdict()), share))
    for match in (
        _TAKES_UP.finditer(text)
        if parts_named(text) > 1 and holds(text, ("takes up", "fill", "occup", "cover", "span", "makes"))
        else ()
    ):
        one, other = PartName.of(match.groupdict(), "1"), PartName.of(match.groupdict(), "2")
        yield part_claim(match, text, _fills(one, other.spans))


def _spans(part: PartName, begins: str, ends: str) -> Callable[[Facts], Held]:
    """Whether a section goes from one time to another."""
    start_s, end_s = (seconds_of({"clock" if ":" in said else "sec": said}) for said in (begins, ends))

    def test(facts: Facts) -> Held:
        spans = part.spans(facts)
        if spans is None:
            return NOT_MEASURED
        listed = ", ".join(f"{s.start_s:.1f} to {s.end_s:.1f}" for s in spans[:4])
        fits = any(abs(s.start_s - start_s) <= 1.0 and abs(s.end_s - end_s) <= 1.0 for s in spans)
        return fits, f"{listed or 'none'} s measured"

    return test


def _lies_in(one: PartName, other: PartName) -> Callable[[Facts], Held]:
    """Whether a section lies, for its greater part, in a half, third or quarter of the recording."""

    def test(facts: Facts) -> Held:
        placed, spans = one.spans(facts), other.spans(facts)
        if placed is None or not spans:
            return NOT_MEASURED
        shared = [min(spans[0].end_s, s.end_s) - max(spans[0].start_s, s.start_s) for s in placed]
        return any(n > 0.5 * (s.end_s - s.start_s) for n, s in zip(shared, placed, strict=True)), labels_of(facts)

    return test


def _is_a_share(part: PartName, share: float) -> Callable[[Facts], Held]:
    """Whether a section takes up a share of the recording."""

    def test(facts: Facts) -> Held:
        spans = part.spans(facts)
        if not spans or not facts.duration_s:
            return NOT_MEASURED
        filled = sum(s.end_s - s.start_s for s in spans) / facts.duration_s
        return abs(filled - share) <= FRACTION_ROOM, f"{filled:.2f} of the recording measured"

    return test


def _length(part: PartName, facts: Facts) -> float | None:
    spans = part.spans(facts)
    return max(s.end_s - s.start_s for s in spans) if spans else None


def _is_longer(match: re.Match[str]) -> Callable[[Facts], Held]:
    groups, one = match.groupdict(), PartName.of(match.groupdict(), "1")
    more = match["more"].lower() in ("longer", "more", "over")

    def test(facts: Facts) -> Held:
        length_s = _length(one, facts)
        other_s = (
            _length(PartName.of(groups, "2"), facts) if groups["part2"] or groups["alone2"] else seconds_of(groups)
        )
        if length_s is None or other_s is None:
            return NOT_MEASURED
        return (length_s > other_s) == more and length_s != other_s, f"{length_s:.1f} s measured"

    return test


def _is_as_long(match: re.Match[str]) -> Callable[[Facts], Held]:
    one, other = PartName.of(match.groupdict(), "1"), PartName.of(match.groupdict(), "2")
    said = (match["factor"] or "1 times").lower()
    factor = {"twice": 2.0, "half": 0.5}.get(said) or float(said.split()[0])

    def test(facts: Facts) -> Held:
        length_s, other_s = _length(one, facts), _length(other, facts)
        if length_s is None or other_s is None:
            return NOT_MEASURED
        fact = f"{length_s:.1f} s and {other_s:.1f} s measured"
        return abs(length_s - factor * other_s) <= LENGTH_ROOM * factor * other_s, fact

    return test


def all_equal(facts: Facts) -> Held:
    """Whether all sections are equally long."""
    lengths = [s.end_s - s.start_s for s in facts.sections.segments] if facts.sections else []
    if len(lengths) < 2:
        return NOT_MEASURED
    listed = ", ".join(f"{length_s:.1f}" for length_s in lengths[:6])
    return max(lengths) - min(lengths) <= LENGTH_ROOM * max(lengths), f"{listed} s measured"


def _unequal(facts: Facts) -> Held:
    holds_, fact = all_equal(facts)
    return (None if holds_ is None else not holds_), fact


def _fills_the_edge(match: re.Match[str]) -> Callable[[Facts], Held]:
    time_s, is_first = seconds_of(match.groupdict()), match["edge"].lower() in ("first", "opening")

    def spans(facts: Facts) -> list[Segment] | None:
        if facts.duration_s is None:
            return None
        start_s = 0.0 if is_first else max(0.0, facts.duration_s - time_s)
        return [Segment(start_s=start_s, end_s=start_s + time_s, label="edge")]

    return _fills(PartName.of(match.groupdict()), spans)


def _is_the_edge(match: re.Match[str]) -> Callable[[Facts], Held]:
    """Whether a part begins with the recording, or ends with it, and lasts so long."""
    time_s, is_first, part = (
        seconds_of(match.groupdict()),
        match["edge"].lower() in ("first", "opening"),
        PartName.of(match.groupdict()),
    )

    def test(facts: Facts) -> Held:
        spans = part.spans(facts)
        if not spans or facts.duration_s is None:
            return NOT_MEASURED
        room_s = max(1.0, 0.05 * time_s)
        fits = any(
            abs(s.end_s - s.start_s - time_s) <= room_s
            and (s.start_s <= room_s if is_first else s.end_s >= facts.duration_s - room_s)
            for s in spans
        )
        return fits, f"{', '.join(f'{s.start_s:.1f} to {s.end_s:.1f}' for s in spans[:4])} s measured"

    return test


def _fills(part: PartName, spans_of: Callable[[Facts], list[Segment] | None]) -> Callable[[Facts], Held]:
    """Whether a part takes up most of a span."""

    def test(facts: Facts) -> Held:
        filled, spans = part.spans(facts), spans_of(facts)
        if filled is None or not spans:
            return NOT_MEASURED
        start_s, end_s = spans[0].start_s, spans[0].end_s
        shared_s = sum(max(0.0, min(end_s, s.end_s) - max(start_s, s.start_s)) for s in filled)
        return shared_s >= SHARE_FILLED * (end_s - start_s), labels_of(facts)

    return test
