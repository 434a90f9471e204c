"""Claims that something begins, ends or lasts, and which part opens or closes a piece."""

import re
from collections.abc import Callable, Iterator, Mapping

from music_flamingo.records import Facts, Segment
from music_flamingo.scoring.chords import triad_of
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.clock import TIME, may_hold_time, moment_of
from music_flamingo.scoring.claims.form import form_of
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.harmony import degree_in, on_degree, triads_in
from music_flamingo.scoring.claims.part_lengths import read_part_lengths
from music_flamingo.scoring.claims.parts import GENERAL, PartName, a_part, has_names, parts_named, read_parts
from music_flamingo.scoring.claims.recurring import read_recurring
from music_flamingo.scoring.claims.wording import is_denied

ROOM_S, ABOUT_ROOM_S = 1.0, 2.5
"""How far a time may lie from what was measured, said plainly or with `about`."""
THING = (
    rf"{a_part()}"
    r"|(?P<voice>(?:\w+ )?(?:singer|vocals?|vocalist|voice|singing|lyrics|words))"
    r"|(?P<chord>(?<!\bin )(?<!\bof )(?-i:[A-G])(?:[#b]| sharp| flat)? ?(?:major|minor|7)(?! key)|(?:\w+ )?(?:chords?|harmony|harmonies)(?: changes?)?)"
    r"|(?P<other>drums?|percussion|beat|bass|guitars?|piano|violins?|strings|horns?|melody|climax|key change|modulation|drummer|band|orchestra|drop|fade(?: ?out)?|tempo)"
)
BEGINS = r"begins?|starts?|enters?|arrives?|comes?(?: in)?|kicks? in|appears?|sets? in|follows|drops?|occurs?|happens?|changes?|is (?:reached|introduced)|join(?:s)? in|join(?:s)?|takes? over|returns?"
ENDS = r"ends?|stops?|finish(?:es)?|closes?|concludes?|is over|leaves?"
_LASTS = (
    r"(?:is|are) (?:held|sustained|heard|played|sounded) for|lasts?(?: for)?|runs? for|takes|spans?|is|are|goes on for"
)
_AT = r"(?: (?:at|around|about|roughly|approximately|after|from|by|near|just (?:before|after)|shortly (?:before|after)|on|for|until|the|mark|precisely|exactly|only))*"
_EVENT = re.compile(
    rf"\b(?:{THING})(?: of the [\w ]{{1,24}}?|,[^,.;]{{1,28}},)? (?:then |first |finally |only )?(?:(?P<begins>{BEGINS})|(?P<ends>{ENDS})|(?P<lasts>{_LASTS}))(?: for the (?P<again>first|second|third|last|final) time)?(?P<at>{_AT}) (?:{TIME})(?P<in> (?:in|into|mark)\b)?(?P<adjective> long)?",
    re.IGNORECASE,
)
_AT_A_TIME = re.compile(
    rf"\b(?:{BEGINS}|{ENDS}|{_LASTS})(?: for the \w+ time)?{_AT} (?:\d|half|1|a |the |mid)", re.IGNORECASE
)
"""What the cheap end of an event looks like: without it nothing is said to happen at a time."""
_AT_FIRST = re.compile(
    rf"\b(?:at|around|about|after|from)(?P<at> about| around| roughly| approximately)? (?:the )?(?:{TIME})(?: (?:in|mark))?,? (?:the|a|an) (?:{THING}) (?P<begins>{BEGINS})",
    re.IGNORECASE,
)
_VERBS = ("begin", "start", "enter", "arriv", "come", "kick", "appear", "sets in", "follow", "drop", "occur", "happen", "chang", "heard", "reach", "introduc", "join", "take", "return", "end", "stop", "finish", "close", "conclud", "last", "run", "span", "open", "close", " is ", " are ", "leave", "goes on")  # fmt: skip
_WITH = re.compile(
    rf"\b(?:(?P<first>opens?|begins?|starts?|opening|beginning|starting)|(?P<last>ends?|closes?|finish(?:es)?|concludes?|ending|closing)) (?:\w+ ){{0,2}}?(?:with|on|in) (?:(?:the|a|an|its|another) )?(?:\w+ )?{a_part()}",
    re.IGNORECASE,
)
_COMES = re.compile(
    rf"\b{a_part()} (?:(?:comes|is heard|appears|sounds|stands|falls) (?:right |only )?(?:(?:(?P<first>first)|(?P<last>last))|(?:at|in) the (?:very )?(?:(?P<first2>start|beginning|opening)|(?P<last2>end|close)))"
    r"|(?P<opens>opens|begins|starts)|(?P<closes>ends|closes|concludes|finishes)) ?(?P<thing>the (?:piece|song|music|track|recording|tune|excerpt))?",
    re.IGNORECASE,
)
_EDGE_WORDS = (
    "first",
    "last",
    "at the ",
    "in the ",
    "opens",
    "begins",
    "starts",
    "ends",
    "closes",
    "concludes",
    "finishes",
)
_EDGE_VERBS = ("open", "begin", "start", "end", "clos", "finish", "conclud")
_IS_PART = re.compile(
    rf"\b(?:(?P<first>first|opening)|(?P<last>last|final|closing)) (?:section|part) (?:is|brings|presents|introduces|has|restates|repeats) (?:(?:new|different|contrasting|another 1)[:,;]? (?:it is |namely )?)?(?:an? |the |its )?(?:only )?(?:(?P<letter>(?-i:[A-E]))\b)?(?: ?(?P<part>{a_part('0')}))?",
    re.IGNORECASE,
)
_EVERY = re.compile(
    rf"\b(?:chords?|harmon(?:y|ies)|harmonic)(?: \w+)? (?:chang\w+|mov\w+|switch\w*|shift\w*)(?: \w+)? (?:every|each|once every) (?:{TIME})"
    rf"|\b(?:chord|harmony|harmonic)(?: \w+)? (?:changes|rhythm) (?:come|occur|happen|fall|is|are)(?: \w+)? (?:every|each|1 every|once every) (?:{TIME.replace('(?P<', '(?P<a_')})"
    rf"|\b(?:each|every) (?:chord|harmony|triad) (?:lasts|is held|sounds|stays|holds|is sustained)(?: for)?(?: about| around| roughly| exactly)? (?:{TIME.replace('(?P<', '(?P<b_')})"
    rf"|\b(?:time|gap|distance|interval|space|seconds) between (?:the |two |any two |successive |consecutive )*(?:chord|harmony|harmonic)\w* changes (?:is|are|lasts|amounts to)(?: about| around| roughly| exactly)? (?:{TIME.replace('(?P<', '(?P<c_')})",
    re.IGNORECASE,
)
HEDGED = re.compile(r"\b(?:around|about|roughly|approximately|near|shortly|nearly|almost)\b", re.IGNORECASE)


def read_events(text: str) -> Iterator[SpokenClaim]:
    """Read what begins, ends or lasts when, in which order parts come, and with which a piece opens and closes."""
    yield from read_parts(text)
    yield from read_part_lengths(text)
    if parts_named(text):
        yield from read_recurring(text)
    if not holds(text, _VERBS):
        return
    if may_hold_time(text):
        for pattern in (_EVENT, _AT_FIRST):
            if pattern is _EVENT and _AT_A_TIME.search(text) is None:
                continue
            for match in pattern.finditer(text):
                groups = match.groupdict()
                is_state = (groups.get("lasts") or "").lower() in ("is", "are")
                is_beat = groups.get("lasts") and (groups.get("other") or "").lower() in ("beat", "tempo")
                if (not is_state and not is_beat) or match["adjective"]:
                    yield happens(groups, text, match[0], is_denied(text, *match.span()), match[0])
        for match in _EVERY.finditer(text) if holds(text, ("every", "each", "between")) else ():
            groups = {
                name.split("_", 1)[-1] if name[1] == "_" else name: said
                for name, said in match.groupdict().items()
                if said
            }
            claim = _changes_every(moment_of(groups).seconds)
            yield SpokenClaim("chords", match[0], claim, is_denied(text, *match.span()))
    if parts_named(text) == 0:
        return
    for match in _WITH.finditer(text) if holds(text, _EDGE_VERBS) else ():
        yield part_at(match.groupdict(), text, match, is_first=bool(match["first"]))
    for match in _IS_PART.finditer(text) if holds(text, ("first ", "opening ", "last ", "final ", "closing ")) else ():
        if match["letter"] or match["part"]:
            groups = {"letter": match["letter"], "part": match["part0"]}
            yield part_at(groups, text, match, is_first=bool(match["first"]))
    for match in _COMES.finditer(text) if holds(text, _EDGE_WORDS) else ():
        if (match["part"] or "").lower() in ("half", "halves", "third", "thirds", "quarter", "quarters"):
            continue  # `a half closes it` may be a cadence
        is_first = bool(match["first"] or match["first2"] or match["opens"])
        if match["thing"] or not (match["opens"] or match["closes"]):
            yield part_at(match.groupdict(), text, match, is_first=is_first)


def part_at(groups: Mapping[str, str | None], text: str, match: re.Match[str], is_first: bool | None) -> SpokenClaim:
    """Claim that a part stands first, last, or (None) anywhere."""
    part = PartName.of(groups)

    def test(facts: Facts) -> Held:
        parts = facts.sections.segments if facts.sections else []
        if not parts:
            return NOT_MEASURED
        named = "verse chorus" if part.name not in GENERAL else ""
        if is_first is None:
            known = any(
                part.letter in form_of(facts) if part.letter else part.name[:5] in s.label.lower() for s in parts
            )
            return known, f"{', '.join(s.label for s in parts)} measured"
        place = 0 if is_first else -1
        fact = f"{parts[place].label} measured {'first' if is_first else 'last'}"
        if part.letter:
            return form_of(facts)[place] == part.letter, fact
        if not named:
            return True, fact
        known = has_names(facts) or any(part.name[:5] in s.label.lower() for s in parts)
        return (part.name[:5] in parts[place].label.lower() if known else None), fact

    return SpokenClaim("form", match[0], test, is_denied(text, *match.span()))


def happens(groups: Mapping[str, str | None], text: str, said: str, denied: bool, words: str) -> SpokenClaim:
    """Claim that something begins or ends at a time, or lasts so long; `words` may name the chord that does."""
    if groups.get("again") and groups.get("part"):
        groups = {**groups, "nth": groups["again"]}
    moment, hedged = moment_of(groups), HEDGED.search(groups.get("at") or "") is not None
    room_s = ABOUT_ROOM_S if hedged else ROOM_S
    triads = triads_in(words) if groups.get("chord") else []
    degree = degree_in(words) if groups.get("chord") else None

    def test(facts: Facts) -> Held:
        named = triads if degree is None else on_degree(degree, facts)
        times, time_s = _times(groups, facts, named, words), moment.at(facts)
        if degree is not None and not named:
            return NOT_MEASURED
        if times is None or time_s is None:
            return NOT_MEASURED
        listed = ", ".join(f"{t:.1f}" for t in times[:6])
        room = max(room_s, moment.room(facts))
        return any(abs(t - time_s) <= room for t in times), f"{listed or 'none'} s measured"

    return SpokenClaim("time", said, test, denied)


def _times(
    groups: Mapping[str, str | None], facts: Facts, triads: list[tuple[int, str]], words: str
) -> list[float] | None:
    """Give the times (s) at which such a thing begins, ends, or how long it lasts; None where nobody measured it."""
    at: Callable[[Segment], float] = lambda s: s.start_s  # noqa: E731 - chosen below
    if groups.get("ends"):
        at = lambda s: s.end_s  # noqa: E731
    elif groups.get("lasts"):
        at = lambda s: s.end_s - s.start_s  # noqa: E731
    if groups.get("part"):
        spans = PartName.of(groups).spans(facts)
        return None if spans is None else [at(s) for s in spans]
    if groups.get("voice"):
        lines = facts.lyrics.lines if facts.lyrics and facts.lyrics.available else []
        heard = facts.voice.heard if facts.voice else []
        return [at(s) for s in [*heard[:1], *lines[:1]]] or ([] if facts.voice and not facts.voice.present else None)
    if groups.get("chord") and facts.chords is not None:
        return _times_of_chords(facts.chords.segments, triads, at, bool(groups.get("lasts")), words)
    return None


def _times_of_chords(
    segments: list[Segment], triads: list[tuple[int, str]], at: Callable[[Segment], float], lasts: bool, words: str
) -> list[float] | None:
    """Give times of the chord that is named, or of any; `the first change` is the second chord's beginning."""
    heard = [s for s in segments if s.label not in "NX"]
    if triads:
        chosen = [at(s) for s in heard if triad_of(s.label) in triads]
        return chosen[:1] if re.search(r"\bfirst\b", words, re.IGNORECASE) else chosen
    if (edge := EDGE_CHORD.search(words)) is not None:
        return [at(s) for s in (heard[:1] if edge["first"] else heard[-1:])]
    if lasts:
        return [at(s) for s in heard]
    if re.search(
        r"\bfirst(?: \w+)? change|\bfirst changes?\b|change\w* for the first|(?:before|until|how (?:much|long)|seconds) [^?]*chang\w+",
        words,
        re.IGNORECASE,
    ):
        return [s.start_s for s in heard[1:2]]
    return [at(s) for s in segments]


EDGE_CHORD = re.compile(
    r"\b(?:(?P<first>first|opening|initial)|last|final|closing) (?:chord|harmony|triad)\b(?! change)", re.IGNORECASE
)


def _changes_every(step_s: float) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        segments = facts.chords.segments if facts.chords else []
        lengths = [s.end_s - s.start_s for s in segments if s.label not in "NX"]
        if len(lengths) < 2:
            return NOT_MEASURED
        mean_s = sum(lengths) / len(lengths)
        return abs(mean_s - step_s) <= max(0.2, 0.15 * mean_s), f"{mean_s:.1f} s a chord measured"

    return test
