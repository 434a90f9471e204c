"""Claims about chords: by symbol and in words, first and last, on a degree of the key, progressions."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from music_flamingo.records import Facts
from music_flamingo.scoring.chords import parse_chord
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim, unmeasured
from music_flamingo.scoring.claims.chord_lists import read_list, read_lists
from music_flamingo.scoring.claims.chord_places import (
    CHORD_AT,
    IN_PART,
    Place,
    heard_triads,
    meant,
    place_in,
)
from music_flamingo.scoring.claims.gates import holds, words_of
from music_flamingo.scoring.claims.keys import key_of
from music_flamingo.scoring.claims.parts import PART_WORDS, PartName
from music_flamingo.scoring.claims.wording import is_denied

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
_AN_ARTICLE = re.compile(r"(?:^|[.!?:] )\W*$")
_BARE = re.compile(rf"{_ROOT}[ -]?({_KIND})?(?![\w#'])")
_OF_A_KEY = re.compile(r"\b(?:key|tonality|tonic)\b[^.;,]*$", re.IGNORECASE)
DEGREES_NAMED = {"tonic": 0, "supertonic": 2, "mediant": 4, "subdominant": 5, "dominant": 7, "submediant": 9}
_ON_A_DEGREE = re.compile(
    r"\b(?:opens?|begins?|starts?|ends?|closes?|finish(?:es)?|concludes?|rests?|(?:last|final|first|opening|closing) (?:chord|harmony)(?: is)?)(?: \w+)?"
    rf" (?:on|with|at|in|is)?(?: ?(?:the|its|a))* (?P<degree>{'|'.join(DEGREES_NAMED)})(?! (?:key|note)\b)\b",
    re.IGNORECASE,
)
_EDGE_AFTER = re.compile(
    r" (?:(?:(?P<first>opens|begins|starts)|ends|closes|concludes|finishes) (?:the|this|it)\b|(?:is|comes|sounds|stands)(?: heard| played| sounded)? (?:(?P<first2>first)|last)\b)|,? (?:and |which |so )?(?:it )?(?:is|was) (?:also )?the (?:(?P<first3>first|opening)|last|final|closing) (?:chord|harmony|triad)\b",
    re.IGNORECASE,
)
_CHORD_THEN = re.compile(
    r"\b(?P<asked>[A-G](?:[#b]| sharp| flat)? ?(?:major|minor)) (?P<how>is followed by|gives way to|precedes|leads to|goes to|moves to|resolves to|comes before|follows|comes after|after) (?P<said>(?:an? )?[A-G](?:[#b]| sharp| flat)? ?(?:major|minor))"
)
_THEN_WORDS = (
    "followed by",
    "gives way",
    "precedes",
    "leads to",
    "goes to",
    "moves to",
    "resolves to",
    "before",
    "follows",
    "after",
)
_CHORD_BESIDE = re.compile(
    r"\b(?:chord|harmony) (?P<asked>(?:right |directly |immediately )?(?:after|before|following|preceding) (?:the )?[A-G][\w# ]{0,10}?) is (?P<said>(?:an? )?[A-G][\w# ]*)"
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
            if (
                match[1] == "A"
                and not match[2]
                and not match[3]
                and (pattern is _NAMED or _AN_ARTICLE.search(text, 0, match.start()))
            ):
                continue  # `ends on A gentle note`, `A chord progression`
            if match.start(1) not in taken:
                taken.add(match.start(1))
                yield _chord(match, text, place)
    if place is None and _ANY_ROOT.search(text):
        yield from read_lists(text, taken)
    for match in _CHORD_THEN.finditer(text) if holds(text, _THEN_WORDS) else ():
        side = "before" if match["how"].endswith(("follows", "after")) else "after"
        yield from answer_neighbour(f"{side} {match['asked']}", match["said"])
    for match in _CHORD_BESIDE.finditer(text) if names_chords else ():
        yield from (replace(c, beside=match[0]) for c in answer_neighbour(match["asked"], match["said"]))
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
    if place is None and (listed := list(read_list(text))):
        yield from listed
        return
    found = list(read_chords(text, place))
    yield from found or (_chord(match, text, place) for match in _BARE.finditer(text))


_NEXT_TO = re.compile(
    r"\b(?:(?P<between>between)|(?P<after>after|follows?|following|leads? (?:\w+ )?to (?!the|an?\b)[A-G]\b)|(?P<before>before|precedes?|preceding|leads? (?:back )?(?:in)?to))\b",
    re.IGNORECASE,
)


def answer_neighbour(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read the chord that a question asks for by its neighbours: before, after, between."""
    asked, answered = triads_in(re.sub(r"\bA (?=chord)", "", question)), triads_in(text)
    word = _NEXT_TO.search(question)
    if word is None or not asked or not answered or CHORD_AT.search(question):
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


_CLAUSE = re.compile(r"[.;!?]\s")
_NTH_IS = re.compile(
    r"\b(?:first|opening|initial|last|final|closing|second|third|fourth|fifth) (?:chord|harmony|triad)\b[^.;,]{0,24}\b(?:is|was|being) (?:an? |the )?$",
    re.IGNORECASE,
)


_BEGINS_WITH_EDGE = re.compile(r"(?:opens?|begins?|starts?|ends?|closes?|finishes|rests?)\b", re.IGNORECASE)


def pattern_has_edge(said: str) -> bool:
    """Tell whether the words of a chord say themselves that it is the first or the last: `ends on D`."""
    return _BEGINS_WITH_EDGE.match(said) is not None


def _chord(match: re.Match[str], text: str, place: Place = None) -> SpokenClaim:
    accidental = {"sharp": "#", "flat": "b"}.get(match[2] or "", match[2] or "")
    wanted = parse_chord(f"{match[1]}{accidental}{_KINDS.get(match[3] or '', match[3] or '')}")
    # `F# minor chords`, `an Eb chord` are triads; a bare `B-flat` leaves open which
    is_triad = bool(match[3]) or "chord" not in match[0].lower()
    beside = ""
    if place is None and (edge := _EDGE_AFTER.match(text, match.end())) is not None:
        beside = edge[0]
        place = 0 if edge["first"] or edge["first2"] or edge["first3"] else -1
    if place is None:
        near = _CLAUSE.split(text[max(0, match.start() - 25) : match.start()])[-1]
        nth = _NTH_IS.search(text, max(0, match.start() - 45), match.start())
        place = (
            place_in(match[0])
            if nth is None and pattern_has_edge(match[0])
            else place_in((nth[0] if nth else near) + match[0])
        )
        beside = (nth[0] if nth else near) if place is not None else ""
    if place is None and holds(text, PART_WORDS):
        part = IN_PART.search(text, max(0, match.start() - 45), match.start())
        place = PartName.of(part.groupdict()) if part else None
        beside = part[0] if part else ""

    def test(facts: Facts) -> Held:
        heard = heard_triads(facts)
        if facts.chords is None or wanted is None:
            return NOT_MEASURED
        named = ", ".join(dict.fromkeys(s.label for s in facts.chords.segments))
        chosen = meant(place, facts, heard)
        if chosen is None:
            return wanted in {
                parse_chord(s.label) for s in facts.chords.segments if s.label not in "NX"
            }, f"{named} measured"
        fits = any(wanted == chord or (not is_triad and wanted[0] == chord[0]) for chord in chosen)
        return fits, f"{named} measured in this order"

    return SpokenClaim("chords", match[0], test, is_denied(text, *match.span()), beside=beside)


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
        chosen = meant(place, facts, heard) or heard
        roots = {(root - key[0]) % 12 for root, _ in chosen}
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
