"""Claims about chords: by symbol and in words, first and last, on a degree of the key, progressions."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Literal

from music_flamingo.records import Facts, Segment
from music_flamingo.scoring.chords import parse_chord
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim, unmeasured
from music_flamingo.scoring.claims.clock import EXACT, FRACTION, TIME, Moment, may_hold_time, moment_of
from music_flamingo.scoring.claims.gates import holds, words_of
from music_flamingo.scoring.claims.keys import key_of
from music_flamingo.scoring.claims.parts import PART_WORDS, PartName, a_part
from music_flamingo.scoring.claims.wording import ORDINALS, is_denied

Place = Moment | PartName | int | Literal["longest"] | None
"""Which chord is meant: 0 for the first, -1 for the last, 2 for the third; the one at a time; None is any."""
SHORTEST_CHORD_S = 0.25
PLACE_ROOM_S = 0.3
"""Beyond its borders, in which a chord still counts as sounding at a time."""
_CHORD_AT = re.compile(
    rf"\b(?:at|after|around|about) (?:(?:about|around|roughly|the) )*(?:{TIME}|(?P<plain>\d+(?:\.\d+)?)\b)",
    re.IGNORECASE,
)
_CHORD_IN = re.compile(rf"\b(?:(?:{EXACT})(?= (?:in\b|into\b|mark\b))|{FRACTION})", re.IGNORECASE)
_KINDS = {
    "major seventh": "maj7", "minor seventh": "m7", "dominant seventh": "7", "diminished": "dim", "augmented": "aug",
    "major": "", "minor": "m",
}  # fmt: skip
_KIND = r"major seventh|minor seventh|dominant seventh|diminished|augmented|major|minor|maj7|min7|m7b5|dim7|maj|min|m7|m6|dim|aug|sus[24]?|m|7|6"
_ROOT = r"(?<![\w'#/])([A-G])[ -]?(#|b(?![a-z])|sharp|flat)?"
_WORDED = re.compile(rf"{_ROOT}[ -]?(?:({_KIND})[ -]?)?(?:chord|triad|harmony|sonority|seventh chord)s?\b")
_SYMBOL = re.compile(
    r"(?<![\w#/])(?!Em (?:que|qual|um|uma|tom)\b|Am I\b)([A-G])([b#])?(m7b5|maj7|dim7|min7|m7|m6|dim|aug|sus[24]?|m|7)(?![\w#])()"
)
_NAMED = re.compile(
    rf"\b(?:(?i:chords?|triads?|harmon(?:y|ies))|opens?|begins?|starts?|ends?|closes?|finishes|rests?)(?: (?:heard|used|first|last|is|are|on|with|upon|a|an|the|of|chord))* {_ROOT}[ -]?({_KIND})?(?![\w#'])(?! (?:section|part))"
)
_BARE = re.compile(rf"{_ROOT}[ -]?({_KIND})?(?![\w#'])")
_OF_A_KEY = re.compile(r"\b(?:key|tonality|tonic)\b[^.;,]*$", re.IGNORECASE)
_PLACE = re.compile(
    r"\b(first|opens?|opening|begins?|starts?|last|ends?|stops?|ending|closes?|closing|final|finishes|concludes?|concluding|finishing)\b",
    re.IGNORECASE,
)
_IN_PART = re.compile(
    rf"\b(?:in|during|throughout|for|fills?|under|over|occupies|covers|of|does) (?:the |its |this )?{a_part()}\b",
    re.IGNORECASE,
)
_LONGEST = re.compile(
    r"\b(?:for the longest|longest|most (?:of the time|often|frequent\w*|common)|dominates|predominat\w*)\b",
    re.IGNORECASE,
)
DEGREES_NAMED = {"tonic": 0, "supertonic": 2, "mediant": 4, "subdominant": 5, "dominant": 7, "submediant": 9}
_ON_A_DEGREE = re.compile(
    r"\b(?:opens?|begins?|starts?|ends?|closes?|finish(?:es)?|concludes?|rests?|(?:last|final|first|opening|closing) (?:chord|harmony)(?: is)?)(?: \w+)?"
    rf" (?:on|with|at|in|is)?(?: ?(?:the|its|a))* (?P<degree>{'|'.join(DEGREES_NAMED)})(?! (?:key|note)\b)\b",
    re.IGNORECASE,
)
_EDGE_AFTER = re.compile(
    r" (?:(?P<first>opens|begins|starts)|ends|closes|concludes|finishes) (?:the|this|it)\b", re.IGNORECASE
)
_SEVERAL = re.compile(r"\b(?:first|last|opening|closing|final) (?:\d|few|several|pair)", re.IGNORECASE)
_NEIGHBOUR = re.compile(r"\b(?:follow\w*|after|before|next|preced\w*|leads? (?:in)?to)\b", re.IGNORECASE)
_NTH_CHORD = re.compile(
    r"\b(second|third|fourth|fifth|sixth|seventh|eighth) (?:different )?(?:chord|harmony|triad)\b|\bcomes (second|third|fourth|fifth)\b",
    re.IGNORECASE,
)
_NUMERALS = re.compile(
    r"(?<![\w])((?:b|#)?(?:VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)[°ø7]*(?:(?:[ -]+|, | to )(?:b|#)?(?:VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)[°ø7]*){2,})(?!\w)"
)
_PATTERN = re.compile(
    r"\b(?:12 bar blues|circle of fifths|andalusian cadence|blues progression|(?:deceptive|plagal|half|authentic|perfect) cadence|modulat(?:es|ion) to)\b",
    re.IGNORECASE,
)
_CHORD_WORDS = frozenset(
    ("sonority", "sonorities", "chord", "chords", "triad", "triads", "harmony", "harmonies", "harmonys")
)
_PLACE_WORDS = frozenset(
    (
        "opens",
        "open",
        "begins",
        "begin",
        "starts",
        "start",
        "ends",
        "end",
        "closes",
        "close",
        "finishes",
        "rests",
        "rest",
    )
)
_NUMERAL_WORDS = frozenset(
    f"{flat}{numeral}{seventh}"
    for flat in ("", "b")
    for numeral in ("i", "ii", "iii", "iv", "v", "vi", "vii")
    for seventh in ("", "7", "\N{LATIN SMALL LETTER O WITH STROKE}", "\N{LATIN SMALL LETTER O WITH STROKE}7")
)
_PATTERN_WORDS = ("bar blues", "circle of", "andalusian", "progression", "cadence", "modulat")
_ANY_ROOT = re.compile("[A-G]")
_DEGREES = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}


def read_chords(text: str, place: Place = None) -> Iterator[SpokenClaim]:
    """Read every claim about chords in a plain text; `place`: which chord a question asks for."""
    taken: set[int] = set()
    words = words_of(text)
    names_chords = not words.isdisjoint(_CHORD_WORDS)
    tried = {_WORDED: names_chords, _SYMBOL: True, _NAMED: names_chords or not words.isdisjoint(_PLACE_WORDS)}
    for pattern in (p for p, may in tried.items() if may and _ANY_ROOT.search(text)):
        for match in pattern.finditer(text):
            if pattern is not _WORDED and _OF_A_KEY.search(text, max(0, match.start() - 24), match.start()):
                continue
            if match[1] in "A" and not match[2] and not match[3] and pattern is _NAMED:
                continue  # `ends on A gentle note`
            if match.start(1) not in taken:
                taken.add(match.start(1))
                yield _chord(match, text, place)
    for match in _ON_A_DEGREE.finditer(text) if holds(text, DEGREES_NAMED) else ():
        edge = place_in(match[0])
        yield _degree_claim(match, text, match["degree"], edge)
    for match in _NUMERALS.finditer(text) if not words.isdisjoint(_NUMERAL_WORDS) else ():
        yield _progression(match, text)
    for match in _PATTERN.finditer(text) if holds(text, _PATTERN_WORDS) else ():
        if "cadence" not in match[0].lower() or "andalusian" in match[0].lower():
            yield unmeasured("chords", match[0], is_denied(text, *match.span()))


def answer_chord(text: str, place: Place = None) -> Iterator[SpokenClaim]:
    """Read the answer to a question about a chord: a bare letter is a chord there, and the question says which."""
    found = list(read_chords(text, place))
    yield from found or (_chord(match, text, place) for match in _BARE.finditer(text))


_NEXT_TO = re.compile(
    r"\b(?:(?P<between>between)|(?P<after>after|follows?|following|leads? (?:\w+ )?to (?!the|an?\b)[A-G]\b)|(?P<before>before|precedes?|preceding|leads? (?:back )?(?:in)?to))\b",
    re.IGNORECASE,
)


def answer_neighbour(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read the chord that a question asks for by the chords beside it: before, after, between."""
    asked, answered = triads_in(re.sub(r"\bA (?=chord)", "", question)), triads_in(text)
    word = _NEXT_TO.search(question)
    if word is None or not asked or not answered or _CHORD_AT.search(question):
        return

    def test(facts: Facts) -> Held:
        heard = [None, *heard_triads(facts), None]
        if facts.chords is None:
            return NOT_MEASURED
        for k in range(1, len(heard) - 1):
            before, after = heard[k - 1] in asked, heard[k + 1] in asked
            fits = (before and after) if word["between"] else before if word["after"] else after
            if heard[k] in answered and fits:
                return True, "such chords measured"
        return False, f"{', '.join(s.label for s in facts.chords.segments[:8])} measured in this order"

    yield SpokenClaim("chords", text, test)


_DEGREE_ASKED = re.compile(rf"\b(?P<degree>{'|'.join(DEGREES_NAMED)})\b", re.IGNORECASE)


def degree_in(text: str) -> str | None:
    """Give the degree of a key that a text names: `tonic`, `dominant`."""
    found = _DEGREE_ASKED.search(text) if holds(text, DEGREES_NAMED) else None
    return found["degree"].lower() if found else None


def on_degree(degree: str, facts: Facts) -> list[tuple[int, str]]:
    """Give the triads heard that stand on a degree of the measured key."""
    key = key_of(facts)
    return [c for c in heard_triads(facts) if key and (c[0] - key[0]) % 12 == DEGREES_NAMED[degree]]


def answer_degree(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read the answer to a question which chord stands on a degree of the key."""
    degree = _DEGREE_ASKED.search(question) if holds(question, DEGREES_NAMED) else None
    named = re.search(rf"{_BARE.pattern}.*", text)
    if degree is not None and named is not None:
        yield degree_claim(named, text, degree["degree"])


def heard_triads(facts: Facts) -> list[tuple[int, str]]:
    """Give the triads that sound, one after another, without passing ones; runs of one triad as one."""
    segments = facts.chords.segments if facts.chords else []
    triads = [
        parse_chord(s.label.partition("(")[0])
        for s in segments
        if s.end_s - s.start_s >= SHORTEST_CHORD_S and s.label not in "NX"
    ]
    return [chord for chord, _ in groupby(c for c in triads if c)]


def place_in(words: str) -> Place:
    """Give the place that a question or the words around a chord speak of."""
    if _LONGEST.search(words):
        return "longest"
    if may_hold_time(words):
        if (time := _CHORD_AT.search(words)) is not None:
            return moment_of({**time.groupdict(), "bare": time["bare"] or time["plain"]})
        if (time := _CHORD_IN.search(words)) is not None:
            return moment_of(time.groupdict())
    if holds(words, PART_WORDS) and (part := _IN_PART.search(words)) is not None:
        return PartName.of(part.groupdict())
    if (nth := _NTH_CHORD.search(words)) is not None:
        return ORDINALS[(nth[1] or nth[2]).lower()] - 1
    if _NEIGHBOUR.search(words) or _SEVERAL.search(words):
        return None
    found = {m.lower().startswith(("first", "open", "begin", "start")) for m in _PLACE.findall(words)}
    return None if len(found) != 1 else (0 if found.pop() else -1)


def _chord(match: re.Match[str], text: str, place: Place = None) -> SpokenClaim:
    accidental = {"sharp": "#", "flat": "b"}.get(match[2] or "", match[2] or "")
    wanted = parse_chord(f"{match[1]}{accidental}{_KINDS.get(match[3] or '', match[3] or '')}")
    # `F# minor chords`, `an Eb chord` are triads; a bare `B-flat` leaves open which
    is_triad = bool(match[3]) or "chord" not in match[0].lower()
    if place is None and (edge := _EDGE_AFTER.match(text, match.end())) is not None:
        place = 0 if edge["first"] else -1
    if place is None:
        place = place_in(text[max(0, match.start() - 25) : match.end()])
    if place is None and holds(text, PART_WORDS):
        part = _IN_PART.search(text, max(0, match.start() - 45), match.start())
        place = PartName.of(part.groupdict()) if part else None

    def test(facts: Facts) -> Held:
        heard = heard_triads(facts)
        if facts.chords is None or wanted is None:
            return NOT_MEASURED
        named = ", ".join(dict.fromkeys(s.label for s in facts.chords.segments))
        meant = _meant(place, facts, heard)
        if meant is None:
            return wanted in {
                parse_chord(s.label) for s in facts.chords.segments if s.label not in "NX"
            }, f"{named} measured"
        fits = any(wanted == chord or (not is_triad and wanted[0] == chord[0]) for chord in meant)
        return fits, f"{named} measured in this order"

    return SpokenClaim("chords", match[0], test, is_denied(text, *match.span()))


def _meant(place: Place, facts: Facts, heard: list[tuple[int, str]]) -> list[tuple[int, str]] | None:
    """Give the triads at a place; None where any may be meant. Passing chords at the edges count with them."""
    if place is None or not heard or facts.chords is None:
        return None
    if place == "longest":
        return _held_longest(facts.chords.segments)
    if isinstance(place, Moment):
        time_s = place.at(facts)
        if time_s is None:
            return None
        near = [s for s in facts.chords.segments if s.start_s - PLACE_ROOM_S <= time_s <= s.end_s + PLACE_ROOM_S]
        return [chord for s in near if (chord := parse_chord(s.label.partition("(")[0]))]
    if isinstance(place, PartName):
        spans = place.spans(facts)
        return _within(spans, facts.chords.segments) if spans and place.is_known else None
    if place in (0, -1):
        segments = [s for s in facts.chords.segments if s.label not in "NX"]
        edge = segments[place]
        edges = [edge] if edge.end_s - edge.start_s >= SHORTEST_CHORD_S else []
        raw = [chord for s in edges if (chord := parse_chord(s.label.partition("(")[0]))]
        return [*raw, heard[place]]
    return heard[place : place + 1]


def _within(spans: list[Segment], segments: list[Segment]) -> list[tuple[int, str]]:
    """Give the triads that sound for a good part of one of some spans."""
    found = []
    for s in segments:
        shared_s = max(min(s.end_s, span.end_s) - max(s.start_s, span.start_s) for span in spans)
        if shared_s >= SHORTEST_CHORD_S and (chord := parse_chord(s.label.partition("(")[0])):
            found.append(chord)
    return found


def _held_longest(segments: list[Segment]) -> list[tuple[int, str]]:
    """Give the triads that sound longest, all in all or at once."""
    total_s: dict[tuple[int, str], float] = {}
    for s in segments:
        if (chord := parse_chord(s.label.partition("(")[0])) is not None:
            total_s[chord] = total_s.get(chord, 0.0) + s.end_s - s.start_s
    once = max(segments, key=lambda s: s.end_s - s.start_s)
    longest = [chord for chord, time_s in total_s.items() if time_s >= max(total_s.values()) - 0.05]
    return [*longest, *(c for c in [parse_chord(once.label.partition("(")[0])] if c)]


def triads_in(text: str) -> list[tuple[int, str]]:
    """Give the triads that a text names, bare letters as major and as minor."""
    found = []
    for match in _BARE.finditer(text):
        if match[1] == "A" and not match[2] and not match[3] and match.start() == 0:
            continue
        accidental = {"sharp": "#", "flat": "b"}.get(match[2] or "", match[2] or "")
        kinds = [_KINDS.get(match[3], match[3])] if match[3] else ["", "m"]
        found += [c for kind in kinds if (c := parse_chord(f"{match[1]}{accidental}{kind}"))]
    return found


def _degree_claim(match: re.Match[str], text: str, degree: str, place: Place) -> SpokenClaim:
    """Claim that a chord at a place stands on a degree of the key: `it ends on the tonic`."""
    shift = DEGREES_NAMED[degree.lower()]

    def test(facts: Facts) -> Held:
        key, heard = key_of(facts), heard_triads(facts)
        if key is None or not heard or facts.chords is None:
            return NOT_MEASURED
        meant = _meant(place, facts, heard) or heard
        roots = {(root - key[0]) % 12 for root, _ in meant}
        return shift in roots, f"{', '.join(dict.fromkeys(s.label for s in facts.chords.segments))} measured"

    return SpokenClaim("chords", match[0], test, is_denied(text, *match.span()))


def degree_claim(match: re.Match[str], text: str, degree: str) -> SpokenClaim:
    """Claim that a chord named stands on a degree of the key: `F7 is the dominant`."""
    shift, triads = DEGREES_NAMED[degree.lower()], triads_in(match[0])

    def test(facts: Facts) -> Held:
        key = key_of(facts)
        if key is None or not triads:
            return NOT_MEASURED
        roots = [(root, kind) for root, kind in triads if (root - key[0]) % 12 == shift]
        fits = bool(roots) and (shift != 0 or any((kind == "min") == (key[1] == "minor") for _, kind in roots))
        return fits, f"{facts.key.label if facts.key else ''} measured"

    return SpokenClaim("chords", match[0], test, is_denied(text, *match.span()))


def _progression(match: re.Match[str], text: str) -> SpokenClaim:
    degrees = []
    for accidental, numeral in re.findall(r"([b#]?)([IViv]+)", match[1]):
        shift = {"b": -1, "#": 1, "": 0}[accidental]
        degrees.append((_DEGREES[numeral.upper()] + shift, accidental + numeral.upper()))

    def test(facts: Facts) -> Held:
        key, heard = key_of(facts), heard_triads(facts)
        if key is None or not heard:
            return NOT_MEASURED
        roots = [(root - key[0]) % 12 for root, _ in heard]
        said = [degree for (degree, _), _ in groupby(degrees)]
        # minor lowers its third, sixth and seventh degree, and writers differ in what they call raised
        room = (-1, 0, 1) if key[1] == "minor" else (0,)
        ways = [{(d + shift) % 12 for shift in (*room, -1 if d in (4, 9, 11) else 0)} for d in said]
        either = [root for root, _ in groupby(roots)]
        found = any(
            len(either) - i >= len(ways) and all(r in w for r, w in zip(either[i:], ways, strict=False))
            for i in range(len(either))
        )
        return found, "another progression measured"

    return SpokenClaim("chords", match[0], test, is_denied(text, *match.span()))
