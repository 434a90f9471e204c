"""Claims about tempo: beats a minute in figures, words and ranges, and classes such as fast or Andante."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim, unmeasured
from music_flamingo.scoring.claims.gates import WORD, has_digit, holds, words_of
from music_flamingo.scoring.claims.wording import is_denied, plain
from music_flamingo.scoring.families.tempo_class import FAST_ABOVE_BPM, SLOW_BELOW_BPM
from music_flamingo.scoring.tempo import TEMPO_TOLERANCE

BPM_TOLERANCE = 1.0
BORDER = 0.06
"""A class holds this part beyond its border: 127 BPM may be called fast."""

_NUMBER = r"\d{2,3}(?:[.,]\d+)?"
_UNIT = (
    r"(?:b\.?p\.?m\b\.?|beats? (?:per|a|each|every|1|in a|in 1|in the|to the) (?:minute|min)\b|beats?/min\b|schlage(?:n)? pro minute"
    r"|battements par minute|pulsaciones por minuto|battiti al minuto|quarter notes? (?:per|a) minute"
    r"|on the metronome|(?:times |clicks |pulses )?(?:per|a|each|every) minute\b)"
)
_ABOUT = (
    r"about|around|roughly|approximately|circa|ca\.?|some|nearly|almost|close to|near|just (?:over|under)|etwa|environ"
)
_SIDES = re.compile(r"(?P<under>just under|nearly|almost)|just over", re.IGNORECASE)
ONE_SIDE = 0.08
"""By which a tempo may lie below `just under` a figure, or above `just over` one."""
_OVER, _UNDER = (
    r"no (?:fewer|less) than|not (?:under|below)|over|above|more than|faster than|at least|upwards of|exceeds|no slower than|past",
    (r"no more than|not (?:over|above)|under|below|less than|slower than|at most|up to|no faster than|short of"),
)
_HEDGE = rf"(?:(?P<about>{_ABOUT}|~)|(?P<over>{_OVER})|(?P<under>{_UNDER}))"
_RANGE = rf"(?P<low>{_NUMBER})(?: ?(?:-|to|and|or|through) ?(?P<high>{_NUMBER}))?"
_AFTER = re.compile(rf"{_RANGE}(?: ?(?:ish|odd))?[ -]?{_UNIT}", re.IGNORECASE)
_HEDGED = re.compile(rf"(?:(?<!\w){_HEDGE} ?)?(?:(?<!\w)between )?$", re.IGNORECASE)
HEDGE_LETTERS = 32
"""Before a number, in which its `about` or `no more than` stands."""
_BEFORE = re.compile(
    rf"(?:\b(?:tempo|bpm|beats per minute|metronome(?: mark(?:ing)?)?|pulse|speed|pace|quarter(?: note)?|tempus)\b(?: of)?"
    rf"(?: (?:is|was|of|at|runs?|sits?|lies|stands|set|marked|reads?|comes?|measures?|hovers?|equals|in the|be|to|a|steady"
    rf"|constant))*|[♩=]) ?[=:]? ?(?:{_HEDGE} )?(?:between )?{_RANGE}(?![\d/:]|[ -]?(?:s|sec\w*|bars?|db|%)\b)",
    re.IGNORECASE,
)
_TERMS: dict[str, tuple[float, float]] = {
    "larghissimo": (0, 40), "largo": (0, 66), "grave": (0, 66), "lentissimo": (0, 60), "adagissimo": (0, 60), "vivacissimo": (150, 400), "allegrissimo": (150, 400),
    "andante moderato": (84, 112), "allegro moderato": (108, 132), "larghetto": (56, 72), "lento": (0, 76), "adagio": (48, 80),
    "adagietto": (65, 84), "andante": (74, 110), "andantino": (78, 112), "moderato": (106, 122),
    "allegretto": (106, 128), "allegro": (118, 170), "vivace": (136, 180), "presto": (164, 400),
    "prestissimo": (180, 400),
}  # fmt: skip
_FAST, _SLOW, _MEDIUM = (FAST_ABOVE_BPM, 400.0), (0.0, SLOW_BELOW_BPM), (SLOW_BELOW_BPM, FAST_ABOVE_BPM)
_UPBEAT = (96.0, 400.0)
_OF_CHARACTER = {
    **dict.fromkeys(("lazy", "languorous", "funereal", "drowsy", "sleepy", "trudging", "lumbering"), _SLOW),
    **dict.fromkeys(("relaxed", "laid back", "easygoing", "easy going", "calm", "gentle", "unrushed", "measured", "deliberate"), (0.0, FAST_ABOVE_BPM)),
    **dict.fromkeys(("stately", "strolling", "ambling"), (0.0, 112.0)),
    **dict.fromkeys(("energetic", "driving", "bouncy", "snappy", "peppy", "sprightly", "zippy", "bustling", "animated"), _UPBEAT),
}  # fmt: skip
"""Classes that are claims about the tempo only where a tempo or a pace is said to be so: `a driving pace`."""
_CLASSES = {
    **dict.fromkeys(("fast", "quick", "rapid", "rapidly", "swift", "speedy", "up tempo", "uptempo", "racing",
                     "hurried", "breakneck", "schnell", "rapido", "rapida", "rapide", "vite", "vif", "veloce", "rasch", "lebhaft", "zugig", "fast paced"), _FAST),
    **dict.fromkeys(("slow", "sluggish", "unhurried", "leisurely", "crawling", "langsam", "lent", "lente", "lenta", "vagaroso", "slow paced", "down tempo",
                     "downtempo", "ballad", "dragging"), _SLOW),
    **dict.fromkeys(("medium", "moderate", "modere", "moderado", "massig", "gemassigt", "mittelschnell", "mid tempo", "midtempo", "moderately paced", "walking", "medium paced"), _MEDIUM),
    **dict.fromkeys(("upbeat", "lively", "spirited"), _UPBEAT),
    **dict.fromkeys(("languid", "lethargic", "ponderous", "plodding", "glacial"), _SLOW),
    **dict.fromkeys(("frantic", "frenetic", "hectic", "blistering", "blazing", "rushing", "galloping", "hurtling", "furious", "feverish",
                     "high speed", "hasty", "headlong", "whirlwind", "lightning", "rocketing", "sprinting"), _FAST),
    **_OF_CHARACTER,
    "brisk": (114.0, 400.0),
    **_TERMS,
}  # fmt: skip
_NAMES = "|".join(sorted(_CLASSES, key=len, reverse=True))
_THING = (
    r"(?:tempo|pace|speed|beats?|pulse|piece|song|music|tune|track|recording|waltz|march|dance|rhythm|performance|number"
    r"|groove|movement|work|excerpt|clip|one|bpm|opening|introduction|intro|passage|finale)"
)
_NAME = re.compile(rf"({_NAMES})(ly)?\b", re.IGNORECASE)
_THING_AFTER = re.compile(
    rf"(?: and [a-z]+| [a-z]+)? (?:{_THING}\b|\d+/\d+|(?:triple|duple|quadruple|common|compound) (?:time|meter|metre))",
    re.IGNORECASE,
)
_BEGINS_A_PHRASE = re.compile(
    r"(?:^|[.;:!?,] |\b(?:a|an|this|the|very|quite|rather|fairly|and|of|some|extremely) )$", re.IGNORECASE
)
_NOT_A_TEMPO = re.compile(
    r"(?:,? \w+){0,2}? (?:fade\w*|builds?\w*|attack\w*|decay\w*|releases?|vibrato|changes?|crescendo|diminuendo|decrescendo|swell\w*|harmon(?:y|ies|ic)|chords?"
    r"|notes?|runs?|fills?|strumming|burn\w*|shift\w*|rise\w*|fall\w*|increase\w*|decrease\w*|transition\w*|arpeggi\w*|growth|pulsation|part|section|bends?|slides?)\b",
    re.IGNORECASE,
)
_NOUN_AFTER = re.compile(r",? [a-z]{3,}", re.IGNORECASE)
_AFTER_A_COMMA = re.compile(
    r", (?:(?:rather|moderately|very|quite|fairly|extremely|pretty|really|so) )?$", re.IGNORECASE
)
_ENDS_THERE = re.compile(r"[,.;!]| (?:and|in|at|with|but) ", re.IGNORECASE)
_PLAYS = re.compile(
    r"\b(?:plays|played|moves|runs|proceeds|goes along|is played)(?: (?:very|rather|quite))? $", re.IGNORECASE
)
_NO_NOUN = re.compile(r",? (?:and|or|but|to|than|nor|enough|at|in|with|for|as|is|are|was|of)\b", re.IGNORECASE)
_THING_BEFORE = re.compile(
    rf"(?:\b{_THING}\b(?: (?:here|itself))? (?:is|was|feels|sounds|moves|runs|goes|seems|proceeds|remains|stays)(?: along)?"
    rf"(?: (?:not|rather|quite|very|fairly|at an?|an?|in an?|relatively|extremely|somewhat|clearly|really|pretty|too|never|no))*"
    rf"|\b(?:tempo|pace|speed|bpm):?(?: (?:very|rather|quite|fairly|extremely|moderately|somewhat))*"
    rf"|\b(?P<it>it) (?:is|moves|goes|runs|feels|plays)(?: (?:not|rather|quite|very|fairly|at an?|along))*) $",
    re.IGNORECASE,
)
THING_LETTERS = 64
"""Before a class, in which what it is said of stands."""
_GOES_ON = re.compile(r" to| at", re.IGNORECASE)
_A_TEMPO = re.compile(r"\b(?:tempo|pace|speed|bpm|pulse)\b", re.IGNORECASE)
_ALONE = frozenset((*_TERMS, "upbeat", "up tempo", "uptempo", "mid tempo", "midtempo", "down tempo", "downtempo"))
"""Classes that are said of nothing but a tempo."""
_BARE_CLASS = re.compile(rf"\b(?P<bare>{_NAMES})(?:ly)?\b", re.IGNORECASE)
_BARE_NUMBER = re.compile(rf"(?:{_HEDGE} )?(?:between )?(?<![\d.:/]){_RANGE}(?![\d/:%])", re.IGNORECASE)
_AFTER_WORDS = (
    "pm",
    "p.m",
    "beat",
    "schlage",
    "battements",
    "pulsaciones",
    "battiti",
    "quarter",
    "metronome",
    "minute",
)
_BEFORE_WORDS = (
    "tempo",
    "bpm",
    "beats per",
    "metronome",
    "pulse",
    "speed",
    "pace",
    "quarter",
    "tempus",
    "\N{QUARTER NOTE}",
    "=",
)
_FEEL_WORDS = ("half", "double")
_CLASS_WORDS = frozenset(word for name in _CLASSES for word in (name.split()[0], f"{name.split()[0]}ly"))
_FEEL = re.compile(r"\b(half|double)[ -]?time\b", re.IGNORECASE)


def read_tempo(text: str) -> Iterator[SpokenClaim]:
    """Read every claim about tempo in a plain text."""
    feel = _FEEL.search(text) if holds(text, _FEEL_WORDS) else None
    taken: list[tuple[int, int]] = []
    for match, hedge in _numbers(text):
        taken.append((hedge.start(), match.end()))
        yield _of_numbers(match, text, feel, hedge)
    if not words_of(text).isdisjoint(_CLASS_WORDS):
        yield from (_of_class(*found, text) for found in _classes(text, taken))
    if feel and not taken:
        yield unmeasured("tempo", feel.group(0))
    if holds(text, _OF_BEATS):
        yield from _decades(text)


DECADE_LETTERS = 30
"""Before `the eighties`, in which `tempo` or `BPM` stands."""
_OF_BEATS = ("bpm", "tempo", "beats", "metronome", "pulse")
_TENS = {"fifties": 50, "sixties": 60, "seventies": 70, "eighties": 80, "nineties": 90}
_DECADE = re.compile(
    rf"\b(?:in the |the )?(?:(?P<where>low|lower|mid|middle|upper|high)[ -])?(?:(?P<figure>(?:[5-9]|1\d)0)s|(?P<word>{'|'.join(_TENS)}))\b",
    re.IGNORECASE,
)
_PARTS_OF_TEN = {
    "": (0, 10),
    "low": (0, 4),
    "lower": (0, 4),
    "mid": (3, 7),
    "middle": (3, 7),
    "upper": (6, 10),
    "high": (6, 10),
}


def _decades(text: str, is_answer: bool = False) -> Iterator[SpokenClaim]:
    """Read tempi by tens: `in the mid seventies`."""
    for match in _DECADE.finditer(text):
        near = text[max(0, match.start() - DECADE_LETTERS) : match.end() + len(" beats per")]
        if not is_answer and not holds(near, _OF_BEATS):
            continue  # `the pop of the 80s`
        tens = float(match["figure"] or _TENS[(match["word"] or "").lower()])
        low, high = (tens + part for part in _PARTS_OF_TEN[(match["where"] or "").lower()])
        yield SpokenClaim("tempo", match[0], _between(low, high), is_denied(text, *match.span()))


def _between(low: float, high: float) -> Callable[[Facts], Held]:
    def test(facts: Facts) -> Held:
        if facts.tempo is None:
            return NOT_MEASURED
        bpm = facts.tempo.bpm
        return low - BPM_TOLERANCE <= bpm <= high + BPM_TOLERANCE, f"{bpm:.1f} BPM measured"

    return test


def tempi_in(text: str) -> list[float]:
    """Give the tempi (BPM) that a text states in figures; of a range its middle, of `over 120 BPM` and denials none."""
    read = plain(text)
    return [
        (_figure(match["low"]) + _figure(match["high"] or match["low"])) / 2
        for match, hedge in _numbers(read)
        if not (hedge["over"] or hedge["under"] or is_denied(read, hedge.start(), match.end()))
    ]


def _figure(written: str) -> float:
    return float(written.replace(",", "."))


def _numbers(text: str) -> Iterator[tuple[re.Match[str], re.Match[str]]]:
    """Give (match of the figures, match that holds `about` or `over`) of every tempo in figures."""
    if not has_digit(text):
        return
    taken: list[tuple[int, int]] = []
    for match in _AFTER.finditer(text) if holds(text, _AFTER_WORDS) else ():
        hedge = _HEDGED.search(text, max(0, match.start() - HEDGE_LETTERS), match.start())
        assert hedge is not None, "an empty hedge matches everywhere"
        taken.append((hedge.start(), match.end()))
        yield match, hedge
    for match in _BEFORE.finditer(text) if holds(text, _BEFORE_WORDS) else ():
        if not any(a < match.end() and match.start() < b for a, b in taken):
            taken.append(match.span())
            yield match, match


def answer_tempo(text: str) -> Iterator[SpokenClaim]:
    """Read the answer to a question about tempo: a bare number or class is a claim there."""
    found = list(read_tempo(text)) or list(_decades(text, is_answer=True))
    if has_digit(text) and not any(has_digit(claim.said) for claim in found):
        found = [*found, *(_of_numbers(m, text, None, m) for m in _BARE_NUMBER.finditer(text))]
    if not found:
        found = [_of_numbers(m, text, None, m) for m in _BARE_NUMBER.finditer(text)]
        found += [_of_class(m["bare"], m.start(), *m.span(), text) for m in _BARE_CLASS.finditer(text)]
    yield from found


def _classes(text: str, taken: list[tuple[int, int]]) -> Iterator[tuple[str, int, int, int]]:
    """Give (class, its place, start and end of the words that say it) for every class that is said of a tempo."""
    end = 0
    for word in WORD.finditer(text):
        name = _NAME.match(text, word.start()) if word[0].lower() in _CLASS_WORDS and word.start() >= end else None
        if name is None:
            continue
        before = _THING_BEFORE.search(text, max(0, name.start() - THING_LETTERS), name.start())
        if before is not None and before["it"] and _GOES_ON.match(text, name.end()):
            before = None
        after = None if before or name[2] else _THING_AFTER.match(text, name.end())
        if before is None and after is None and name[1].lower() not in _ALONE and not _is_of_a_noun(name, text):
            continue
        start, end = before.start() if before else name.start(), after.end() if after else name.end()
        if name[1].lower() in _OF_CHARACTER and not _A_TEMPO.search(text, start, end):
            continue
        if not any(a < end and start < b for a, b in taken):
            yield name[1], name.start(), start, end


def _is_of_a_noun(name: re.Match[str], text: str) -> bool:
    """Whether a class begins a noun phrase, as in `slow jazz`: what is slow there is the music."""
    if name[2]:
        return _PLAYS.search(text, max(0, name.start() - 20), name.start()) is not None
    if name[1].lower() not in _SAID_OF_MUSIC:
        return False
    if _AFTER_A_COMMA.search(text, max(0, name.start() - 20), name.start()) and _ENDS_THERE.match(text, name.end()):
        return True
    return (
        _BEGINS_A_PHRASE.search(text, max(0, name.start() - 12), name.start()) is not None
        and _NOUN_AFTER.match(text, name.end()) is not None
        and _NO_NOUN.match(text, name.end()) is None
        and _NOT_A_TEMPO.match(text, name.end()) is None
    )


_SAID_OF_MUSIC = frozenset(
    (
        "fast",
        "slow",
        "quick",
        "brisk",
        "rapid",
        "sluggish",
        "unhurried",
        "leisurely",
        "languid",
        "slow paced",
        "fast paced",
        "breakneck",
    )
)


def _of_numbers(match: re.Match[str], text: str, feel: re.Match[str] | None, hedge: re.Match[str]) -> SpokenClaim:
    low = _figure(match["low"])
    high = _figure(match["high"]) if match["high"] else low
    about, over, under = hedge["about"], hedge["over"], hedge["under"]
    start, end = hedge.start(), match.end()
    # `140 BPM in half time` may be the double of what is counted
    factor = {"half": 2.0, "double": 0.5}[feel.group(1).lower()] if feel else 1.0

    def test(facts: Facts) -> Held:
        if facts.tempo is None:
            return NOT_MEASURED
        bpm, fact = facts.tempo.bpm, f"{facts.tempo.bpm:.1f} BPM measured"
        if facts.tempo.also_bpm and abs(low / facts.tempo.also_bpm - 1) < abs(low / bpm - 1):
            bpm = facts.tempo.also_bpm
        if over:
            return bpm > low - BPM_TOLERANCE, fact
        if under:
            return bpm < low + BPM_TOLERANCE, fact
        if side := _SIDES.match(about or ""):
            below, above = (ONE_SIDE, 0.0) if side["under"] else (0.0, ONE_SIDE)
            return low * (1 - below) - BPM_TOLERANCE <= bpm <= high * (1 + above) + BPM_TOLERANCE, fact
        room = max(BPM_TOLERANCE, TEMPO_TOLERANCE * bpm) if about else BPM_TOLERANCE
        levels = {1.0, factor}
        return any(low * k - room <= bpm <= high * k + room for k in levels), fact

    # `neither fast nor slow, about 104 BPM`: a figure after a comma is a statement of its own
    denied = is_denied(text, start, end) and not text[:start].endswith(", ")
    return SpokenClaim("tempo", text[start:end], test, denied)


def _of_class(name: str, place: int, start: int, end: int, text: str) -> SpokenClaim:
    low, high = _CLASSES[name.lower()]

    def test(facts: Facts) -> Held:
        if facts.tempo is None:
            return NOT_MEASURED
        bpm, also = facts.tempo.bpm, facts.tempo.also_bpm
        inside = [low * (1 - BORDER) <= level <= high * (1 + BORDER) for level in (bpm, also) if level]
        if len(set(inside)) > 1:
            return NOT_MEASURED  # fast at one level, slow at the other
        return inside[0], f"{bpm:.1f} BPM measured"

    return SpokenClaim("tempo", text[start:end], test, is_denied(text, place, end))
