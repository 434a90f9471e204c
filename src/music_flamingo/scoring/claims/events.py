"""Claims that something begins, ends or changes at a time, and which part of a piece comes first or last."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts, Segment
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.gates import has_digit, holds
from music_flamingo.scoring.claims.harmony import form_of
from music_flamingo.scoring.claims.wording import ORDINALS, is_denied

ROOM_S, ABOUT_ROOM_S = 1.0, 2.5
"""How far a time may lie from what was measured, said plainly or with `about`."""
_TIME = (
    r"(?P<clock>\d{1,2}:[0-5]\d)|(?P<min>\d+(?:\.\d+)?|a|half a) ?(?:min\b|minutes?\b)(?: and)?(?: (?P<minsec>\d+(?:\.\d+)?) ?(?:s\b|sec\w*)|(?P<half> and a half))?"
    r"|(?P<sec>\d+(?:\.\d+)?)(?: ?(?:s\b|secs?\b|seconds?\b)|(?=[.,;!?]|$| (?:and|on|in)\b))"
)
_ORDINAL = rf"(?:{'|'.join(ORDINALS)}|\d+(?:st|nd|rd|th)|last|final|opening|closing|middle|contrasting|next|new)"
_PART = r"sections?|parts?|verses?|chorus(?:es)?|refrain|bridge|intro(?:duction)?|outro|coda|middle eight|pre chorus|interlude|breakdown|solo"
_THING = (
    rf"(?:(?P<nth>{_ORDINAL}) )?(?:contrasting |middle )?(?:(?P<letter>(?-i:[A-E])) )?(?P<part>{_PART})(?: (?P<letter2>(?-i:[A-E]))\b)?"
    r"|(?P<voice>(?:\w+ )?(?:singer|vocals?|vocalist|voice|singing|lyrics|words))|(?P<chord>(?:\w+ )?(?:chord|harmony)(?: changes?)?)"
    r"|(?P<other>drums?|percussion|beat|bass|guitars?|piano|violins?|strings|horns?|melody|climax|key change|modulation|drummer|band|orchestra|solo|drop|fade(?: ?out)?|tempo)"
)
_BEGINS = r"begins?|starts?|enters?|arrives?|comes?(?: in)?|kicks? in|appears?|sets? in|follows|drops?|occurs?|happens?|changes?|is (?:reached|introduced)|join(?:s)? in|join(?:s)?|takes? over|returns?"
_ENDS = r"ends?|stops?|finishes|closes?|concludes?"
_LASTS = r"lasts?(?: for)?|runs? for|takes|spans?"
_AT = r"(?: (?:at|around|about|roughly|approximately|after|from|by|near|just (?:before|after)|shortly (?:before|after)|on|for|until|the|mark|precisely|exactly|only))*"
_EVENT = re.compile(
    rf"\b(?:{_THING})(?: of the [\w ]{{1,24}}?)? (?:then |first |finally |only )?(?:(?P<begins>{_BEGINS})|(?P<ends>{_ENDS})|(?P<lasts>{_LASTS}))(?P<at>{_AT}) (?:{_TIME})(?: (?:in|into|mark)\b)?",
    re.IGNORECASE,
)
_AT_FIRST = re.compile(
    rf"\b(?:at|around|about|after|from) (?P<hedge>about |around |roughly |approximately )?(?:the )?(?:{_TIME})(?: (?:in|mark))?,? (?:the|a|an) (?:{_THING}) (?P<begins>{_BEGINS})",
    re.IGNORECASE,
)
_VERBS = ("begin", "start", "enter", "arriv", "come", "kick", "appear", "sets in", "follow", "drop", "occur", "happen", "chang", "heard", "reach", "introduc", "join", "take", "return", "end", "stop", "finish", "close", "conclud", "last", "run", "span", "open", "close", "section is")  # fmt: skip
_PART_WORDS = (
    "section",
    "part",
    "verse",
    "chorus",
    "refrain",
    "bridge",
    "intro",
    "outro",
    "coda",
    "middle eight",
    "interlude",
    "breakdown",
    "solo",
)
_OPENS = re.compile(
    r"\b(?P<first>opens?|begins?|starts?|opening|first)|(?P<last>ends?|closes?|finishes|concludes?|last)\b",
    re.IGNORECASE,
)
_FOLLOWS = re.compile(r"\b(?:follows|comes (?:after|next)|after the|contrasting|leads? (?:in)?to)\b", re.IGNORECASE)
_WITH = re.compile(
    rf"\b(?:(?P<first>opens?|begins?|starts?)|(?P<last>ends?|closes?|finishes|concludes?)) (?:with|on|in) (?:the|a|an|its) (?:\w+ )?(?:(?P<letter>(?-i:[A-E])) )?(?P<part>{_PART})(?: (?P<letter2>(?-i:[A-E]))\b)?",
    re.IGNORECASE,
)
_COMES = re.compile(
    rf"\b(?:(?P<letter>(?-i:[A-E])) )?(?P<part>{_PART})(?: (?P<letter2>(?-i:[A-E]))\b)? (?:(?:comes|is heard|appears|sounds) (?:(?P<first>first)|(?P<last>last))|(?P<opens>opens|begins|starts)|(?P<closes>ends|closes|concludes|finishes)) ?(?P<thing>the (?:piece|song|music|track|recording|tune|excerpt))?",
    re.IGNORECASE,
)
_IS_PART = re.compile(
    rf"\b(?:(?P<first>first|opening)|(?P<last>last|final|closing)) (?:section|part) is (?:an? |the |its )?(?:(?P<letter>(?-i:[A-E]))\b)?(?: ?(?P<part>{_PART}))?",
    re.IGNORECASE,
)
_NAMED_PART = re.compile(
    rf"\b(?:(?P<letter>(?-i:[A-E])) )?(?P<part>{_PART})(?: (?P<letter2>(?-i:[A-E]))\b)?|\b(?P<letter3>(?-i:[A-E]))\b(?! [a-z])",
    re.IGNORECASE,
)
_ASKED = re.compile(rf"\b(?:{_THING})\b[^?]{{0,40}}?\b(?:(?P<begins>{_BEGINS})|(?P<ends>{_ENDS}))\b", re.IGNORECASE)
_START_OF = re.compile(r"\b(?:start|beginning|onset|entry) of (?:the |a )?(?P<thing>[\w ]+)", re.IGNORECASE)
_HEDGED = re.compile(r"\b(?:around|about|roughly|approximately|near|shortly|nearly|almost)\b", re.IGNORECASE)
_GENERAL = frozenset(("section", "part"))


def read_events(text: str) -> Iterator[SpokenClaim]:
    """Read what begins, ends or lasts when, and with which part a piece opens and closes."""
    if not holds(text, _VERBS):
        return
    if has_digit(text) or " minute" in text:
        for pattern in (_EVENT, _AT_FIRST):
            for match in pattern.finditer(text):
                yield event_claim(match, text)
    if not holds(text, _PART_WORDS):
        return
    for match in _WITH.finditer(text):
        yield _part_at(match, text, is_first=bool(match["first"]))
    for match in _IS_PART.finditer(text):
        if match["letter"] or match["part"]:
            yield _part_at(match, text, is_first=bool(match["first"]))
    for match in _COMES.finditer(text):
        if match["first"] or match["last"] or match["thing"]:
            yield _part_at(match, text, is_first=bool(match["first"] or match["opens"]))


def answer_event(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read a time that answers when something begins or ends: the question says what."""
    thing = _ASKED.search(_START_OF.sub(r"\g<thing> starts", question))
    time = re.search(_TIME, text, re.IGNORECASE)
    if thing is None or time is None:
        return
    groups = {k: v for k, v in thing.groupdict().items() if v}
    yield _claim({**groups, **{k: v for k, v in time.groupdict().items() if v}, "at": text}, text, time[0], False)


def answer_part(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read the part that a question asks for: the one that opens or closes the piece."""
    place = _OPENS.search(question)
    match = _NAMED_PART.search(text)
    if match is None:
        return
    if _FOLLOWS.search(question):
        yield _part_at(match, text, is_first=None)
    elif place is not None:
        yield _part_at(match, text, is_first=bool(place["first"]))


def _part_at(match: re.Match[str], text: str, is_first: bool | None) -> SpokenClaim:
    """Claim that a part stands first, last, or (None) anywhere."""
    groups = match.groupdict()
    letter = (groups.get("letter") or groups.get("letter2") or groups.get("letter3") or "").upper()
    name = (groups.get("part") or "").lower().rstrip("s")

    def test(facts: Facts) -> Held:
        parts = facts.sections.segments if facts.sections else []
        if not parts:
            return NOT_MEASURED
        if is_first is None:
            known = any(letter in form_of(facts) if letter else name[:5] in part.label.lower() for part in parts)
            return known, f"{', '.join(part.label for part in parts)} measured"
        place = 0 if is_first else -1
        fact = f"{parts[place].label} measured {'first' if is_first else 'last'}"
        if letter:
            return form_of(facts)[place] == letter, fact
        if name in _GENERAL:
            return True, fact
        known = any(name[:5] in part.label.lower() for part in parts)
        named = any(len(part.label) > 2 for part in parts)
        return (name[:5] in parts[place].label.lower() if known or named else None), fact

    return SpokenClaim("form", match[0], test, is_denied(text, *match.span()))


def event_claim(match: re.Match[str], text: str) -> SpokenClaim:
    """Claim that something happens at a time, or lasts so long."""
    groups = {name: value for name, value in match.groupdict().items() if value}
    if groups.get("hedge"):
        groups["at"] = groups["hedge"]
    return _claim(groups, text, match[0], is_denied(text, *match.span()))


def _claim(groups: dict[str, str], text: str, said: str, denied: bool) -> SpokenClaim:
    time_s = _seconds(groups)
    room_s = ABOUT_ROOM_S if _HEDGED.search(groups.get("at", "")) else ROOM_S

    def test(facts: Facts) -> Held:
        times = _times(groups, facts)
        if times is None:
            return NOT_MEASURED
        listed = ", ".join(f"{t:.1f}" for t in times[:6])
        return any(abs(t - time_s) <= room_s for t in times), f"{listed or 'none'} s measured"

    return SpokenClaim("time", said, test, denied)


def _seconds(groups: dict[str, str]) -> float:
    if "clock" in groups:
        minutes, seconds = groups["clock"].split(":")
        return 60.0 * int(minutes) + int(seconds)
    if "min" in groups:
        whole = {"a": 1.0, "half a": 0.5}.get(groups["min"].lower()) or float(groups["min"])
        return 60 * whole + float(groups.get("minsec", 0)) + (30.0 if "half" in groups else 0.0)
    return float(groups["sec"])


def _times(groups: dict[str, str], facts: Facts) -> list[float] | None:
    """Give the times (s) at which such a thing begins, ends, or how long it lasts; None where nobody measured it."""
    at: Callable[[Segment], float] = lambda s: s.start_s  # noqa: E731 - chosen below
    if "ends" in groups:
        at = lambda s: s.end_s  # noqa: E731
    elif "lasts" in groups:
        at = lambda s: s.end_s - s.start_s  # noqa: E731
    if "part" in groups:
        parts = _parts(groups, facts)
        return None if parts is None else [at(s) for s in parts]
    if "voice" in groups:
        lines = facts.lyrics.lines if facts.lyrics and facts.lyrics.available else []
        heard = facts.voice.heard if facts.voice else []
        return [at(s) for s in [*heard[:1], *lines[:1]]] or ([] if facts.voice and not facts.voice.present else None)
    if "chord" in groups and facts.chords is not None and "lasts" not in groups:
        return [at(s) for s in facts.chords.segments]
    return None


def _parts(groups: dict[str, str], facts: Facts) -> list[Segment] | None:
    parts = facts.sections.segments if facts.sections else []
    if not parts:
        return None
    letter = (groups.get("letter") or groups.get("letter2") or "").upper()
    name, nth = groups["part"].lower().rstrip("s"), groups.get("nth", "").lower()
    if letter:
        parts = [s for s, own in zip(parts, form_of(facts), strict=True) if own == letter]
    elif name not in _GENERAL:
        named = [s for s in parts if name[:5] in s.label.lower()]
        if not named and not any(len(s.label) > 2 for s in parts):
            return None  # letters say nothing about verse and chorus
        parts = named
    if not nth or not parts:
        return parts
    if nth in ("last", "final", "closing"):
        return parts[-1:]
    if nth == "opening":
        return parts[:1]
    if nth == "contrasting":
        return [s for s in parts if s.label != parts[0].label]
    if nth == "middle":
        middle_s = (parts[0].start_s + parts[-1].end_s) / 2
        return [s for s in parts if s.start_s <= middle_s < s.end_s]
    if nth in ("next", "new"):
        return parts[1:]
    place = ORDINALS.get(nth) or int("".join(filter(str.isdigit, nth)))
    return parts[place - 1 : place]
