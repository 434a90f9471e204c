"""Claims about meter: signatures, beats to the bar, and their names in several languages."""

import re
from collections.abc import Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.gates import WordScanner, has_digit, holds
from music_flamingo.scoring.claims.wording import ORDINALS, is_denied

BEATS_OF = {"6/8": (2, 6), "9/8": (3, 9), "12/8": (4, 12), "3/8": (1, 3), "6/4": (2, 6), "2/2": (2, 4)}
"""Signatures that count otherwise than their upper figure says."""
_TIME = r"(?:time|met(?:er|re)|signature|rhythm|feel|measure|compas|takt|tempo|mesure|beat)(?:s|ic)?"
_BAR = r"(?:bars?|measures?|takt|compas|mesure|battuta)"
_DUPLE, _TRIPLE, _FOUR = (2, 4), (3, 9), (4,)
_NAMED: tuple[tuple[str, tuple[int, ...]], ...] = (
    (rf"(?:duple|binary) {_TIME}", _DUPLE),
    (rf"(?:triple|ternary) {_TIME}|dreivierteltakt|dreiertakt|trois temps|tres tiempos|tre quarti|compas ternario", _TRIPLE),
    (rf"quadruple {_TIME}|common {_TIME}|viervierteltakt|quatre temps|cuatro tiempos|quattro quarti", _FOUR),
    (rf"march(?:es)?(?: {_TIME})?|polka {_TIME}", _DUPLE),
    (r"cut (?:time|common)|alla breve", (2, 4)),
    (rf"waltz(?:es)?(?: {_TIME})?|walzer\w*|oom pah pah|minuet|mazurka|vals\b|valse|valzer", (3, 6)),
    (rf"{_TIME} is (?:clearly |a )?(?:duple|binary)", _DUPLE),
    (rf"{_TIME} is (?:clearly |a )?(?:triple|ternary)", _TRIPLE),
    (rf"{_TIME} is (?:clearly |a )?quadruple", _FOUR),
    (rf"compound duple {_TIME}", (2, 6)),
    (rf"compound triple {_TIME}", (3, 9)),
    (rf"compound quadruple {_TIME}", (4, 12)),
    (rf"compound {_TIME}", (6, 9, 12)),
    (rf"(?:odd|irregular|asymmetric\w*) {_TIME}", (5, 7, 11)),
    (r"four on the floor|4 on the floor", _FOUR),
    (r"drei viertel(?: takt)?|tres por cuatro|tre quarti|trois quatre", (3,)),
    (r"vier viertel(?: takt)?|cuatro por cuatro|quattro quarti|quatre quatre", _FOUR),
    (r"sechs achtel(?: takt)?|seis por ocho|sei ottavi|6 huit", (2, 6)),
)  # fmt: skip
_NAMES = WordScanner([pattern for pattern, _ in _NAMED])
_NAME_WORDS = (
    "duple", "binary", "triple", "ternar", "quadruple", "common", "cut ", "alla breve", "waltz", "walz", "oom", "march", "polka", "minuet", "mazurka",
    "vals", "valzer", "compound", "odd", "irregular", "asymmetric", "floor", "drei", "tres", "tre quarti", "trois", "vier", "cuatro",
    "quattro", "quatre", "achtel", "por ocho", "ottavi", "huit",
)  # fmt: skip
_BEAT_WORDS = ("beat", "pulse", "count", "schlage", "temps", "tiempos")
_BEAT_FEEL_WORDS = (
    *_BEAT_WORDS,
    "pattern",
    "cycle",
    "bar",
    "measure",
    "group",
    "rhythm",
    "crotchet",
    "quarter",
    "signature",
    "feel",
    "lilt",
)
_TWO_FIGURES = re.compile(r"\d[ -](?:over |by |por )?(?:[248]|16|ei|qu|ha)", re.IGNORECASE)
_IN_FIGURE = re.compile(r"\bin \d", re.IGNORECASE)
_SIGNATURE = re.compile(r"(?<![\w/.])(\d{1,2}) ?/ ?(2|4|8|16)(?![\w/])(?! of\b)")
_SPOKEN = re.compile(
    rf"(?<![\d.])(\d{{1,2}})[ -](?:over |by |por )?(2|4|8|16|eighths?|quarters?|halves)(?=[ -]{_TIME}\b|[ -]signature|[.,;!?]?$)"
    rf"|\b(?:in|an?|this) (\d{{1,2}})[ -](2|4|8|16)\b|{_TIME} (?:is|of|signature is) (\d{{1,2}})[ -](?:over |by )?(2|4|8|16|eighths?|quarters?)\b",
    re.IGNORECASE,
)
_BEATS = re.compile(
    rf"(?<![\d.])(\d{{1,2}}) (?:\w+ )?(?:beats?|pulses?|counts?|schlage|temps|tiempos) (?:to|per|in|a|for|within|of|pro|par|por|make)"
    rf" ?(?:up )?(?:the |a |an |each |every |one )?{_BAR}\b"
    rf"|{_BAR} (?:has|have|holds?|contains?|consists? of|of|with|counts?|spans?|carr(?:y|ies)|features?|gets?|includes?|comprises?|bears?|receives?|shows?) (\d{{1,2}}) (?:\w+ )?(?:beats?|pulses?|counts?)"
    rf"|(?:accents?|downbeats?|(?:strong|main|heavy|accented|first) (?:beat|pulse)s?) (?:return\w*|come\w*|fall\w*|recur\w*|repeat\w*|land\w*|arriv\w*|is (?:felt|heard))(?: (?:back|again|around|round|regularly))* (?:after |on |every |each |at )+(?:(\d) or )?(\d) beats?"
    rf"|groups? of (\d) beats?|(?:accents?|accented|downbeats?|stress\w*)[^.;]{{0,20}} (?:every|each) (?P<nth>{'|'.join(ORDINALS)}) beat\b"
    rf"|(?:every|each) (?P<nth2>{'|'.join(ORDINALS)}) beat (?:is|gets|carries|has|bears|falls)[^.;]{{0,24}}\b(?:accent\w*|stress\w*|downbeat|strong)|with (\d) beats(?=[.,;!?]|$)|to the next there are (\d{{1,2}}) beats?",
    re.IGNORECASE,
)
_STRONG, _WEAK = (
    r"(?:strong|accented|stressed|heavy|main|down)",
    r"(?:weak|unaccented|unstressed|light|lighter|softer|weaker|up)",
)
_WEAK_BEATS = re.compile(
    rf"\b(?P<n>\d) {_WEAK}(?: beats?| pulses?| ones?)? (?:follow|come after|after|for|to) (?:each|every|a|1|the) {_STRONG}"
    rf"|\b(?:each|every|a|1|the) {_STRONG} ?(?:beat|pulse|1)? (?:is |gets )?(?:followed by|then) (?P<n2>\d) {_WEAK}",
    re.IGNORECASE,
)
"""Weak beats behind a strong one: the bar has one more."""
_IN = re.compile(
    r"(?<!\w)(?:is )?in (2|3|4|5|6|7|9|12)(?=[.,;!?]|$| (?:and|with|throughout|time|to|at|but|rather|not|all|for|on|from|by|played|which)\b)",
    re.IGNORECASE,
)
_TWOS = {"twos": 2, "threes": 3, "fours": 4, "fives": 5, "sixes": 6, "sevens": 7}
_IN_TWOS = re.compile(rf"\b(?:in|of|by) ({'|'.join(_TWOS)})\b", re.IGNORECASE)
_ALL_TWOS = re.compile(rf"\b(?:{'|'.join(_TWOS)})\b", re.IGNORECASE)
_NOT_IN = re.compile(
    r"\b(?:once|1|times?|split\w*|divid\w+|cut\w*|broken|falls?|separat\w+|comes?|parts?|sections?|grouped|packed|available|sung|enters?|chapters?|bar|measure|minute|at|later|for|out)(?: \w+)? $",
    re.IGNORECASE,
)
_BEAT_FEEL = re.compile(
    r"\b(\d{1,2}) (?:beats?|counts?|pulses?) (?:feel|patterns?|groove|rhythm|pulse|bars?|measures?|met(?:er|re)|cycles?|time|grouping|swing|waltz|march|lilt|phrase of)\b"
    r"|\b(?:patterns?|cycles?|bars?|measures?|groups?|rhythm|figure|counts?|feel|feeling|lilt|pulse) of (\d{1,2})(?: (?:fits?|suits?|works?|(?:\w+ )?(?:beats?|pulses?|counts?|quarter notes?|crotchets?))|(?=[.,;!?]|$))"
    r"|\b(\d{1,2}) (?:to|in|per|a) (?:the |a |each |every )?(?:bar|measure)\b|\b(\d{1,2}) (?:quarter notes?|crotchets?) (?:to|in|per|a) (?:the |a |each |every )?(?:bar|measure)\b"
    r"|\b(\d{1,2}) (?:\w+ )?beats? (?:fill|fills|make up|form|fit into|belong to) (?:each|every|a|the|1) (?:bar|measure)\b|\b(\d{1,2}) (?:\w+ )?beats? (?:before|between|until) (?:each|the|every|1) (?:\w+ )?(?:accent|downbeat|accents|downbeats|strong beat)",
    re.IGNORECASE,
)
_FEW = r"(1[0-2]|[2-9])(?![\d/]|[.:]\d|st\b|nd\b|rd\b|th\b)"
_AND_ENDS = r"(?! ?(?:bpm|beats? (?:per|a|each) min|seconds?|secs?|minutes?|bars?|measures?|times|%|sections?|parts?|chords?|lines?|notes?|instruments?|drums?|hits?|s\b|ms\b|db\b|hz\b|or \d))"
_COUNTED_TO = re.compile(
    rf"\b(?:beats?|pulse|count)(?: (?:counts?|structure|pattern|rhythm))?,?(?: (?:is|that|which|of|at|to|in|set|counts?|counting|counted|timed|for|steady|steadily|consistently|clearly|marked|slow,?|a|an|the|standard|solid|simple|constant|up|till|until))+ {_FEW}{_AND_ENDS}"
    rf"|\b(?:counts?|counting|counted)(?: (?:each|every|the|it|out|\w+ly|measure|bar|beat|up))* (?:to|till|until|in) {_FEW}{_AND_ENDS}"
    rf"|(?<![\d.:/]){_FEW}[ -](?:beat|count)\b(?! (?:rests?|pauses?|breaks?|silence|gaps?|notes?|intros?|introduction|fills?|pick ?ups?|delays?|drops?|holds?|chords?|loops?|sustain|per|in (?:the|a|each|every)|a minute)\b)"
    rf"|\bsignature (?:of|is|is in|at|set to|reads?|in) {_FEW}{_AND_ENDS}|\bbeat's {_FEW} counts?\b",
    re.IGNORECASE,
)
"""`a beat of 4`, `the beat counts to 4`, `a steady 4-beat`, `a 4-count`."""
_EVERY_N = re.compile(r"\b(?:every|another|last|first|next|after|for|lasts?|holds?|rests?) (?:\w+ )?$", re.IGNORECASE)
_BARE = re.compile(r"(?<![\d.:/])(\d{1,2})(?! ?(?:bpm|%|s\b|/))(?:[ -](?:over |by )?(2|4|8|16)\b)?", re.IGNORECASE)
_CLASS = re.compile(
    r"\b(duple|triple|quadruple|compound|odd|binary|ternary|common time|cut time|march)\b", re.IGNORECASE
)
_CLASSES = {
    "duple": _DUPLE, "binary": _DUPLE, "triple": _TRIPLE, "ternary": _TRIPLE, "quadruple": _FOUR, "compound": (6, 9, 12),
    "odd": (5, 7, 11), "common time": _FOUR, "cut time": _DUPLE, "march": _DUPLE,
}  # fmt: skip


def read_meter(text: str) -> Iterator[SpokenClaim]:
    """Read every claim about meter in a plain text."""
    for number, match in _NAMES.scan(text) if holds(text, _NAME_WORDS) else ():
        yield _claim(match, text, _NAMED[number][1])
    for match in _IN_TWOS.finditer(text) if holds(text, _TWOS) else ():
        yield _claim(match, text, (_TWOS[match[1].lower()],))
    for match in _BEATS.finditer(text) if holds(text, _BEAT_WORDS) else ():
        counted = ORDINALS.get((match["nth"] or match["nth2"] or "").lower())
        yield _claim(match, text, (counted, 2 * counted) if counted else tuple(int(n) for n in match.groups() if n))
    if not has_digit(text):
        return
    for match in (
        _WEAK_BEATS.finditer(text) if holds(text, ("weak", "light", "unaccented", "unstressed", "softer")) else ()
    ):
        yield _claim(match, text, (int(match["n"] or match["n2"]) + 1,))
    for match in _COUNTED_OUT.finditer(text):
        if (counted := _last_counted(match[0])) is not None:
            yield _claim(match, text, (counted,))
    for match in _SIGNATURE.finditer(text) if "/" in text else ():
        yield _claim(match, text, beats_of(match[1], match[2]))
    for match in _SPOKEN.finditer(text) if _TWO_FIGURES.search(text) else ():
        upper, lower = (part for part in match.groups() if part)
        if upper == "1":
            continue  # `one-two, one-two`
        yield _claim(match, text, beats_of(upper, lower))
    for match in _IN.finditer(text) if _IN_FIGURE.search(text) else ():
        if not _NOT_IN.search(text, max(0, match.start() - 24), match.start()):
            yield _claim(match, text, (int(match[1]),), match.start(1))
    yield from _counted(text)


def _counted(text: str) -> Iterator[SpokenClaim]:
    """Read `a four-beat pattern`, `a beat of 4` and their like, each figure once."""
    taken: set[int] = set()
    for pattern in (_BEAT_FEEL, _COUNTED_TO) if holds(text, _BEAT_FEEL_WORDS) else ():
        for match in pattern.finditer(text):
            number = next(k for k, said in enumerate(match.groups(), start=1) if said)
            place = match.start(number)
            if place in taken or (pattern is _COUNTED_TO and _EVERY_N.search(text, max(0, place - 24), place)):
                continue
            taken.add(place)
            yield _claim(match, text, (int(match[number]),))


_COUNTED_OUT = re.compile(r"\b1(?:,| and|-)? 2(?:[,;]?(?: and)? \d)*\b(?![/:\d]|\.\d)")


def _last_counted(text: str) -> int | None:
    """Give the last number of `1, 2, 3, 4`, said once or over again; None for other rows of figures."""
    figures = [int(figure) for figure in re.findall(r"\d+", text)]
    last = max(figures)
    return last if figures == [k % last + 1 for k in range(len(figures))] and len(figures) % last == 0 else None


def answer_meter(text: str) -> Iterator[SpokenClaim]:
    """Read the answer to a question about meter: a bare number or class is a claim there."""
    found = list(read_meter(text))
    foreign = _FOREIGN_NUMBER.fullmatch(text)
    if not found and foreign is not None:
        found = [_claim(foreign, text, (FOREIGN_NUMBERS[foreign[1].lower()],))]
    if not found:
        found = [_claim(m, text, _CLASSES[m[1].lower()]) for m in _CLASS.finditer(text)]
    if not found:
        found = [_claim(m, text, (_TWOS[m[0].lower()],)) for m in _ALL_TWOS.finditer(text)]
    if not found:
        found = [_claim(m, text, beats_of(m[1], m[2] or "4")) for m in _BARE.finditer(text)]
    yield from found


def bar_of(facts: Facts) -> int | None:
    """Give the measured beats to the bar; None where nobody measured them."""
    return facts.beats.beats_per_bar if facts.beats else None


def is_meter(text: str) -> bool:
    """Tell whether a text is nothing but the name of a meter: `Triple`."""
    return _CLASS.fullmatch(text.strip(" .!")) is not None


FOREIGN_NUMBERS = {
    "uno": 1, "una": 1, "un": 1, "une": 1, "ein": 1, "eine": 1, "eins": 1, "um": 1, "uma": 1, "dos": 2, "deux": 2, "zwei": 2, "due": 2,
    "dois": 2, "duas": 2, "tres": 3, "trois": 3, "drei": 3, "tre": 3, "cuatro": 4, "quatre": 4, "vier": 4, "quattro": 4, "quatro": 4,
    "cinco": 5, "cinq": 5, "funf": 5, "cinque": 5, "seis": 6, "sechs": 6, "sei": 6, "siete": 7, "sept": 7, "sieben": 7, "sette": 7,
    "sete": 7, "ocho": 8, "huit": 8, "acht": 8, "otto": 8, "oito": 8, "nueve": 9, "neuf": 9, "neun": 9, "nove": 9,
}  # fmt: skip
"""Small numbers of five languages, without accents: read only where an answer is nothing but one."""
_FOREIGN_NUMBER = re.compile(rf"\W*(?:\w+ )?({'|'.join(FOREIGN_NUMBERS)})(?: \w+)?\W*", re.IGNORECASE)


def beats_of(upper: str, lower: str) -> tuple[int, ...]:
    """Give the beats a bar that a signature may be counted in."""
    figure = {"e": "8", "q": "4", "h": "2"}.get(lower[0].lower(), lower)
    return BEATS_OF.get(f"{upper}/{figure}", (int(upper),))


def _claim(match: re.Match[str], text: str, beats: tuple[int, ...], place: int | None = None) -> SpokenClaim:
    def test(facts: Facts) -> Held:
        if facts.beats is None:
            return NOT_MEASURED
        if facts.beats.beats_per_bar is None:
            return NOT_MEASURED
        return facts.beats.beats_per_bar in beats, f"{facts.beats.beats_per_bar} beats to the bar measured"

    start = match.start() if place is None else place
    return SpokenClaim("meter", match.group(0), test, is_denied(text, start, match.end()))
