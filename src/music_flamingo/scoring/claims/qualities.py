"""Answers that name the quality of a chord or the degree it stands on: `a dominant seventh`, `the fifth`, `Tonika`."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.chords import triad_of
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.chord_places import Place, heard_triads, meant, place_in
from music_flamingo.scoring.claims.degrees import degree_semitones, on_degree_of_key
from music_flamingo.scoring.claims.harmony import triads_in
from music_flamingo.scoring.claims.keys import key_label, key_of
from music_flamingo.scoring.claims.wording import ORDINALS, is_denied

_QUALITIES: tuple[tuple[str, str], ...] = (
    (r"half diminished", r"(?:hdim|m7b5|min7b5)"),
    (r"diminished", r"(?:dim|hdim|m7b5)"),
    (r"augmented", r"aug"),
    (r"suspended|sus", r"sus"),
    (r"major (?:seventh|7th|7)|maj7", r"maj7"),
    (r"minor (?:seventh|7th|7)|min7|m7", r"(?:min7|m7)"),
    (r"dominant (?:seventh|7th|7|chord)?|(?:seventh|7th) chord|dominant", r"(?:7|9|13)"),
    (r"major", r"(?:maj|6|7|9|13|$)"),
    (r"minor", r"(?:min|m(?!aj))"),
)
"""Words -> the beginning of the quality of a chord's label (Harte's shorthand)."""
_QUALITY = re.compile("|".join(rf"(?P<q{k}>\b(?:{words})\b)" for k, (words, _) in enumerate(_QUALITIES)), re.IGNORECASE)
_ASKS_QUALITY = re.compile(
    r"\b(?:quality|(?:kind|type|sort|species|colou?r) of (?:chord|triad|harmony|sonority|seventh)|chord (?:type|quality|colou?r)|(?:chord|triad|harmony)\b[^?]*\b(?:major or (?:a )?minor|minor or (?:a )?major))\b",
    re.IGNORECASE,
)
_ASKS_FUNCTION = re.compile(
    r"\b(?:degree|function|numeral|role|tonika|dominante?|subdominante?|tonique|tonica|tonic|scale step|harmonic step)\b",
    re.IGNORECASE,
)
_FOREIGN_EDGE = re.compile(
    r"\b(?:(?P<first>beginnt|fangt|anfang|commence|debute|empieza|comienza|inizia|comincia|comeca)|endet|schliesst|schlusst|ende|finit|termine|acheve|termina|acaba|finisce|fim|fin)\b",
    re.IGNORECASE,
)
_DEGREES = {
    "tonika": "tonic", "tonique": "tonic", "tonica": "tonic", "dominante": "dominant", "subdominante": "subdominant",
    "sottodominante": "subdominant", "sous dominante": "subdominant", "tonic": "tonic", "dominant": "dominant", "subdominant": "subdominant",
    "supertonic": "supertonic", "mediant": "mediant", "submediant": "submediant", "subtonic": "subtonic", "leading tone": "leading tone",
}  # fmt: skip
_NTH = dict(zip(ORDINALS, ("i", "ii", "iii", "iv", "v", "vi", "vii"), strict=False))
_DEGREE = re.compile(
    rf"(?<!\w)(?:(?P<name>{'|'.join(sorted(_DEGREES, key=len, reverse=True))})|(?P<nth>{'|'.join(_NTH)})|(?P<numeral>(?-i:[b#]?(?:VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i))))(?!\w)",
    re.IGNORECASE,
)


_DEGREE_ASKED = re.compile(
    rf"{_DEGREE.pattern}(?:(?<=[IViv])(?= chord| triad| degree)|(?<=tonic)|(?<=inant)|(?<=inante)|(?<=diant)|(?= (?:scale )?(?:degree|step)\b))",
    re.IGNORECASE,
)


def _degree_of(match: re.Match[str]) -> str:
    """Give the name or the numeral of the degree that a match of `_DEGREE` names."""
    named, nth = (match["name"] or "").lower(), (match["nth"] or "").lower()
    return _DEGREES.get(named) or _NTH.get(nth) or match["numeral"]


def answer_quality(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read the quality of a chord that the question names by its place, its degree or its root."""
    said = _QUALITY.search(text)
    if said is None or not _ASKS_QUALITY.search(question):
        return
    pattern = re.compile(_QUALITIES[int((said.lastgroup or "q0")[1:])][1])
    labels = _labels_asked(question)

    def test(facts: Facts) -> Held:
        found = labels(facts)
        if not found:
            return NOT_MEASURED
        fits = any(pattern.match(label.partition(":")[2].partition("(")[0]) for label in found)
        return fits, f"{', '.join(dict.fromkeys(found))} measured"

    yield SpokenClaim("chords", text, test, is_denied(text, *said.span()))


def answer_function(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read the degree of the key on which a chord stands that the question names by its place, or by its root."""
    said = _DEGREE.search(text)
    if said is None or not _ASKS_FUNCTION.search(question):
        return
    degree = _degree_of(said)
    place, denied = _place_asked(question), is_denied(text, *said.span())
    if place is not None:
        yield SpokenClaim("chords", text, _stands_on(degree, place), denied)
    elif roots := {root for root, _ in triads_in(re.sub(r"\bA (?=[a-z])", "", question))}:
        tests = [on_degree_of_key(degree, root) for root in roots]
        yield SpokenClaim("chords", text, tests[0], denied)


def _place_asked(question: str) -> Place:
    if (edge := _FOREIGN_EDGE.search(question)) is not None:
        return 0 if edge["first"] else -1
    return place_in(question)


def _stands_on(degree: str, place: Place) -> Callable[[Facts], Held]:
    wanted = degree_semitones(degree)

    def test(facts: Facts) -> Held:
        key, chosen = key_of(facts), meant(place, facts, heard_triads(facts))
        if key is None or not chosen:
            return NOT_MEASURED
        return any((root - key[0]) % 12 in wanted for root, _ in chosen), f"{key_label(facts)} measured"

    return test


def _labels_asked(question: str) -> Callable[[Facts], list[str]]:
    """Give what finds the labels of the chord that a question names."""
    place, degree = _place_asked(question), _DEGREE_ASKED.search(question)
    roots = {root for root, _ in triads_in(re.sub(r"\bA (?=[a-z])", "", question))}
    name = None
    if degree is not None:
        name = _degree_of(degree)

    def find(facts: Facts) -> list[str]:
        labels = [s.label for s in facts.chords.segments if s.label not in "NX"] if facts.chords else []
        named = [(label, chord) for label in labels if (chord := triad_of(label))]
        key = key_of(facts)
        if name is not None:
            wanted = degree_semitones(name)
            return [label for label, chord in named if key and (chord[0] - key[0]) % 12 in wanted]
        if place is not None:
            chosen = meant(place, facts, heard_triads(facts)) or []
            return [label for label, chord in named if chord in chosen]
        return [label for label, chord in named if chord[0] in roots]

    return find
