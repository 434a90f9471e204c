"""What an answer claims in the light of its question: when, how long, how often, which part, which line."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.chords import triad_of
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim, unmeasured
from music_flamingo.scoring.claims.clock import EXACT, WHEN, Moment, moment_of
from music_flamingo.scoring.claims.events import BEGINS, EDGE_CHORD, ENDS, ROOM_S, THING, happens, part_at
from music_flamingo.scoring.claims.form import form_of
from music_flamingo.scoring.claims.harmony import triads_in
from music_flamingo.scoring.claims.heard import trend
from music_flamingo.scoring.claims.lines import sung_times
from music_flamingo.scoring.claims.part_lengths import all_equal
from music_flamingo.scoring.claims.parts import (
    HOW_OFTEN,
    PartName,
    a_part,
    follows,
    labels_of,
    occurs,
    times_of,
)
from music_flamingo.scoring.claims.wording import NUMBER, ORDINALS, is_denied

_ASKED = re.compile(
    rf"\b(?:{THING})\b(?:[^?]{{0,40}}?\b(?:(?P<begins>{BEGINS})|(?P<ends>{ENDS})))?(?!\w)", re.IGNORECASE
)
_HOW_MUCH = re.compile(r"\b(?:how much|what (?:fraction|share)|how far)\b", re.IGNORECASE)
_BARE_SHARE = re.compile(
    r"^\W*(?:about |around |roughly |exactly )?(half|(?:a|1|2|3|4) (?:third|quarter|fifth)s?)\b(?! of)", re.IGNORECASE
)
_BESIDE = re.compile(rf"\b(?P<side>after|before) (?:the |an? )?{a_part()}", re.IGNORECASE)
_START_OF = re.compile(r"\b(?:start|beginning|onset|entry) of (?:the |a )?(?P<thing>[\w ]+)", re.IGNORECASE)
_END_OF = re.compile(r"\bend of (?:the |a )?(?P<thing>[\w ]+)", re.IGNORECASE)
_ENDS_AFTER = re.compile(rf"^[^?]*\b(?:does|do|did) [^?]*\b(?:{ENDS})\b|^(?:un)?till? (?:when|what)\b", re.IGNORECASE)
_POSITION = re.compile(
    r"\b(?:(?P<first>(?:at |in )?the (?:very )?(?:start|beginning|opening|outset)|first|right away|opening|early)|(?P<last>(?:at |near |in )?the (?:very )?(?:end|close)|last|late|final\w*|ending)|(?P<middle>in the middle|middle|cent(?:re|er)))\b",
    re.IGNORECASE,
)
_OPENS = re.compile(
    r"\b(?P<first>opens?|begins?|starts?|opening|first)|(?P<last>ends?|closes?|finish(?:es)?|concludes?|last|closing|final)\b",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"\b(?:follow\w*|comes? (?:right |directly )?(?:after|next)|after|leads? (?:in)?to)\b", re.IGNORECASE
)
_BEFORE = re.compile(r"\b(?:before|precedes?|leads? (?:in)?to)\b", re.IGNORECASE)
_BETWEEN = re.compile(r"\b(?:between|separates?)\b", re.IGNORECASE)
_CONTRASTING = re.compile(r"\bcontrast\w*|\bdiffer(?:s|ent)\b|\bstands out\b", re.IGNORECASE)
_NAMED = re.compile(rf"\b{a_part()}\b|\b(?P<only>(?-i:[A-E]))\b(?! [a-z])", re.IGNORECASE)
_A_PART = re.compile(rf"\b{a_part()}\b", re.IGNORECASE)
_NTH_ONE = re.compile(rf"\b({'|'.join(ORDINALS)}|last|final) 1\b", re.IGNORECASE)
"""`The third one` is a part where a question asks for parts."""
_SAME = re.compile(r"\b(?:neither|both|equal\w*|same|none|all)\b", re.IGNORECASE)
_FEW = {"once": 1, "one": 1, "twice": 2, "thrice": 3, "never": 0}
_TOLD = re.compile(r"\b(?:only|just)?\s*(once|twice|thrice|never)\b", re.IGNORECASE)


def answer_event(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read a time or a place that answers when something begins or ends: the question says what."""
    share, said = WHEN.search(question), WHEN.search(text)
    if share is not None and said is not None and moment_of(share.groupdict()).is_share:
        yield SpokenClaim("time", said[0], _is_share(moment_of(share.groupdict()), moment_of(said.groupdict())))
        return
    asked = _END_OF.sub(r"\g<thing> ends", _START_OF.sub(r"\g<thing> starts", question))
    thing = _ASKED.search(asked)
    time = WHEN.search(_BARE_SHARE.sub(r"\1 of the way", text) if _HOW_MUCH.search(question) else text)
    if thing is None:
        share = WHEN.search(question)
        if share is not None and time is not None and moment_of(share.groupdict()).is_share:
            yield SpokenClaim("time", time[0], _is_share(moment_of(share.groupdict()), moment_of(time.groupdict())))
        return
    groups = {name: value for name, value in thing.groupdict().items() if value}
    if "ends" not in groups and "begins" not in groups and _ENDS_AFTER.search(asked):
        groups["ends"] = "ends"
    if time is not None:
        groups |= {name: value for name, value in time.groupdict().items() if value}
        yield happens({**groups, "at": text}, text, time[0], is_denied(text, *time.span()), question)
    elif "part" in groups and (beside := _BESIDE.search(text)) is not None:
        one, other = PartName.of(groups), PartName.of(beside.groupdict())
        test = follows(other, one) if beside["side"].lower() == "after" else follows(one, other)
        yield SpokenClaim("form", text, test)
    elif "part" in groups and (where := _POSITION.search(text)) is not None:
        place = next(name for name, value in where.groupdict().items() if value)
        yield SpokenClaim("form", text, _stands(PartName.of(groups), place))


_LOUDEST = re.compile(r"\b(?:loudest|climax|peak)\b", re.IGNORECASE)


def answer_extreme(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read where it is loudest or quietest: at the end of what rises, at the beginning of what falls, or nowhere."""
    where = _POSITION.search(text)
    if where is not None and where["middle"] is None:
        rises = bool(_LOUDEST.search(question)) == bool(where["last"])
        yield SpokenClaim("dynamics", text, trend("rising" if rises else "falling"), is_denied(text, *where.span()))


def _is_share(share: Moment, time: Moment) -> Callable[[Facts], Held]:
    """Whether a time is a share of the recording: `When are we halfway through? - At 1:40`."""

    def test(facts: Facts) -> Held:
        wanted_s, time_s = share.at(facts), time.at(facts)
        if wanted_s is None or time_s is None:
            return NOT_MEASURED
        return abs(wanted_s - time_s) <= max(ROOM_S, 0.05 * wanted_s), f"{wanted_s:.1f} s measured"

    return test


def _stands(part: PartName, place: str) -> Callable[[Facts], Held]:
    """Whether a part stands first, last or in the middle."""

    def test(facts: Facts) -> Held:
        places, number = part.places(facts), len(form_of(facts))
        if places is None:
            return NOT_MEASURED
        wanted = {"first": {0}, "last": {number - 1}, "middle": set(range(1, number - 1))}[place]
        return not wanted.isdisjoint(places), labels_of(facts)

    return test


def answer_lasts(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read how long a part lasts that the question names."""
    part, time = _A_PART.search(question), WHEN.search(text)
    if part is None or time is None:
        triads = triads_in(question)
        if time is not None and (triads or re.search(r"\b(?:chords?|harmon\w+)\b", question, re.IGNORECASE)):
            yield SpokenClaim(
                "time", time[0], _chord_lasts(triads, moment_of(time.groupdict()), EDGE_CHORD.search(question))
            )
        return
    moment, name = moment_of(time.groupdict()), PartName.of(part.groupdict())
    is_each = re.search(r"\b(?:each|every|all)\b", question, re.IGNORECASE) is not None
    yield SpokenClaim("time", time[0], _lengths(name, moment, is_each), is_denied(text, *time.span()))


def _chord_lasts(triads: list[tuple[int, str]], moment: Moment, edge: re.Match[str] | None) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        time_s = moment.at(facts)
        if facts.chords is None or time_s is None:
            return NOT_MEASURED
        lengths = [
            s.end_s - s.start_s
            for s in facts.chords.segments
            if triad_of(s.label) in triads or (not triads and s.label not in "NX")
        ]
        if edge is not None:
            lengths = lengths[:1] if edge["first"] else lengths[-1:]
        return any(
            abs(n - time_s) <= min(ROOM_S, max(0.3, n / 4)) for n in lengths
        ), f"{', '.join(f'{n:.1f}' for n in lengths[:6])} s measured"

    return test


def _lengths(part: PartName, moment: Moment, is_each: bool) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        spans, time_s = part.spans(facts), moment.at(facts)
        if not spans or time_s is None:
            return NOT_MEASURED
        lengths = [s.end_s - s.start_s for s in spans]
        near = [abs(length_s - time_s) <= max(ROOM_S, 0.05 * length_s) for length_s in lengths]
        return (all(near) if is_each else any(near)), f"{', '.join(f'{n:.1f}' for n in lengths[:6])} s measured"

    return test


def answer_times(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read how often something is heard: a part of the piece, or a line of its words."""
    number = _how_often(text)
    quoted = re.search(r'"([^"]{3,})"', question)
    part = _A_PART.search(re.sub(r'"[^"]*"', '""', question))
    if number is None:
        return
    if quoted is not None:
        yield SpokenClaim("count", text, sung_times(quoted[1], number))
    elif part is not None:
        yield SpokenClaim("count", text, occurs(PartName.of(part.groupdict()), number), is_denied(text, 0, 0))
    else:
        yield unmeasured("count", text)


def _how_often(text: str) -> int | None:
    if (found := HOW_OFTEN.search(text)) is not None:
        return times_of(found)
    if (word := _TOLD.search(text)) is not None:
        return _FEW[word[1].lower()]
    number = NUMBER.search(text)
    return int(number[1]) if number else None


def answer_part(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read the part that a question asks for: first, last, next to another, between two, the longest."""
    text = _NTH_ONE.sub(r"\1 section", text)
    match, asked = _NAMED.search(text), _A_PART.search(re.sub(r"^(?:which|what) \w+", "which", question))
    if re.search(r"\b(?:longer|longest|shorter|shortest|most time|least time)\b", question, re.IGNORECASE):
        yield from _longest(question, text, match)
        return
    if match is None:
        return
    number = HOW_OFTEN.search(question)
    time = _AT_TIME.search(question)
    groups = {**match.groupdict(), "letter": match["letter"] or match["only"]}
    answered = PartName.of(groups)
    place = _NTH_ASKED.search(question)
    if number is not None:
        for named in _NAMED.finditer(text):
            part = PartName.of({**named.groupdict(), "letter": named["letter"] or named["only"]})
            yield SpokenClaim("form", named[0], occurs(part, times_of(number)))
    elif _UNIQUE.search(question):
        yield SpokenClaim("form", match[0], occurs(answered, 1))
    elif time is not None:
        begins = _BEGINS_THERE.search(question) is not None
        yield SpokenClaim(
            "form", match[0], _sounds_at(answered, moment_of(time.groupdict()), begins, bool(time["after"]))
        )
    elif place is not None:
        yield SpokenClaim("form", match[0], _stands_at(answered, ORDINALS[(place[1] or place[2]).lower()] - 1))
    elif _COMES_FIRST.search(question):
        others = [PartName.of(m.groupdict()) for m in _A_PART.finditer(question)]
        yield SpokenClaim("form", match[0], _comes_first(answered, others))
    elif _BETWEEN.search(question) and asked is not None:
        bounds = [PartName.of(m.groupdict()) for m in _A_PART.finditer(question) if PartName.of(m.groupdict()).is_known]
        yield SpokenClaim("form", match[0], _lies_between(bounds or [PartName.of(asked.groupdict())], answered))
    elif asked is not None and PartName.of(asked.groupdict()).is_known and _AFTER.search(question):
        yield SpokenClaim("form", match[0], follows(PartName.of(asked.groupdict()), answered))
    elif asked is not None and PartName.of(asked.groupdict()).is_known and _BEFORE.search(question):
        yield SpokenClaim("form", match[0], follows(answered, PartName.of(asked.groupdict())))
    elif _CONTRASTING.search(question):
        yield SpokenClaim("form", match[0], _contrasts(answered))
    elif _AFTER.search(question):
        yield part_at(groups, text, match, is_first=None)
    elif (place := _OPENS.search(question)) is not None:
        yield part_at(groups, text, match, is_first=bool(place["first"]))


_UNIQUE = re.compile(
    r"\b(?:unique|never (?:repeated|returns|comes back)|not (?:repeated|heard again)|only once|stands alone|does(?:n't| not) (?:return|repeat|come back))\b",
    re.IGNORECASE,
)
_AT_TIME = re.compile(rf"\b(?:at|around|about|(?P<after>after)) (?:the )?(?:{EXACT})", re.IGNORECASE)


_BEGINS_THERE = re.compile(rf"\b(?:{BEGINS})\b", re.IGNORECASE)


def _sounds_at(part: PartName, moment: Moment, begins: bool, after: bool) -> Callable[[Facts], Held]:
    """Whether a part is the one that is heard at a time, or begins there."""

    def test(facts: Facts) -> Held:
        spans, time_s = part.spans(facts), moment.at(facts)
        if spans is None or time_s is None:
            return NOT_MEASURED
        # what is heard after a time is not what ends there
        ends = ((s.start_s, s.start_s if begins else s.end_s - 2 * ROOM_S * after) for s in spans)
        return any(a - ROOM_S <= time_s <= b + ROOM_S for a, b in ends), labels_of(facts)

    return test


_NTH_ASKED = re.compile(
    rf"\b(?:section|part)s? (?:comes|is|stands) ({'|'.join([*ORDINALS][1:])})\b|\b(?:is|as) the ({'|'.join([*ORDINALS][1:])}) (?:section|part)\b",
    re.IGNORECASE,
)


def _stands_at(part: PartName, place: int) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        places = part.places(facts)
        return NOT_MEASURED if places is None else (place in places, labels_of(facts))

    return test


_COMES_FIRST = re.compile(r"\bcomes first\b", re.IGNORECASE)


def _comes_first(part: PartName, others: list[PartName]) -> Callable[[Facts], Held]:
    """Whether a part is heard before others."""

    def test(facts: Facts) -> Held:
        places = [found for other in others if (found := other.places(facts))]
        own = part.places(facts)
        if not own or not places:
            return NOT_MEASURED
        return all(own[0] <= found[0] for found in places), labels_of(facts)

    return test


def _lies_between(outer: list[PartName], inner: PartName) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        found, places = [part.places(facts) for part in outer], inner.places(facts)
        bounds = sorted({k for places_ in found if places_ for k in places_})
        if places is None or len(bounds) < 2:
            return NOT_MEASURED
        return any(bounds[0] < k < bounds[-1] for k in places), labels_of(facts)

    return test


def _contrasts(part: PartName) -> Callable[[Facts], Held]:
    """Whether a part is unlike most others."""

    def test(facts: Facts) -> Held:
        places, form = part.places(facts), form_of(facts)
        if not places:
            return NOT_MEASURED if places is None else (False, labels_of(facts))
        most = max(form.count(letter) for letter in form)
        return all(form.count(form[k]) < most for k in places), labels_of(facts)

    return test


def _longest(question: str, text: str, match: re.Match[str] | None) -> Iterator[SpokenClaim]:
    if _SAME.search(text):
        yield SpokenClaim("form", text, all_equal)
        return
    nth = re.search(rf"\b({'|'.join(ORDINALS)}|last)\b", text, re.IGNORECASE)
    if match is None and nth is None:
        return
    groups = match.groupdict() if match else {}
    part = PartName.of({**groups, "letter": groups.get("letter") or groups.get("only"), "nth": nth[1] if nth else None})
    is_long = "long" in question.lower() or "most" in question.lower()

    def test(facts: Facts) -> Held:
        places = part.places(facts)
        if places is None or facts.sections is None:
            return NOT_MEASURED
        lengths = [(s.end_s - s.start_s) * (1 if is_long else -1) for s in facts.sections.segments]
        best = {k for k, length_s in enumerate(lengths) if length_s >= max(lengths) - ROOM_S}
        if len(best) == len(lengths) > 1:  # they hardly differ: what is longest by a little may be called so
            is_most = max(lengths) > sorted(lengths)[-2] and lengths.index(max(lengths)) in places
            return (True if is_most else None if max(lengths) > min(lengths) else False), labels_of(facts)
        return not best.isdisjoint(places), labels_of(facts)

    yield SpokenClaim("form", text, test)
