"""Claims about how often the beat comes, in any unit of time, and about which figure a tempo lies above or below."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.gates import has_digit, holds
from music_flamingo.scoring.claims.wording import is_denied

_BEAT = r"(?:beats?|pulses?|clicks?|ticks?|taps?|counts?|strokes?|crotchets?|quarter notes?|foot taps?)"
_N = r"\d+(?:\.\d+)?"
_FEW = r"(?:a couple of|a pair of)"
_SPAN = (
    rf"(?:(?P<span>{_N}|a|one|half a|half|a quarter(?: of a)?|a half) ?)?(?P<unit>s\b|secs?\b|seconds?\b|minutes?\b)"
)
_HEDGES = (
    r"(?P<over>(?:just|a little|a bit|slightly|somewhat|a touch|well|clearly) (?:over|above|more than)|over|above|more than|upwards of|at least)"
    r"|(?P<under>(?:just|a little|a bit|slightly|somewhat|a touch|well|clearly) (?:under|below|less than|short of)|not quite|under|below|less than|fewer than|at most|nearly|almost)"
    r"|(?P<about>about|around|roughly|approximately|some|close to|near(?:ly)?|circa|~)"
)
_RATE = re.compile(
    rf"(?:\b(?:{_HEDGES}) ?)?(?<![\w.:/])(?P<n>{_N}|an?|{_FEW}) (?:\w+ )?{_BEAT}(?: (?:go|goes|pass|passes|come|comes|fall|falls|fit|fits|occur|occurs|sound|sounds|by|are|heard|counted))*"
    rf" (?:in|per|an?|each|every|within|over|during|to)(?: (?:an?|each|every|any|the|1|one)(?= ?(?:s\b|sec|second)))? {_SPAN}(?! (?:verse|chorus|section|half|part|chord|bar|line|beat))",
    re.IGNORECASE,
)
_ASKED = re.compile(
    rf"\b(?:how many|what number of) (?:\w+ )?(?:{_BEAT}|times)\b[^?]*?\b(?:in|per|an?|each|every|within|over|during|to)(?: (?:an?|each|every|any|the|1|one)(?= (?:second|minute)))? {_SPAN}|\bhow often\b[^?]*?\b(?:in|per|an?|each|every) {_SPAN.replace('(?P<', '(?P<o')}",
    re.IGNORECASE,
)
_SAID = re.compile(rf"(?:\b(?:{_HEDGES}) ?)?(?<![\w.:/])(?P<n>{_N}|twice|once|thrice)(?![\w:/%]|\.\d)", re.IGNORECASE)
_WORDS = {"once": 1.0, "twice": 2.0, "thrice": 3.0}
_OF_A_TEMPO = ("tempo", "bpm", "pace", "speed", "beats a minute", "beats per minute", "pulse")
_APART = re.compile(
    rf"\b{_BEAT}(?: (?:is|are|come|comes|fall|falls|follow|follows|lie|lies|sit))?(?: (?:one another|each other|after 1 another))?(?: (?:at|with a gap of|every|spaced))* (?:(?:{_HEDGES}) )?{_SPAN.replace('(?:(?P<span>', '(?P<every>(?:an? |1 )?)(?:(?P<span>', 1)} apart\b",
    re.IGNORECASE,
)
_TOTAL = re.compile(
    rf"\b(?:(?P<length>{_N}) ?(?:s|seconds|secs)\b[^.;]{{0,24}}? (?:make|makes|give|gives|hold|holds|contain|contains|equal|equals|yield|yields|amount to|come to|are|is))(?: (?:up|to))?(?: (?:{_HEDGES}))? (?P<n>\d{{2,4}}) {_BEAT}\b(?! (?:per|a|to|in))"
    rf"|(?<![\d.:])(?P<n2>\d{{2,4}}) {_BEAT} (?:in all|in total|altogether|overall|all told)\b",
    re.IGNORECASE,
)
_BEAT_WORDS = ("beat", "pulse", "click", "tick", "tap", "count", "stroke", "crotchet", "quarter")
_IN_ALL = (
    "make",
    "give",
    "hold",
    "contain",
    "equal",
    "yield",
    "amount",
    "come",
    " is ",
    " are ",
    "total",
    "overall",
    "altogether",
    " all",
)
_SIDE = re.compile(r"(?:above|over|beyond|below|under|beneath|of|than|between)(?: the)? \d{2,3}\b")
_COMPARED = re.compile(
    r"\b(?:is|are|was|lies|sits|falls|comes|stays|runs|remains|being|which|and|,|at)(?: (?:in|out))?(?: (?P<not>not))?(?: (?:well|far|clearly|just|slightly|comfortably|somewhat|a little|a bit|way|safely))? "
    r"(?P<side>above|over|beyond|below|under|beneath|in excess of|short of|faster than|slower than|higher than|lower than|between)(?: the)? (?P<low>\d{2,3})(?:(?: and | to |-)(?P<high>\d{2,3}))?(?![\d/:.]|[ -]?(?:s\b|sec|minute|bars?|db|%|hz|measures?|beats? to))",
    re.IGNORECASE,
)


def read_rates(text: str) -> Iterator[SpokenClaim]:
    """Read `two beats a second`, `21 pulses in 12 seconds`, `a tempo of 142 lies well above 120`."""
    if not has_digit(text) and not holds(text, ("second",)):
        return
    of_beats = holds(text, _BEAT_WORDS)
    if not of_beats and not holds(text, _OF_A_TEMPO):
        return
    if of_beats and holds(text, ("sec", " s ", " s.", "s,")):
        for match in _RATE.finditer(text):
            if not match["unit"].lower().startswith("min"):
                claim = _comes(_amount(match["n"]), _seconds(match), _hedge(match))
                yield SpokenClaim("tempo", match[0], claim, is_denied(text, *match.span()))
    for match in _APART.finditer(text) if of_beats and holds(text, ("apart",)) else ():
        claim = _comes(1.0, _seconds(match), {"over": "under", "under": "over"}.get(_hedge(match), _hedge(match)))
        yield SpokenClaim("tempo", match[0], claim, is_denied(text, *match.span()))
    if not has_digit(text):
        return
    for match in _TOTAL.finditer(text) if of_beats and holds(text, _IN_ALL) else ():
        length_s = float(match["length"]) if match["length"] else None
        yield SpokenClaim("tempo", match[0], _in_all(float(match["n"] or match["n2"]), length_s))
    for match in _COMPARED.finditer(text) if _SIDE.search(text) and holds(text, _OF_A_TEMPO) else ():
        yield SpokenClaim("tempo", match[0], _lies(match), is_denied(text, *match.span()))


def answer_rate(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read the answer to `How many beats go by in ten seconds?` and `How often a minute does the foot come down?`."""
    asked, said = _ASKED.search(question), _SAID.search(text)
    if asked is None or said is None or holds(question, ("bar", "measure")):
        return
    groups = {
        name.removeprefix("o") if name.startswith(("ospan", "ounit")) else name: value
        for name, value in asked.groupdict().items()
        if value
    }
    seconds_ = _span_s(groups.get("span"), groups["unit"])
    number = _WORDS.get(said["n"].lower()) or float(said["n"])
    yield SpokenClaim("tempo", text, _comes(number, seconds_, _hedge(said)), is_denied(text, *said.span()))


def _amount(said: str) -> float:
    word = said.lower()
    return 1.0 if word in ("a", "an") else 2.0 if "of" in word else float(word)


def _seconds(match: re.Match[str]) -> float:
    return _span_s(match["span"], match["unit"])


def _span_s(said: str | None, unit: str) -> float:
    """`half a`, `second` -> 0.5."""
    word = (said or "1").lower()
    number = 0.5 if "half" in word else 0.25 if "quarter" in word else 1.0 if word in ("a", "one") else float(word)
    return number * (60.0 if unit.lower().startswith("min") else 1.0)


def _hedge(match: re.Match[str]) -> str:
    return next((name for name in ("over", "under", "about") if match[name]), "")


MORE = 1.5
"""Times its figure, up to which a rate may be said to be a little over it."""


def _comes(number: float, time_s: float, hedge: str) -> Callable[[Facts], Held]:
    """Whether so many beats come in a span of time, to half a beat and a tenth."""

    def test(facts: Facts) -> Held:
        if facts.tempo is None:
            return NOT_MEASURED
        counted = facts.tempo.bpm * time_s / 60
        room = max(0.08 * counted, 0.6 if counted >= 6 else 0.1 * counted)
        fact = f"{counted:.1f} beats in {time_s:g} s measured"
        if hedge == "over":
            return number - room / 2 <= counted <= MORE * number, fact
        if hedge == "under":
            return number / MORE <= counted <= number + room / 2, fact
        return abs(counted - number) <= (1.5 * room if hedge == "about" else room), fact

    return test


def _in_all(number: float, length_s: float | None) -> Callable[[Facts], Held]:
    """Whether so many beats fit into a length, or into the whole recording."""

    def test(facts: Facts) -> Held:
        time_s = length_s or facts.duration_s
        if facts.tempo is None or time_s is None:
            return NOT_MEASURED
        counted = facts.tempo.bpm * time_s / 60
        return abs(counted - number) <= max(2.0, 0.04 * counted), f"{counted:.0f} beats in {time_s:g} s measured"

    return test


def _lies(match: re.Match[str]) -> Callable[[Facts], Held]:
    low = float(match["low"])
    high = float(match["high"] or match["low"])
    side, sign = match["side"].lower(), not match["not"]

    def test(facts: Facts) -> Held:
        if facts.tempo is None:
            return NOT_MEASURED
        bpm = facts.tempo.bpm
        if side == "between":
            fits = low - 1 <= bpm <= high + 1
        elif side in ("above", "over", "beyond", "in excess of", "faster than", "higher than"):
            fits = bpm > low - 1
        else:
            fits = bpm < low + 1
        return fits == sign, f"{bpm:.1f} BPM measured"

    return test
