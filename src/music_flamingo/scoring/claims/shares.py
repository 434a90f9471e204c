"""Claims about how much of the music something takes up, until when it lasts, and when it comes, for parts and chords alike."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.chord_places import is_heard
from music_flamingo.scoring.claims.clock import EXACT, Moment, may_hold_time, moment_of, seconds_of
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.parts import PartName, a_part, parts_named
from music_flamingo.scoring.claims.things import CHORD, WHOLE_PIECE, Spans, a_thing, kind_of, named, spans_of
from music_flamingo.scoring.claims.wording import ORDINALS, is_denied

ROOM_S = 1.5
SHARE_ROOM = 0.05
"""Of the length, by which a share may be missed."""
_HOW = r"(?: (?:about|around|roughly|approximately|nearly|almost|exactly|just|only|some|over|for|well))*"
_PIECE = rf"(?:the |its |this )?(?:whole |entire |total )?{WHOLE_PIECE}"
_SHARE = (
    r"(?:(?P<percent>\d+(?:\.\d+)?) ?(?:%|per ?cent)|(?P<share>half|(?:a|1|2|3|4) (?:third|quarter|fifth)s?|most))"
    rf"(?: of {_PIECE}(?:'s (?:length|duration|time|running time))?)"
    rf"|(?P<n>\d+)(?: seconds)? (?:(?:out )?of|in) (?:the|its|all) (?P<m>\d+) seconds"
)
_TAKES = (
    r"(?: (?:chord|alone|itself|together|all told))*,? (?:(?:which |that )?(?:is|are) (?:heard|sung|played|held|sounded|present|sustained|active) (?:for|during|in)|(?:is|are)|lasts?(?: for)?|sounds for|accounts? for|makes? up|takes? up|fills?|occup(?:y|ies)|covers?|claims?|spans?"
    r"|constitutes?|represents?|dominates|holds for|runs for|(?:is|are) (?:allotted|given))"
)
_NO_KEY = r"(?<!\bin )(?<!\bof )"
_TAKES_SHARE = re.compile(rf"\b{_NO_KEY}{a_thing()}{_TAKES}{_HOW} (?:{_SHARE})", re.IGNORECASE)
_SHARE_BELONGS = re.compile(
    rf"(?<!\w)(?:{_SHARE}) (?:belongs? to|goes to|is (?:given|devoted|allotted|dedicated) to|is (?:taken up|filled|occupied|covered|made up|spent) (?:by|on|in|of)|is|consists of|comes from|falls (?:to|on|in)) (?:the |an? )?{a_thing()}",
    re.IGNORECASE,
)
_STAYS = r"(?:,? (?:and|then|which|where it|where|it))* (?:lasts?|stays?|remains?|holds?(?: on)?|continues?|goes on|runs?(?: on)?|is (?:held|sustained|heard)|sounds|persists?|rings? on|extends?|carries on|endures?)"
_TO_THE_END = re.compile(
    rf"\b{_NO_KEY}{a_thing()}(?: (?-i:[^.;,A-Z]){{0,40}}?)?{_STAYS}(?: there)? (?:until|till|to|through(?: to)?|up to|right to|all the way to) the (?:very )?(?P<end>end|close|finish|last (?:bar|second|moment))\b",
    re.IGNORECASE,
)
_RESTS = re.compile(
    rf"\b(?:stays?|remains?|rests?|sits?|dwells?|lingers?|hovers?|keeps?|holds?|is)(?: put| firmly| entirely| wholly)? (?:on|in|over|with) (?:the |an? |its )?{a_thing()} (?:for|during|over|throughout|in) (?:the |its |all of the )?(?:whole |entire )?(?P<edge>first|last|opening|final|closing|initial) (?:{EXACT})",
    re.IGNORECASE,
)
_TURNS = re.compile(
    rf"\b(?:at|after|around|about|from|past)(?: (?:about|around|roughly|exactly|the|just))* (?:{EXACT})(?: (?:mark|in|have passed))?,? (?:the |its )?(?:harmony|music|song|piece|chords?|progression|track|tune|bass|key|it)?(?: \w+ly)? ?(?:then )?(?:moves?|changes?|shifts?|turns?|switches|gives way|goes|resolves?|returns?|passes|progresses|slides|proceeds|steps|comes? back)(?: back| on| over| down| up)?(?: from (?P<from>[A-G][\w# ]{{0,9}}?))? (?:in|on)?to (?:the |an? |its )?{a_thing()}",
    re.IGNORECASE,
)
_COMES_AT = re.compile(
    rf"\b{_NO_KEY}{a_thing()}(?: (?-i:[^.;,A-Z]){{0,24}}?)? (?P<how>returns?|comes? back|re ?enters?|reappears?|begins?|starts?|enters?|sets? in|arrives?|is (?:reached|regained)|ends?|stops?|is over)(?: again)?(?: (?:at|around|about|after|roughly|exactly|the|just|by))+ (?:{EXACT})",
    re.IGNORECASE,
)
_NTH = {word: place for word, place in ORDINALS.items() if place < 7} | {"last": 0}
_COMES_NTH = re.compile(
    rf"\b{_NO_KEY}{a_thing()}(?:, [^,.;]{{1,24}},)? (?:is|comes|stands|sounds|is heard|enters|appears|arrives) (?P<place>{'|'.join(_NTH)})(?=[.,;]|$| (?:in|of|and)\b)",
    re.IGNORECASE,
)
_IS_THE_NTH = re.compile(
    rf"\b{_NO_KEY}{a_thing()},? (?:(?:and|which|so|then) )*(?:it )?(?:is|was)(?: also)? the (?P<place>{'|'.join(_NTH)})(?: different| new)? (?:chord|harmony|triad|section|part)\b(?! (?:to|of|that|in|from|with))",
    re.IGNORECASE,
)
_PART_HAS = re.compile(
    rf"\b(?:chord|harmony|triad) (?:in|of|during|for|under|throughout) (?:the |its )?{a_part('1')} is (?:an? |the )?{a_thing()}"
    rf"|\b{a_part('2')} (?:turns to|moves to|goes to|shifts to|brings|dwells on|sits on|rests on|introduces|settles on|stays on|lingers on|is built on|is based on|hovers on) (?:an? |the )?(?:chord of )?(?P<chord3>{CHORD})",
    re.IGNORECASE,
)
_OPENING = re.compile(r"(?:first|opening) ", re.IGNORECASE)
_EDGE = r"(?:in|at) (?:the )?(?:very )?(?P<{n}>beginning|start|opening|outset|end|close)"
_AT_EDGES = re.compile(
    rf"\b{_NO_KEY}{a_thing()}(?:,? (?:is|which is))?(?: (?:heard|sounds?|sounding|returns?|comes back|stands|played|reached|again))* {_EDGE.format(n='edge')}\b(?: and (?:again )?(?:at )?(?:the )?(?:very )?(?P<other>beginning|start|opening|end|close)\b)?",
    re.IGNORECASE,
)
_IN_EDGE = re.compile(
    rf"\b{_NO_KEY}{a_thing()}(?-i:[^.;A-Z]){{0,40}}? (?:in|during|within|over|for) (?:only )?the (?P<edge>first|last|opening|final|closing) (?:{EXACT})",
    re.IGNORECASE,
)
_TURN_WORDS = (
    "mov",
    "chang",
    "shift",
    "turn",
    "switch",
    "gives way",
    "goes",
    "resolv",
    "pass",
    "progress",
    "slid",
    "proce",
    "step",
    "comes back",
)
_COME_WORDS = (
    "return",
    "come",
    "enter",
    "appear",
    "begin",
    "start",
    "set in",
    "sets in",
    "arriv",
    "reach",
    "regain",
    "end",
    "stop",
    "over",
)
_SHARE_WORDS = ("half", "third", "quarter", "fifth", "most", "percent", "%", "per cent", " of ")


def read_shares(text: str) -> Iterator[SpokenClaim]:
    """Read every such claim in a plain text."""
    if holds(text, _SHARE_WORDS) and (may_hold_time(text) or holds(text, _SHARE_WORDS[:5])):
        for pattern in (_TAKES_SHARE, _SHARE_BELONGS):
            yield from _claims(pattern, text, _takes)
    if holds(text, (" the end", " the very end", " the close", " the finish", " the last ")):
        yield from _claims(_TO_THE_END, text, lambda match, spans: _lasts_to_the_end(spans))
    if holds(text, _NTH):
        yield from _claims(_COMES_NTH, text, _comes_nth)
        yield from _claims(_IS_THE_NTH, text, _comes_nth)
    for match in _PART_HAS.finditer(text) if parts_named(text) else ():
        n = "1" if match["part1"] else "2"
        part, thing = PartName.of(match.groupdict(), n), spans_of(match.groupdict(), "" if n == "1" else "3")
        if part.is_known and thing is not None:
            yield SpokenClaim("chords", match[0], _sounds_in(thing, part.spans), is_denied(text, *match.span()))
    if holds(text, ("at the ", "in the ")) and holds(
        text, ("beginning", "start", "opening", "outset", " end", "close")
    ):
        # `the opening section comes back at the end` names another of its kind
        yield from (c for c in _claims(_AT_EDGES, text, _stands_at_edges) if not _OPENING.match(c.said))
    if not may_hold_time(text):
        return
    if holds(text, ("first ", "last ", "opening ", "final ", "closing ", "initial ")):
        yield from _claims(_RESTS, text, _fills_the_edge)
        yield from _claims(_IN_EDGE, text, lambda match, spans: _fills_the_edge(match, spans, 0.6))
    if holds(text, _TURN_WORDS):
        yield from _claims(_TURNS, text, lambda match, spans: _begins_at(spans, moment_of(match.groupdict())))
    if holds(text, _COME_WORDS):
        yield from _claims(_COMES_AT, text, _comes_at)


def _claims(
    pattern: re.Pattern[str], text: str, test_of: Callable[[re.Match[str], Spans], Callable[[Facts], Held]]
) -> Iterator[SpokenClaim]:
    for match in pattern.finditer(text):
        spans = spans_of(match.groupdict())
        if spans is not None:
            kind = kind_of(match.groupdict())
            yield SpokenClaim(kind, match[0], test_of(match, spans), is_denied(text, *match.span()))


def _takes(match: re.Match[str], spans_of_thing: Spans) -> Callable[[Facts], Held]:
    """Whether a thing sounds for a share of the recording: all its spans together, or one of them."""
    groups = match.groupdict()
    is_most = (groups["share"] or "").lower() == "most"

    def test(facts: Facts) -> Held:
        spans, length_s = spans_of_thing(facts), facts.duration_s
        if spans is None or not length_s:
            return NOT_MEASURED
        total_s = sum(s.end_s - s.start_s for s in spans)
        if is_most:
            return total_s > length_s / 2, named(spans)
        if groups["n"]:
            if abs(float(groups["m"]) - length_s) > ROOM_S:
                return False, f"{length_s:.1f} s measured"
            wanted_s, room_s = float(groups["n"]), 1.0
        else:
            share = {"percent": groups["percent"], "share": groups["share"]}
            moment = Moment(float(groups["percent"]) / 100, is_share=True) if share["percent"] else moment_of(share)
            wanted_s, room_s = moment.at(facts) or 0.0, SHARE_ROOM * length_s
        lengths = [total_s, *(s.end_s - s.start_s for s in spans)]
        return any(abs(n - wanted_s) <= room_s for n in lengths), named(spans)

    return test


def _lasts_to_the_end(spans_of_thing: Spans) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        spans, length_s = spans_of_thing(facts), facts.duration_s
        if not spans or length_s is None:
            return NOT_MEASURED
        return spans[-1].end_s >= length_s - ROOM_S, named(spans)

    return test


def _sounds_in(thing: Spans, part: Spans) -> Callable[[Facts], Held]:
    """Whether a chord sounds while a part lasts."""

    def test(facts: Facts) -> Held:
        spans, places = thing(facts), part(facts)
        if spans is None or not places:
            return NOT_MEASURED
        return any(min(a.end_s, b.end_s) - max(a.start_s, b.start_s) > ROOM_S for a in spans for b in places), named(
            spans
        )

    return test


def _comes_nth(match: re.Match[str], spans_of_thing: Spans) -> Callable[[Facts], Held]:
    """Whether a thing is the second, the third, the last of its kind."""
    place, of_chords = _NTH[match["place"].lower()] - 1, kind_of(match.groupdict()) == "chords"

    def test(facts: Facts) -> Held:
        spans, kinds = spans_of_thing(facts), facts.chords if of_chords else facts.sections
        if spans is None or kinds is None:
            return NOT_MEASURED
        of_kind = [s for s in kinds.segments if not of_chords or is_heard(s)]
        fits = -1 <= place < len(of_kind) and any(s.start_s == of_kind[place].start_s for s in spans)
        return fits, named(spans)

    return test


def _stands_at_edges(match: re.Match[str], spans_of_thing: Spans) -> Callable[[Facts], Held]:
    """Whether a thing is the first, the last, or both of its kind."""
    of_chords = kind_of(match.groupdict()) == "chords"
    edges = {-1 if word.lower() in ("end", "close") else 0 for word in (match["edge"], match["other"]) if word}

    def test(facts: Facts) -> Held:
        spans, kinds = spans_of_thing(facts), facts.chords if of_chords else facts.sections
        of_kind = [s for s in kinds.segments if not of_chords or is_heard(s)] if kinds else []
        if spans is None or not of_kind:
            return NOT_MEASURED
        return all(any(s.start_s == of_kind[k].start_s for s in spans) for k in edges), named(spans)

    return test


def _fills_the_edge(match: re.Match[str], spans_of_thing: Spans, share: float = 0.85) -> Callable[[Facts], Held]:
    """Whether a thing sounds for most of the first, or the last, so many seconds."""
    time_s, is_first = seconds_of(match.groupdict()), match["edge"].lower() in ("first", "opening", "initial")

    def test(facts: Facts) -> Held:
        spans, length_s = spans_of_thing(facts), facts.duration_s
        if spans is None or length_s is None:
            return NOT_MEASURED
        start_s = 0.0 if is_first else length_s - time_s
        shared_s = sum(max(0.0, min(start_s + time_s, s.end_s) - max(start_s, s.start_s)) for s in spans)
        return shared_s >= share * time_s, named(spans)

    return test


def _begins_at(spans_of_thing: Spans, moment: Moment, ends: bool = False) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        spans, time_s = spans_of_thing(facts), moment.at(facts)
        if spans is None or time_s is None:
            return NOT_MEASURED
        return any(abs((s.end_s if ends else s.start_s) - time_s) <= ROOM_S + moment.room(facts) for s in spans), named(
            spans
        )

    return test


def _comes_at(match: re.Match[str], spans_of_thing: Spans) -> Callable[[Facts], Held]:
    ends = match["how"].lower().startswith(("end", "stop", "is over"))
    return _begins_at(spans_of_thing, moment_of(match.groupdict()), ends)
