"""Claims that follow from several facts: how long a bar lasts, where borders lie, by how much one part is longer."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.clock import EXACT, may_hold_time, moment_of, seconds_of
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.parts import PartName, a_part
from music_flamingo.scoring.claims.wording import is_denied

ROOM_S = 1.0
_LASTS = r"(?: of music)?(?: \w+ly)? (?:lasts?|takes?|is|are|comes?|goes|go|runs?|spans?|equals?|fills?|occup\w+)(?: (?:about|around|roughly|approximately|just|only|nearly|almost|some|over|under|exactly|by|every))*"
_OF_BEAT = re.compile(
    rf"\b(?:(?P<bar>bars?|measures?)|(?P<beat>(?<!\d )(?:beat|pulse)))\b(?:,? (?:at|in) [^.;,]{{3,30}},)?{_LASTS} (?:every )?(?:{EXACT})",
    re.IGNORECASE,
)
_BORDER = r"(?:(?P<chord>chords?|harmon(?:y|ies)|harmonic)|(?P<part>sections?|section|formal|structural|form))"
_TIMES = r"(?P<times>(?:\d{1,2}:\d\d|\d+(?:\.\d+)?)(?:(?:,? and |, )(?:at )?(?:\d{1,2}:\d\d|\d+(?:\.\d+)?))*)(?: ?s\b| seconds?\b)?"
_BORDERS = re.compile(
    rf"\b{_BORDER}(?:'s)? (?:boundar(?:y|ies)|borders?|changes?|transitions?|shifts?|joins?|divisions?|starts?|breaks?|chang\w+)(?: \w+){{0,2}}? (?:at|near|around|after)(?: the)?(?: about| around| roughly)? {_TIMES}",
    re.IGNORECASE,
)
_MORE = re.compile(
    rf"\b{a_part('1')} (?:is|lasts|goes on|runs)(?: about| around| roughly| exactly)? (?:{EXACT}) (?P<more>longer|shorter) than (?:the |an? |its )?{a_part('2')}",
    re.IGNORECASE,
)
_BY_HOW_MUCH = re.compile(
    rf"^(?:by )?how (?:much|many seconds) (?P<more>longer|shorter) (?:is|are|does|do) (?:the |an? |each )?{a_part('1')}(?: last)? than (?:the |an? |its |each )?{a_part('2')}",
    re.IGNORECASE,
)
_TIME = re.compile(EXACT, re.IGNORECASE)


def read_derived(text: str) -> Iterator[SpokenClaim]:
    """Read what follows from several facts in a plain text."""
    if not may_hold_time(text):
        return
    for match in _OF_BEAT.finditer(text) if holds(text, ("bar", "measure", "beat", "pulse")) else ():
        claim = _beat_lasts(moment_of(match.groupdict()).seconds, is_bar=bool(match["bar"]))
        yield SpokenClaim("time", match[0], claim, is_denied(text, *match.span()), is_guess=True)
    for match in _BORDERS.finditer(text):
        yield SpokenClaim(
            "time", match[0], _lie_at(match["times"], of_chords=bool(match["chord"])), is_denied(text, *match.span())
        )
    for match in _MORE.finditer(text) if holds(text, ("longer", "shorter")) else ():
        yield SpokenClaim(
            "form", match[0], _differ(match, seconds_of(match.groupdict())), is_denied(text, *match.span())
        )


def answer_difference(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read the answer to `How much longer is the verse than the chorus?`."""
    asked, time = _BY_HOW_MUCH.match(question), _TIME.search(text)
    if asked is not None and time is not None:
        yield SpokenClaim("form", time[0], _differ(asked, seconds_of(time.groupdict())))


def _beat_lasts(time_s: float, is_bar: bool) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        beats = facts.beats
        num = (beats.beats_per_bar if beats else None) if is_bar else 1
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
