"""Claims about chords and form: chords by symbol and in words, first and last, progressions; letters, names, counts."""

import re
from collections.abc import Iterator
from itertools import groupby

from music_flamingo.records import Facts
from music_flamingo.scoring.chords import parse_chord
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim, unmeasured
from music_flamingo.scoring.claims.gates import holds, words_of
from music_flamingo.scoring.claims.keys import key_of
from music_flamingo.scoring.claims.wording import ORDINALS, is_denied

Place = float | int | None
"""Which chord is meant: 0 for the first, -1 for the last, 2 for the third; a float is a time (s); None is any."""
SHORTEST_CHORD_S = 0.25
PLACE_ROOM_S = 0.3
"""Beyond its borders, in which a chord still counts as sounding at a time."""
_CHORD_AT = re.compile(r"\bat (?:about |around |roughly )?(\d+:\d\d|\d+(?:\.\d+)?)(?= ?s\b| ?sec|:|\b)")
_KINDS = {
    "major seventh": "maj7", "minor seventh": "m7", "dominant seventh": "7", "diminished": "dim", "augmented": "aug",
    "major": "", "minor": "m",
}  # fmt: skip
_KIND = r"major seventh|minor seventh|dominant seventh|diminished|augmented|major|minor|maj7|min7|m7b5|dim7|maj|min|m7|m6|dim|aug|sus[24]?|m|7|6"
_ROOT = r"(?<![\w'#/])([A-G])[ -]?(#|b(?![a-z])|sharp|flat)?"
_WORDED = re.compile(rf"{_ROOT}[ -]?(?:({_KIND})[ -]?)?(?:chord|triad|harmony|sonority|seventh chord)s?\b")
_SYMBOL = re.compile(r"(?<![\w#/])([A-G])([b#])?(m7b5|maj7|dim7|min7|m7|m6|dim|aug|sus[24]?|m|7)(?![\w#])()")
_NAMED = re.compile(
    rf"\b(?:(?i:chords?|triads?|harmon(?:y|ies))|opens?|begins?|starts?|ends?|closes?|finishes|rests?)(?: (?:heard|used|first|last|is|are|on|with|upon|a|an|the|of|chord))* {_ROOT}[ -]?({_KIND})?(?![\w#'])(?! (?:section|part))"
)
_BARE = re.compile(rf"{_ROOT}[ -]?({_KIND})?(?![\w#'])")
_OF_A_KEY = re.compile(r"\b(?:key|tonality|tonic)\b[^.;,]*$", re.IGNORECASE)
_PLACE = re.compile(
    r"\b(first|opens?|opening|begins?|starts?|last|ends?|ending|closes?|closing|final|finishes|concludes?|concluding|finishing)\b",
    re.IGNORECASE,
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
_LETTERS = re.compile(r"(?<![\w'])([A-E](?:[ -]?[A-E]'?){1,})(?![\w'#])(?! (?:major|minor|flat|sharp))")
_NAMED_FORM = re.compile(
    r"\b(ternary|binary|rondo|strophic|through composed|sonata|song|bar|verse chorus|aaba|32 bar) form\b|\b(rondo|strophic|through composed)\b",
    re.IGNORECASE,
)
_PART = re.compile(
    r"\b(chorus(?:es)?|verses?|bridge|refrain|pre chorus|outro|intro|coda|breakdown|middle eight)\b", re.IGNORECASE
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
_FORM_WORDS = (" form", "rondo", "strophic", "through composed")
_PART_WORDS = ("chorus", "verse", "bridge", "refrain", "outro", "intro", "coda", "breakdown", "middle eight")
_ANY_ROOT = re.compile("[A-G]")
_TWO_LETTERS = re.compile("[A-E][ -]?[A-E]")
_FORMS = {
    "ternary": "ABA",
    "binary": "AB",
    "rondo": "ABACA",
    "bar": "AAB",
    "song": "AABA",
    "aaba": "AABA",
    "32 bar": "AABA",
}
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
    for match in _NUMERALS.finditer(text) if not words.isdisjoint(_NUMERAL_WORDS) else ():
        yield _progression(match, text)
    for match in _PATTERN.finditer(text) if holds(text, _PATTERN_WORDS) else ():
        if "cadence" not in match[0].lower() or "andalusian" in match[0].lower():
            yield unmeasured("chords", match[0], is_denied(text, *match.span()))


def answer_chord(text: str, place: Place = None) -> Iterator[SpokenClaim]:
    """Read the answer to a question about a chord: a bare letter is a chord there, and the question says which."""
    found = list(read_chords(text, place))
    yield from found or (_chord(match, text, place) for match in _BARE.finditer(text))


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
    if (time := _CHORD_AT.search(words)) is not None:
        minutes, _, seconds = time[1].rpartition(":")
        return 60.0 * float(minutes or 0) + float(seconds)
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
    if place is None:
        place = place_in(text[max(0, match.start() - 25) : match.end()])

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
    if isinstance(place, float):
        near = [s for s in facts.chords.segments if s.start_s - PLACE_ROOM_S <= place <= s.end_s + PLACE_ROOM_S]
        return [chord for s in near if (chord := parse_chord(s.label.partition("(")[0]))]
    if place in (0, -1):
        segments = [s for s in facts.chords.segments if s.label not in "NX"]
        edge = segments[place]
        edges = [edge] if edge.end_s - edge.start_s >= SHORTEST_CHORD_S else []
        raw = [chord for s in edges if (chord := parse_chord(s.label.partition("(")[0]))]
        return [*raw, heard[place]]
    return heard[place : place + 1]


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


def form_of(facts: Facts) -> str:
    """Give the sections as letters in order of appearance: `ABA`; empty where nobody measured them."""
    labels = [s.label for s in facts.sections.segments] if facts.sections else []
    kinds = list(dict.fromkeys(labels))
    return "".join(chr(ord("A") + kinds.index(label)) for label in labels)


def read_form(text: str) -> Iterator[SpokenClaim]:
    """Read every claim about the form in a plain text."""
    for match in _LETTERS.finditer(text) if _TWO_LETTERS.search(text) else ():
        letters = re.sub(r"[^A-E]", "", match[1])
        if letters.startswith("A") and (len(letters) > 2 or "form" in text.lower()):
            yield _form(match, text, letters)
    for match in _NAMED_FORM.finditer(text) if holds(text, _FORM_WORDS) else ():
        yield _form(match, text, _FORMS.get((match[1] or match[2]).lower(), (match[1] or match[2]).lower()))
    for match in _PART.finditer(text) if holds(text, _PART_WORDS) else ():
        name = match[1].lower().rstrip("s")

        def test(facts: Facts, name: str = name) -> Held:
            labels = {s.label.lower() for s in facts.sections.segments} if facts.sections else set()
            return (True, f"{name} measured") if any(name[:5] in label for label in labels) else NOT_MEASURED

        yield SpokenClaim("form", match[0], test, is_denied(text, *match.span()))


def _form(match: re.Match[str], text: str, wanted: str) -> SpokenClaim:
    def test(facts: Facts) -> Held:
        form = form_of(facts)
        if not form or wanted in ("sonata", "verse chorus"):
            return NOT_MEASURED
        if wanted == "strophic":
            return len(form) > 1 and len(set(form)) == 1, f"{form} measured"
        if wanted == "through composed":
            return len(form) > 2 and len(set(form)) == len(form), f"{form} measured"
        return form == wanted, f"{form} measured"

    return SpokenClaim("form", match[0], test, is_denied(text, *match.span()))
