"""Claims about degrees of the key: `the IV chord, C major`, `the dominant is D`, `A is the dominant of D`."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.chord_places import heard_triads
from music_flamingo.scoring.claims.gates import holds, words_of
from music_flamingo.scoring.claims.keys import key_label, key_of
from music_flamingo.scoring.claims.wording import is_denied
from music_flamingo.scoring.normalise import PITCH_CLASSES

_NAMED = {
    "tonic": (0,),
    "supertonic": (2,),
    "mediant": (3, 4),
    "subdominant": (5,),
    "dominant": (7,),
    "submediant": (8, 9),
    "leading tone": (11,),
    "subtonic": (10,),
}
_NUMERALS = {"i": (0,), "ii": (2,), "iii": (3, 4), "iv": (5,), "v": (7,), "vi": (8, 9), "vii": (10, 11)}
_WIDE = {3: "minor", 4: "major", 8: "minor", 9: "major", 10: "minor", 11: "major"}
"""Semitones above the tonic of degrees that minor lowers -> the mode in which they stand there."""
_NOTE = r"(?<![\w#/'])(?P<{n}>[A-G])[ -]?(?P<{n}_shift>#|b(?![a-z])|sharp\b|flat\b)?(?:[ -]?(?:major|minor|maj|min|m)?7?(?![\w#]))"
_NUMERAL = r"(?-i:[b#]?(?:VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i))"
_ANY_DEGREE = rf"(?P<{{n}}>{'|'.join(_NAMED)}|{_NUMERAL})"
_DEGREE = (
    rf"(?P<{{n}}>{'|'.join(_NAMED)}|{_NUMERAL}(?= chord| triad| harmony| degree| of the (?:key|scale)| of this key))"
)
_ROLE = r"(?: (?:chord|triad|harmony|degree|note))?"
_OF_KEY = r"(?: (?:of|in) (?:the|this|its) (?:piece's |song's |home )?(?:key|piece|song|music|tonality|track|recording|excerpt)| here)?"
_IS = r"(?:,? (?:which |that )?(?:is|are|was|being|would be|serves as|acts as|functions as|works as|as)|,(?= (?:[A-G]|the\b|a\b|its\b)[^,.;]{0,20}(?:[,.;]|$))|:| \()"
_DEGREE_IS = re.compile(
    rf"(?<!from )(?<!than )(?<!to )(?<!after )(?<!before )(?<!with )(?<!except )(?<!leave )(?<!leaves )\b(?:the|its|a) (?:minor |major )?{_DEGREE.format(n='degree')}{_ROLE}{_OF_KEY}{_IS} (?:an? |the )?{_NOTE.format(n='root')}",
    re.IGNORECASE,
)
_IS_DEGREE = re.compile(
    rf"{_NOTE.format(n='root')}(?: chord| triad)?{_IS} (?:the|its|a) {_DEGREE.format(n='degree')}\b(?! (?:minor|major) of)(?! of [A-G])(?! key)",
    re.IGNORECASE,
)
_OF_A_NOTE = re.compile(
    rf"\b(?:the|a|its) (?P<degree>{'|'.join(_NAMED)}) of {_NOTE.format(n='tonic')}{_IS} (?:an? |the )?{_NOTE.format(n='root')}"
    rf"|{_NOTE.format(n='root2')}{_IS} (?:the|a|its) (?P<degree2>{'|'.join(_NAMED)}) of {_NOTE.format(n='tonic2')}",
    re.IGNORECASE,
)
_ROW_WORDS = r"(?: chord)?(?P<how>,? (?:is |are )?(?:then |directly |immediately )?(?:followed by|moves to|goes to|leads to|resolves to|gives way to|precedes|follows|comes after|comes before|comes from|proceeds to|to))"
_ONE_THEN = re.compile(
    rf"\b(?:the )?{_ANY_DEGREE.format(n='one')}{_ROW_WORDS} (?:the |its )?{_ANY_DEGREE.format(n='other')}\b(?! (?:minor|major) of)",
    re.IGNORECASE,
)
_ROLE_OF = re.compile(
    rf"\b(?:scale degree|degree|function|role|roman numeral|numeral) of (?:the )?{_NOTE.format(n='root')}[^.;]{{0,24}} is (?:the |an? |that of (?:the )?)?(?P<degree>{'|'.join(_NAMED)}|(?-i:[b#]?(?:VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i))\b)",
    re.IGNORECASE,
)
_ROW_OF_DEGREES = re.compile(
    rf"(?P<chords>(?:[A-G][\w# ]{{0,9}}, )*[A-G][\w# ]{{0,9}},? and [A-G][\w# ]{{0,9}}?)(?: chords)? (?:are|serve as|act as|function as|form|being)(?: \w+ly)? (?P<degrees>(?:(?:the |its )?(?:{'|'.join(_NAMED)}|{_NUMERAL}),? (?:and )?)+(?:the |its )?(?:{'|'.join(_NAMED)}|{_NUMERAL}))(?!\w)",
)
_A_NOTE = re.compile(_NOTE.format(n="root"))
_A_DEGREE = re.compile(rf"(?<!\w)(?:{'|'.join(_NAMED)}|{_NUMERAL})(?!\w)")
_ORDINALS = {
    "first": "i",
    "second": "ii",
    "third": "iii",
    "fourth": "iv",
    "fifth": "v",
    "sixth": "vi",
    "seventh": "vii",
}
_NTH_IS = re.compile(
    rf"\b(?:the )?(?P<nth>{'|'.join(_ORDINALS)}) (?:scale )?(?:degree|step|note|tone)(?: of (?:the|this|its) (?:\w+ )?(?:scale|key)[^.;]{{0,20}})? is (?:an? |the )?{_NOTE.format(n='root')}",
    re.IGNORECASE,
)
_WORDS = (*_NAMED, "chord", "triad", "harmony", "degree")


def read_degrees(text: str) -> Iterator[SpokenClaim]:
    """Read which chord or note stands on a degree of the key, or of a note that is named."""
    for match in _NTH_IS.finditer(text) if holds(text, ("degree", "step", " note ", " tone ")) else ():
        degree = _ORDINALS[match["nth"].lower()]
        test = on_degree_of_key(degree, _pitch(match["root"], match["root_shift"]))
        yield SpokenClaim("key", match[0], test, is_denied(text, *match.span()))
    if not holds(text, _NAMED) and words_of(text).isdisjoint(_NUMERALS):
        return
    for match in _ROLE_OF.finditer(text):
        test = on_degree_of_key(match["degree"], _pitch(match["root"], match["root_shift"]))
        yield SpokenClaim("key", match[0], test, is_denied(text, *match.span()))
    for match in _OF_A_NOTE.finditer(text) if holds(text, _NAMED) else ():
        groups = {name.replace("2", ""): said for name, said in match.groupdict().items() if said}
        yield SpokenClaim("key", match[0], _stands_above(groups), is_denied(text, *match.span()))
    for match in _ONE_THEN.finditer(text):
        degrees = [degree_semitones(match["one"]), degree_semitones(match["other"])]
        if match["how"].strip(" ,").lower().split()[-1] in ("follows", "after", "from"):
            degrees.reverse()
        yield SpokenClaim("chords", match[0], _in_row(degrees), is_denied(text, *match.span()))
    rows = list(_ROW_OF_DEGREES.finditer(text))
    for match in rows:
        notes = [_pitch(m["root"], m["root_shift"]) for m in _A_NOTE.finditer(match["chords"])]
        degrees_said = _A_DEGREE.findall(match["degrees"])
        if len(notes) == len(degrees_said):
            for degree, root in zip(degrees_said, notes, strict=True):
                yield SpokenClaim("key", match[0], on_degree_of_key(degree, root), is_denied(text, *match.span()))
    for pattern in (_DEGREE_IS, _IS_DEGREE):
        for match in pattern.finditer(text):
            if any(row.start() <= match.start() < row.end() for row in rows):
                continue
            root = _pitch(match["root"], match["root_shift"])
            yield SpokenClaim("key", match[0], on_degree_of_key(match["degree"], root), is_denied(text, *match.span()))


def _pitch(letter: str, accidental: str | None) -> int:
    shift = {"#": 1, "sharp": 1, "b": -1, "flat": -1}.get((accidental or "").lower(), 0)
    return (PITCH_CLASSES[letter.lower()] + shift) % 12


def degree_semitones(degree: str) -> tuple[int, ...]:
    """Give the semitones above the tonic of a degree by its name or numeral; several where minor lowers it."""
    name = degree.lower()
    if name in _NAMED:
        return _NAMED[name]
    shift = {"b": -1, "#": 1}.get(name[0], 0)
    return tuple(above + shift for above in _NUMERALS[name.lstrip("b#")])


def answer_numeral(text: str) -> Iterator[SpokenClaim]:
    """Read an answer that is nothing but a roman numeral: a chord on that degree is heard."""
    match = re.fullmatch(r"[^\w#]*(?P<degree>[b#]?(?:VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i))\W*", text)
    if match is None:
        return
    wanted = degree_semitones(match["degree"])

    def test(facts: Facts) -> Held:
        key, heard = key_of(facts), heard_triads(facts)
        if key is None or not heard:
            return NOT_MEASURED
        return any((root - key[0]) % 12 in wanted for root, _ in heard), f"{key_label(facts)} measured"

    yield SpokenClaim("chords", match["degree"], test, is_guess=True)


def _in_row(degrees: list[tuple[int, ...]]) -> Callable[[Facts], Held]:
    """Whether chords on two degrees of the key are heard one directly after the other."""

    def test(facts: Facts) -> Held:
        key, heard = key_of(facts), heard_triads(facts)
        if key is None or not heard:
            return NOT_MEASURED
        above = [(root - key[0]) % 12 for root, _ in heard]
        fits = any(a in degrees[0] and b in degrees[1] for a, b in pairwise(above))
        return fits, f"{', '.join(s.label for s in facts.chords.segments[:8])} measured" if facts.chords else ""

    return test


def on_degree_of_key(degree: str, root: int) -> Callable[[Facts], Held]:
    """Whether a root stands on a degree of the measured key."""
    wanted = degree_semitones(degree)

    def test(facts: Facts) -> Held:
        key = key_of(facts)
        if key is None:
            return NOT_MEASURED
        above = (root - key[0]) % 12
        fits = above in wanted and (len(wanted) == 1 or _WIDE.get(above, key[1]) == key[1])
        return fits, f"{key_label(facts)} measured"

    return test


def _stands_above(groups: dict[str, str]) -> Callable[[Facts], Held]:
    """Whether one note stands above another by a degree: true or false by itself, a fact where the other is the tonic."""
    tonic, root = (_pitch(groups[n], groups.get(f"{n}_shift")) for n in ("tonic", "root"))
    fits = (root - tonic) % 12 in degree_semitones(groups["degree"])

    def test(facts: Facts) -> Held:
        key = key_of(facts)
        if fits and (key is None or key[0] != tonic):
            return NOT_MEASURED
        return fits, f"{key_label(facts) or 'another degree'} measured"

    return test
