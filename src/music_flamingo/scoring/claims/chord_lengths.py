"""Claims that one chord lasts longer than another, as long as it, or so many times as long."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts, Segment
from music_flamingo.scoring.chords import triad_of
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.degrees import degree_semitones
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.harmony import triads_in
from music_flamingo.scoring.claims.keys import key_of
from music_flamingo.scoring.claims.wording import is_denied

_DEGREE = r"tonic|supertonic|mediant|subdominant|dominant|submediant"
_CHORD = (
    r"(?:(?P<nth{n}>first|last|second|final|opening|closing) )?(?:(?P<degree{n}>" + _DEGREE + r")(?: chords?| triads?| harmony)?"
    r"|(?P<root{n}>(?-i:[A-G])(?:[#b](?![a-z])| sharp| flat)?(?: ?(?-i:m7?|maj7|7|major|minor)(?![\w#]))?)(?: chords?| triads?)?|chord)"
)  # fmt: skip
_COMPARED = re.compile(
    rf"\b(?:the |its )?{_CHORD.replace('{n}', '1')},? (?:[A-G]7?,? )?(?:lasts|is|is held|is sustained|sounds|goes on|stays)(?: (?:about|roughly|exactly|nearly|only|just|for))*"
    rf"(?: (?P<factor>twice|half|(?P<times>\d) times))?(?: (?P<how>as long as|longer than|shorter than)) (?:the |its |all |both |either )?(?:(?:2|two) )?{_CHORD.replace('{n}', '2')}(?P<sum>(?: chords?)? (?:together|combined|put together|in total))?",
    re.IGNORECASE,
)
_ASKED = re.compile(
    rf"\b(?:compared (?:with|to)|next to|against|relative to) (?:the )?{_CHORD.replace('{n}', '2')}[^?]*?\bis (?:the )?{_CHORD.replace('{n}', '1')}[^?]*\b(?:longer|shorter)\b",
    re.IGNORECASE,
)
_SAID = re.compile(
    r"\b(?P<more>longer|shorter)\b(?:[^.]*?\b(?P<factor>twice|half|(?P<times>\d) times) as long)?", re.IGNORECASE
)
ROOM = 0.15
"""Of a length, by which lengths may differ that are said to be equal."""


def read_chord_lengths(text: str) -> Iterator[SpokenClaim]:
    """Read every such claim in a plain text."""
    if not holds(text, ("as long as", "longer than", "shorter than")):
        return
    for match in _COMPARED.finditer(text):
        if (match["degree1"] or match["root1"] or match["nth1"]) and (
            match["degree2"] or match["root2"] or match["nth2"]
        ):
            how = match["how"].lower().split()[0]
            claim = _compares(match, {"as": "same"}.get(how, how), _factor(match), is_sum=bool(match["sum"]))
            yield SpokenClaim("chords", match[0], claim, is_denied(text, *match.span()))


def answer_chord_length(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read `longer`, `shorter, half as long` as an answer about two chords of a plain question."""
    asked, said = _ASKED.search(question), _SAID.search(text)
    if asked is not None and said is not None:
        factor = _factor(said)
        yield SpokenClaim("chords", text, _compares(asked, said["more"].lower() if factor == 1.0 else "same", factor))
        if factor != 1.0:
            yield SpokenClaim("chords", text, _compares(asked, said["more"].lower(), 1.0))


def _factor(match: re.Match[str]) -> float:
    word = (match["factor"] or "").lower()
    return {"": 1.0, "twice": 2.0, "half": 0.5}.get(word) or float(match["times"])


def _lengths(match: re.Match[str], n: str) -> Callable[[Facts], list[float]]:
    """Give what finds the lengths of a chord that a match names."""
    degree, root, nth = match[f"degree{n}"], match[f"root{n}"], (match[f"nth{n}"] or "").lower()
    triads = triads_in(f" {root}") if root else []

    def find(facts: Facts) -> list[float]:
        key = key_of(facts)
        heard = [s for s in facts.chords.segments if s.label not in "NX"] if facts.chords else []

        def fits(s: Segment) -> bool:
            chord = triad_of(s.label)
            if chord is None:
                return False
            if degree:
                return key is not None and (chord[0] - key[0]) % 12 in degree_semitones(degree)
            return chord in triads if root else True

        found = [s.end_s - s.start_s for s in heard if fits(s)]
        if nth in ("first", "opening"):
            return found[:1]
        return found[-1:] if nth in ("last", "final", "closing") else found[1:2] if nth == "second" else found

    return find


def _compares(match: re.Match[str], how: str, factor: float, is_sum: bool = False) -> Callable[[Facts], Held]:
    one, other = _lengths(match, "1"), _lengths(match, "2")

    def test(facts: Facts) -> Held:
        first, second = one(facts), other(facts)
        if not first or not second:
            return NOT_MEASURED
        pairs = [
            (a, b) for a in (max(first), sum(first)) for b in ((sum(second),) if is_sum else (max(second), sum(second)))
        ]
        fact = f"{max(first):.1f} s and {sum(second) if is_sum else max(second):.1f} s measured"
        if how == "same":
            return any(abs(a - factor * b) <= ROOM * factor * b for a, b in pairs), fact
        return any(a > b if how == "longer" else a < b for a, b in pairs), fact

    return test
