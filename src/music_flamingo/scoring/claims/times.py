"""Claims in figures: how long, when, how many bars, sections, chords and lines, which part in a hundred."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim, unmeasured
from music_flamingo.scoring.claims.chord_places import SHORTEST_CHORD_S, heard_triads
from music_flamingo.scoring.claims.clock import SPAN, may_hold_time, seconds_of
from music_flamingo.scoring.claims.gates import has_digit, holds
from music_flamingo.scoring.claims.parts import PartName, occurs
from music_flamingo.scoring.claims.wording import ORDINALS, is_denied

FIGURE = "figure"
"""The kind of a number that no other claim accounts for."""
TIME_TOLERANCE_S = 0.11
_EVERY = re.compile(r"(?:in|every|each|per|another|within|for|between|apart) (?:\w+ )?$", re.IGNORECASE)
_RATE = re.compile(r"(?:\d|beats?|times|pulses|notes|clicks|changes) $", re.IGNORECASE)
_LASTS = re.compile(
    r"\b(?:lasts?|last(?:ing)|runs? (?:for|to)|long|length|duration|running time|run time|(?:is over|ends|stops|finishes) after|takes|spans?|total(?:s|ling)?)\b",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"\b(?:lasts?(?: for)?|lasting|runs? for|duration of|length of)(?: (?:about|around|roughly|nearly|almost|just|over|under|some|a|exactly|only|approximately))* $",
    re.IGNORECASE,
)
_THING = re.compile(
    r"\b(?:recording|piece|song|music|track|clip|excerpt|it|whole|total|duration|length|running time|run time)\b",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"(?<![\w./:#])(?P<n>\d+) (?:(?P<of>\w+) )?"
    r"(?P<what>bars?|measures?|downbeats|takte|sections?|parts|part(?= [a-z])|chords?|triads?|harmonies|lines of (?:words|text|lyrics)|verses?|chorus(?:es)?|refrains?|bridges?|intros?|outros?|percent)\b(?! of (?:4\b|the))"
    r"|(?P<p>\d+(?:\.\d+)?) ?%",
    re.IGNORECASE,
)
_COUNT_WORDS = (
    "bar",
    "measure",
    "downbeat",
    "takt",
    "section",
    "part",
    "chord",
    "triad",
    "harmon",
    "line",
    "verse",
    "chorus",
    "refrain",
    "bridge",
    "intro",
    "outro",
    "percent",
    "%",
)
_SENTENCE = re.compile(r"[.!?;]\s+")
_PART_COUNTED = ("verse", "chorus", "refrain", "bridge", "intro", "outro")
_BAR_WORDS = ("bar", "measure", "downbeat")
_HEDGE = re.compile(
    r"(more than|over|about|around|at least|fewer than|less than|up to|nearly|roughly|almost) $", re.IGNORECASE
)
_RANGE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?) ?(?:db|decibels?)\b", re.IGNORECASE)
RANGE_TOLERANCE_DB = 1.5
_PER = re.compile(r"\b(?:in|per|to|of|for) $", re.IGNORECASE)
_SOME = frozenset(("outer", "main", "other", "last", "first", "final", "inner"))
_SOME_NOT_COUNTED = _SOME | {"beat", "beats", "count", "pulse", "note", "second", "minute", "string", "step", "way"}
"""`a four-beat bar` counts beats, and `three-note chords` notes."""
_COUNTED_ELSEWHERE = frozenset(
    ("major", "minor", "contrasting", "different", "distinct", "alternating", "unique", "differing")
)
"""`two minor chords`, `two contrasting sections`: `quantified.py` reads them; chords that differ are counted here."""
_OF_CHORDS = ("chord", "triad", "harmon", "line", "verse", "bar", "measure")
_IS_ONE_OF_ALL = re.compile(r"\b(?:with|to|by|on|from|as|into|than|for) (?:just |exactly )?$", re.IGNORECASE)
"""`every section coincides with one chord` counts no chords of the piece."""
_LETTERS = ("A", "B", "C", "D", "E")
_AFTER_OR_BEFORE = re.compile(r"\b(?:after|before|between) $", re.IGNORECASE)
_SPREADS = re.compile(
    r"\b(?:runs?|spans?|spread|extends?|stretch\w*|unfolds?|goes|cycles?|repeats?|repeated|takes place) $",
    re.IGNORECASE,
)
"""`runs over eight bars` counts eight, and not more."""
SOME_OF = re.compile(r"(?:last|first|next|these|other|final|outer|which|what|any) $", re.IGNORECASE)
_OF_PART = re.compile(
    r"\b(?:both|each|they|section|verse|chorus|bridge|intro|introduction|outro|coda|refrain|solo|half|part|line|notes?|words?|bars?|measures?|beats?|next longest|chord|chords|harmony|harmonies|triad|longest|any)\b|\bIt lasts\b.*next",
    re.IGNORECASE,
)
_BAR = re.compile(
    rf"\b(?:bar|measure|downbeat)(?: number)? (?P<n>\d+)\b|\b(?P<o>\d+(?:st|nd|rd|th)|{'|'.join(ORDINALS)}) (?:bar|measure|downbeat)\b",
    re.IGNORECASE,
)

_NTH_PART = re.compile(rf"\b(?P<o>\d+(?:st|nd|rd|th)|{'|'.join(ORDINALS)}) (?:section|part)\b", re.IGNORECASE)


def read_times(text: str) -> Iterator[SpokenClaim]:
    """Read every claim about lengths, places in time and counts in a plain text."""
    has_figure = has_digit(text)
    for match in SPAN.finditer(text) if may_hold_time(text) else ():
        time_s = seconds_of(match.groupdict())
        before, after = text[max(0, match.start() - 45) : match.start()], text[match.end() : match.end() + 14]
        around = _SENTENCE.split(before)[-1] + match[0] + _SENTENCE.split(after)[0]
        denied = is_denied(text, *match.span())
        of_part = _OF_PART.search(before + text[match.end() : match.end() + 40]) is not None
        if _LONG_THING.match(text, match.end()):
            yield SpokenClaim("time", match[0], _lasts(time_s, _hedge_of(before)), denied)
        elif not of_part and (compared := _COMPARED.search(before)) is not None:
            is_more = compared[1].lower() in ("longer", "more")
            yield SpokenClaim("time", compared[0] + match[0], _lasts_beyond(time_s, is_more), denied)
        elif not of_part and (_GOES_ON.search(before) or (_LASTS.search(around) and _THING.search(around))):
            yield SpokenClaim("time", around, _lasts(time_s, _hedge_of(before)), denied)
        elif _is_one(match) and _RATE.search(before):
            continue  # 104 times a minute
        elif match["clock"] or not _EVERY.search(before) or (not _is_one(match) and before.endswith("in ")):
            yield SpokenClaim("time", match[0], _inside(time_s), is_place=True)
    for match in _COUNT.finditer(text) if has_figure and holds(text, _COUNT_WORDS) else ():
        yield from _count_of(match, text)
    for match in _RANGE.finditer(text) if has_figure and holds(text, ("db", "decibel")) else ():
        yield SpokenClaim("dynamics", match[0], _spans(float(match[1])), is_denied(text, *match.span()))
    for match in _NTH_PART.finditer(text) if holds(text, ("section", " part")) else ():
        yield SpokenClaim("count", match[0], _has_part(_nth(match["o"])), is_place=True)
    for match in _BAR.finditer(text) if holds(text, _BAR_WORDS) else ():
        bar = int(match["n"]) if match["n"] else _nth(match["o"])
        yield SpokenClaim("count", match[0], _has_bar(bar), is_place=True)


_AFTER_BARS = re.compile(r"\b(?:after|another|further) (?:the )?$", re.IGNORECASE)


def _always(facts: Facts) -> Held:
    return True, "a place"


def _count_of(match: re.Match[str], text: str) -> Iterator[SpokenClaim]:
    """Read one count, with `about` and `more than` before it; `the last 4 bars` count nothing."""
    start, end = match.span()
    if match["n"] == "1" and (holds(match[0], _BAR_WORDS) or _PER.search(text, max(0, start - 6), start)):
        return  # `the beats of one bar`
    if _AFTER_BARS.search(text, max(0, start - 12), start):
        yield SpokenClaim(
            "count", match[0], _has_bar(int(match["n"])) if holds(match[0], _BAR_WORDS) else _always, is_place=True
        )
        return
    if match["p"]:
        yield unmeasured("count", match[0], is_denied(text, start, end))
        return
    hedge = _HEDGE.search(text, max(0, start - 12), start)
    if hedge is not None and hedge[1].lower() == "over" and _SPREADS.search(text, 0, hedge.start()):
        hedge = None
    if hedge is not None and SOME_OF.search(text, max(0, hedge.start() - 6), hedge.start()):
        hedge = None
    of_kinds = match["of"] in ("major", "minor") or not (match["what"] or "").lower().startswith(_OF_CHORDS)
    if ((match["of"] or "").lower() in _COUNTED_ELSEWHERE and of_kinds) or (
        match["n"] == "1" and _IS_ONE_OF_ALL.search(text, 0, start)
    ):
        return
    if (match["of"] or "").lower() in _SOME_NOT_COUNTED or (
        hedge is None and SOME_OF.search(text, max(0, start - 6), start)
    ):
        return
    start = hedge.start() if hedge else start
    said, denied = text[start:end], is_denied(text, start, end)
    if (match["of"] or "") in _LETTERS and match["of"]:
        if not _AFTER_OR_BEFORE.search(text, max(0, start - 8), start):
            letter = PartName("section", match["of"])
            yield SpokenClaim("count", said, occurs(letter, int(match["n"])), denied)
    elif match["what"].lower() == "percent":
        yield unmeasured("count", said, denied)
    else:
        yield count_claim(said, match["what"], int(match["n"]), hedge[1] if hedge else None, denied)


def num_of(what: str, facts: Facts) -> int | None:
    """Count the bars, sections, verses, triads or lines of the facts; None where nobody measured them."""
    kind = what.lower()
    if kind.startswith(("bar", "measure", "downbeat", "takte")):
        return len(facts.beats.downbeats_s) if facts.beats else None
    if kind.startswith(("section", "part")):
        return len(facts.sections.segments) if facts.sections else None
    if kind.startswith(("chord", "triad", "harmon")):
        return len(set(heard_triads(facts))) if facts.chords else None
    if kind.startswith(("line", "distinct line")):
        return len(facts.lyrics.lines) if facts.lyrics and facts.lyrics.available else None
    if kind.startswith(_PART_COUNTED):
        places = PartName.of({"part": kind}).places(facts)
        return None if places is None else len(places)
    return None


def num_symbols(facts: Facts) -> int:
    """Count chords as lead sheets write them: sevenths apart, inversions together."""
    segments = facts.chords.segments if facts.chords else []
    labels = (s.label.partition("/")[0] for s in segments if s.end_s - s.start_s >= SHORTEST_CHORD_S)
    return len({label for label in labels if label not in "NX"})


def count_claim(said: str, what: str, number: int, hedge: str | None = None, denied: bool = False) -> SpokenClaim:
    """Claim that there are so many of something."""

    def test(facts: Facts) -> Held:
        counted = num_of(what, facts)
        if counted is None:
            return NOT_MEASURED
        if what.lower().startswith("distinct line"):
            counted = len({line.label.lower() for line in facts.lyrics.lines}) if facts.lyrics else counted
        if what.lower().startswith("chord") and counted < number <= num_symbols(facts):
            counted = number
        fact = f"{counted} {what} measured"
        word = (hedge or "").strip().lower()
        if word in ("more than", "over", "at least"):
            return counted > number or (counted == number and word == "at least"), fact
        if word in ("fewer than", "less than", "up to"):
            return counted < number or (counted == number and word == "up to"), fact
        return abs(counted - number) <= (0.1 * counted if word else 0), fact

    kind = "meter" if what.lower().startswith(("bar", "measure", "downbeat")) else "count"
    return SpokenClaim(kind, said, test, denied)


def answer_length(text: str) -> Iterator[SpokenClaim]:
    """Read the answer to a question about how long the recording is: a bare time is its length there."""
    found = list(read_times(text))
    if any(not claim.is_place for claim in found):
        yield from found
        return
    match = SPAN.search(text)
    if match is not None:
        hedge = _hedge_of(text[: match.start()])
        claim = _lasts(seconds_of(match.groupdict()), hedge)
        yield SpokenClaim("time", match[0], claim, hedge == "" and is_denied(text, *match.span()))


_LONG_THING = re.compile(r"(?: long)? (?:clip|excerpt|recording|piece|song|track|snippet|sample)\b", re.IGNORECASE)
_COMPARED = re.compile(r"\b(longer|shorter|less|more) than (?:a |about )?$", re.IGNORECASE)


def _lasts_beyond(time_s: float, is_more: bool) -> Callable[[Facts], Held]:
    """Whether the recording is longer, or shorter, than a time."""

    def test(facts: Facts) -> Held:
        if facts.duration_s is None:
            return NOT_MEASURED
        return (facts.duration_s > time_s) == is_more, f"{facts.duration_s:.1f} s measured"

    return test


def _is_one(match: re.Match[str]) -> bool:
    """Whether the time is `a minute`, which may be a rate."""
    return (match["min"] or "").lower() == "a" and not (match["minsec"] or match["min_part"])


_LENGTH_HEDGE = re.compile(
    r"\b(?:(?P<about>about|around|roughly|approximately|circa|some|close to|ish|more or less|or so)|(?P<over>just over|a little over|a bit over|slightly over|slightly more than|a little more than|over|more than|at least|longer than|no less than)"
    r"|(?P<under>just under|nearly|almost|not quite|a little under|slightly under|a little less than|under|less than|shorter than|at most|up to|no more than))(?: the)? $",
    re.IGNORECASE,
)


def _hedge_of(before: str) -> str:
    """Give `about`, `over`, `under` or nothing, for the words before a length."""
    found = _LENGTH_HEDGE.search(before[-24:])
    return str(found.lastgroup) if found else ""


def _lasts(time_s: float, hedge: str = "") -> Callable[[Facts], Held]:
    """Whether the recording is so long; `about` errs by a tenth, `over` and `under` by a quarter on their side."""

    def test(facts: Facts) -> Held:
        if facts.duration_s is None:
            return NOT_MEASURED
        length_s, room_s = facts.duration_s, max(1.0, (0.1 if hedge == "about" else 0.04) * facts.duration_s)
        low, high = time_s - room_s, time_s + room_s
        if hedge == "over":
            low, high = time_s - 1.0, 1.25 * time_s + 1.0
        elif hedge == "under":
            low, high = 0.8 * time_s - 1.0, time_s + 1.0
        return low <= length_s <= high, f"{length_s:.1f} s measured"

    return test


def _spans(range_db: float) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        if facts.dynamics is None:
            return NOT_MEASURED
        return abs(
            facts.dynamics.range_db - range_db
        ) <= RANGE_TOLERANCE_DB, f"{facts.dynamics.range_db:.1f} dB measured"

    return test


def _inside(time_s: float) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        if facts.duration_s is None:
            return NOT_MEASURED
        return time_s <= facts.duration_s + TIME_TOLERANCE_S, f"the recording ends at {facts.duration_s:.1f} s"

    return test


def _nth(word: str) -> int:
    return ORDINALS.get(word.lower()) or int(word[:-2])


def _has_part(place: int) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        parts = num_of("sections", facts)
        return NOT_MEASURED if parts is None else (place <= parts, f"{parts} sections measured")

    return test


def _has_bar(bar: int) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        bars = num_of("bars", facts)
        return NOT_MEASURED if bars is None else (bar <= bars, f"{bars} bars measured")

    return test
