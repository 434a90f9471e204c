"""Claims that follow from several facts: how long a bar lasts, where borders lie, by how much one part is longer."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.clock import EXACT, Moment, may_hold_time, moment_of, seconds_of
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.meter import bar_of
from music_flamingo.scoring.claims.parts import WHOLE, PartName, a_part, parts_named
from music_flamingo.scoring.claims.wording import NUMBER, is_denied

ROOM_S = 1.0
_LASTS = r"(?: of music)?(?: \w+ly)? (?:lasts?|takes?|is|are|comes?|goes|go|runs?|spans?|equals?|fills?|occup\w+)(?: (?:about|around|roughly|approximately|just|only|nearly|almost|some|over|under|exactly|by|every))*"
_OF_BEAT = re.compile(
    rf"\b(?:(?P<bar>(?:bars?|measures?)(?: of \d(?: beats?)?)?)|(?P<beat>(?<!\d )(?:beat|pulse)))\b(?:,? (?:at|in) [^.;,]{{3,30}},)?{_LASTS} (?:every )?(?:{EXACT})",
    re.IGNORECASE,
)
_BORDER = r"(?:(?P<chord>chords?|harmon(?:y|ies)|harmonic)|(?P<part>sections?|section|formal|structural|form))"
_TIMES = r"(?P<times>(?:\d{1,2}:\d\d|\d+(?:\.\d+)?)(?:(?:,? and |, )(?:at )?(?:\d{1,2}:\d\d|\d+(?:\.\d+)?))*)(?: ?s\b| seconds?\b)?"
_BORDERS = re.compile(
    rf"\b{_BORDER}(?:'s)? (?:boundar(?:y|ies)|borders?|changes?|transitions?|shifts?|joins?|divisions?|starts?|breaks?|chang\w+)(?: \w+){{0,2}}? (?:at|near|around|after)(?: the)?(?: about| around| roughly)? {_TIMES}",
    re.IGNORECASE,
)
_BORDER_WORDS = ("boundar", "border", "chang", "transition", "shift", "join", "division", "start", "break")
_MORE = re.compile(
    rf"\b{a_part('1')} (?:is|lasts|goes on|runs)(?: about| around| roughly| exactly)? (?:{EXACT}) (?P<more>longer|shorter) than (?:the |an? |its )?{a_part('2')}",
    re.IGNORECASE,
)
_BY_HOW_MUCH = re.compile(
    rf"^(?:by )?how (?:much|many seconds) (?P<more>longer|shorter) (?:is|are|does|do) (?:(?P<whole>the (?:whole|entire) (?:piece|song|track|recording|music|tune)|it)|(?:the |an? |each )?{a_part('1')})(?: last)? than (?:the |an? |its |each )?{a_part('2')}",
    re.IGNORECASE,
)
_TIME = re.compile(EXACT, re.IGNORECASE)


_EACH_LASTS = re.compile(
    rf"\b(?P<which>any|no|some|a|every|each|all|none of the) (?:of the )?(?:(?P<chords>chords?|harmon(?:y|ies)|triads?)|(?P<parts>sections?|parts?)) (?:(?:last|is|are|be|go|run|sound|stay)\w*(?: held| heard)?(?: for)?) (?P<more>longer|shorter|more|less|over|under) (?:than )?(?:{EXACT})",
    re.IGNORECASE,
)
_N_OF = re.compile(
    rf"\b(?P<parts2>sections|parts|verses|chorus(?:es)|chords),? each (?:of them )?(?:(?:of|lasting|about|around|is|held for|held) )*(?:{EXACT.replace('(?P<', '(?P<x')})"
    rf"|\b(?:(?P<n>\d+) )?(?P<parts>sections|parts|verses|chorus(?:es)|halves|quarters|chords)(?:,[^.;]{{1,60}},)? (?:of|lasting|at|last|are held for|are held|sound for|take) (?:about |around |roughly )?(?:{EXACT}) (?:each|apiece)",
    re.IGNORECASE,
)


_LONG_PART = re.compile(rf"\b(?:{EXACT})(?: long)? {a_part()}\b", re.IGNORECASE)


def _is_long(match: re.Match[str]) -> Callable[[Facts], Held]:
    time_s, part = seconds_of(match.groupdict()), PartName.of(match.groupdict())

    def test(facts: Facts) -> Held:
        spans = part.spans(facts)
        if not spans:
            return NOT_MEASURED
        lengths = [s.end_s - s.start_s for s in spans]
        return any(
            abs(n - time_s) <= max(ROOM_S, 0.05 * n) for n in lengths
        ), f"{', '.join(f'{n:.1f}' for n in lengths[:4])} s measured"

    return test


def _lengths_of(is_chord: bool, facts: Facts) -> list[float]:
    segments = facts.chords if is_chord else facts.sections
    return [s.end_s - s.start_s for s in segments.segments if s.label not in "NX" or not is_chord] if segments else []


def _each_lasts(match: re.Match[str]) -> Callable[[Facts], Held]:
    time_s, is_more = seconds_of(match.groupdict()), match["more"].lower() in ("longer", "more", "over")
    wants_all = match["which"].lower() in ("every", "each", "all")

    def test(facts: Facts) -> Held:
        lengths = _lengths_of(bool(match["chords"]), facts)
        if not lengths:
            return NOT_MEASURED
        held = [(n > time_s) == is_more and abs(n - time_s) > 0.1 for n in lengths]
        return (all(held) if wants_all else any(held)), f"{', '.join(f'{n:.1f}' for n in lengths[:6])} s measured"

    return test


def _all_last(match: re.Match[str]) -> Callable[[Facts], Held]:
    groups = {name.removeprefix("x"): said for name, said in match.groupdict().items() if said}
    time_s, kind = seconds_of(groups), (match["parts"] or match["parts2"]).lower()

    def test(facts: Facts) -> Held:
        if kind in ("sections", "parts", "chords"):
            lengths = _lengths_of(kind == "chords", facts)
        else:
            spans = PartName.of({"part": kind}).spans(facts) or []
            lengths = [s.end_s - s.start_s for s in spans]
        if not lengths:
            return NOT_MEASURED
        return all(
            abs(n - time_s) <= ROOM_S for n in lengths
        ), f"{', '.join(f'{n:.1f}' for n in lengths[:6])} s measured"

    return test


def read_derived(text: str) -> Iterator[SpokenClaim]:
    """Read what follows from several facts in a plain text."""
    if not may_hold_time(text):
        return
    for match in _OF_BEAT.finditer(text) if holds(text, ("bar", "measure", "beat", "pulse")) else ():
        claim = _beat_lasts(moment_of(match.groupdict()).seconds, is_bar=bool(match["bar"]))
        yield SpokenClaim("time", match[0], claim, is_denied(text, *match.span()), is_guess=True)
    for match in _BORDERS.finditer(text) if holds(text, _BORDER_WORDS) else ():
        yield SpokenClaim(
            "time", match[0], _lie_at(match["times"], of_chords=bool(match["chord"])), is_denied(text, *match.span())
        )
    for match in (
        _EACH_LASTS.finditer(text) if holds(text, ("longer", "shorter", "more", "less", "over", "under")) else ()
    ):
        yield SpokenClaim(
            "time",
            match[0],
            _each_lasts(match),
            match["which"].lower() in ("no", "none of the") or is_denied(text, *match.span()),
        )
    for match in _LONG_PART.finditer(text) if parts_named(text) else ():
        yield SpokenClaim("time", match[0], _is_long(match), is_denied(text, *match.span()))
    for match in _N_OF.finditer(text) if holds(text, ("each", "apiece")) else ():
        yield SpokenClaim("time", match[0], _all_last(match), is_denied(text, *match.span()))
    for match in _MORE.finditer(text) if holds(text, ("longer", "shorter")) else ():
        yield SpokenClaim(
            "form", match[0], _differ(match, seconds_of(match.groupdict())), is_denied(text, *match.span())
        )


_SHARE_ASKED = re.compile(
    rf"^(?:how much|(?:which|what) (?:fraction|share|part|proportion|portion)|how many seconds) of (?:the |this )?(?:whole )?(?:piece|song|music|track|recording|tune|time|total)\b[^?]*?\b{a_part()}",
    re.IGNORECASE,
)
_SHARE_SAID = re.compile(
    rf"(?P<percent>\d+(?:\.\d+)?) ?(?:%|per ?cent)|(?P<share>half|(?:a|1|2|3|4) (?:third|quarter|fifth)s?)\b|(?:{EXACT})",
    re.IGNORECASE,
)


def _fills(part: PartName, groups: dict[str, str | None]) -> Callable[[Facts], Held]:
    """Whether all such parts together fill a share of the recording, or so many seconds."""
    percent = groups.get("percent")
    moment = Moment(float(percent) / 100, is_share=True) if percent else moment_of(groups)

    def test(facts: Facts) -> Held:
        spans, wanted_s = part.spans(facts), moment.at(facts)
        if not spans or wanted_s is None:
            return NOT_MEASURED
        filled_s = sum(s.end_s - s.start_s for s in spans)
        return abs(filled_s - wanted_s) <= max(ROOM_S, moment.room(facts)), f"{filled_s:.1f} s measured"

    return test


_BEATS_IN = re.compile(
    r"\bhow many (?:beats|pulses|counts)\b[^?]*\b(?:after|in|within|over|during) (?P<n>\d+) (?:bars|measures)\b",
    re.IGNORECASE,
)


def _beats_of_bars(bars: int, beats: int) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        bar = bar_of(facts)
        return NOT_MEASURED if bar is None else (bars * bar == beats, f"{bar} beats to the bar measured")

    return test


_BOTH_LAST = re.compile(
    rf"(?:^|[,.;] )(?:both|each|they|they (?:all|both))(?: of them)? (?:takes?|lasts?|are|is|runs? for|goes? on for)(?: for| about| exactly| just| each)* (?:{EXACT})",
    re.IGNORECASE,
)
_ANY_PART = re.compile(a_part(), re.IGNORECASE)


def _last_alike(question: str, match: re.Match[str]) -> Callable[[Facts], Held]:
    """Whether all parts that a question names last so long."""
    parts, time_s = [PartName.of(m.groupdict()) for m in _ANY_PART.finditer(question)], seconds_of(match.groupdict())

    def test(facts: Facts) -> Held:
        lengths = [s.end_s - s.start_s for part in parts for s in part.spans(facts) or []]
        if not lengths:
            return NOT_MEASURED
        return all(abs(n - time_s) <= ROOM_S for n in lengths), f"{', '.join(f'{n:.1f}' for n in lengths)} s measured"

    return test


def answer_difference(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read the answer to `How much longer is the verse than the chorus?` and to `How many beats are in four bars?`."""
    counted, number = _BEATS_IN.search(question), NUMBER.search(text)
    if counted is not None and number is not None:
        yield SpokenClaim("meter", text, _beats_of_bars(int(counted["n"]), int(number[1])))
    if parts_named(question) and (alike := _BOTH_LAST.search(text)) is not None:
        yield SpokenClaim("form", alike[0], _last_alike(question, alike))
    shared, share = _SHARE_ASKED.match(question), _SHARE_SAID.search(text)
    if shared is not None and share is not None:
        yield SpokenClaim("form", share[0], _fills(PartName.of(shared.groupdict()), share.groupdict()))
    asked, time = _BY_HOW_MUCH.match(question), _TIME.search(text)
    if asked is not None and time is not None:
        yield SpokenClaim("form", time[0], _differ(asked, seconds_of(time.groupdict())))


def _beat_lasts(time_s: float, is_bar: bool) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        beats = facts.beats
        num = bar_of(facts) if is_bar else 1
        steps = [b - a for a, b in pairwise(beats.beats_s)] if beats else []
        beat_s = median(steps) if steps else 60 / facts.tempo.bpm if facts.tempo else None
        if num is None or beat_s is None:
            return NOT_MEASURED
        lasts_s = beat_s * num
        return abs(lasts_s - time_s) <= max(0.06, 0.08 * lasts_s), f"{lasts_s:.2f} s measured"

    return test


def _lie_at(times: str, of_chords: bool) -> Callable[[Facts], Held]:
    said = [seconds_of({"clock" if ":" in t else "sec": t}) for t in re.findall(r"\d+:\d\d|\d+(?:\.\d+)?", times)]

    def test(facts: Facts) -> Held:
        segments = (
            (facts.chords.segments if facts.chords else [])
            if of_chords
            else (facts.sections.segments if facts.sections else [])
        )
        if not segments:
            return NOT_MEASURED
        borders = [s.start_s for s in segments[1:]]
        fits = all(any(abs(b - t) <= ROOM_S for b in borders) for t in said)
        return fits, f"{', '.join(f'{b:.1f}' for b in borders[:6]) or 'none'} s measured"

    return test


def _differ(match: re.Match[str], by_s: float) -> Callable[[Facts], Held]:
    one, other = PartName.of(match.groupdict(), "1"), PartName.of(match.groupdict(), "2")
    one = PartName(WHOLE) if match.groupdict().get("whole") else one
    sign = 1 if match["more"].lower() == "longer" else -1

    def test(facts: Facts) -> Held:
        first, second = one.spans(facts), other.spans(facts)
        if not first or not second:
            return NOT_MEASURED
        lengths = [(a.end_s - a.start_s) - (b.end_s - b.start_s) for a in first for b in second]
        return any(
            abs(sign * n - by_s) <= 1.5 for n in lengths
        ), f"{', '.join(f'{n:.1f}' for n in lengths[:4])} s measured"

    return test
