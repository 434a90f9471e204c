"""Claims about key signatures: how many sharps or flats, and which of the two."""

import re
from collections.abc import Callable, Iterator

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.keys import key_label, key_of, relative_of
from music_flamingo.scoring.claims.wording import NUMBER, is_denied

_SIGNATURE_KIND = re.compile(
    r"\b(?:key|signature)\b[^.;]{0,30}\b(?:made of|has|have|contains|uses|with|is|of|consists of)(?: only| made of)? (?P<kind>sharps|flats)\b",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(r"\b(?P<n>\d|no) (?P<kind>sharps?|flats?)(?: (?:or|and) (?:sharps?|flats?))?\b", re.IGNORECASE)


def read_signatures(text: str) -> Iterator[SpokenClaim]:
    """Read every claim about the key signature in a plain text."""
    if not holds(text, ("sharp", "flat")):
        return
    for match in _SIGNATURE.finditer(text):
        yield _signature(match, text)
    for match in _SIGNATURE_KIND.finditer(text):
        yield SpokenClaim("key", match[0], _is_signed(match["kind"]), is_denied(text, *match.span()))


def _signature(match: re.Match[str], text: str) -> SpokenClaim:
    number = 0 if match["n"].lower() == "no" else int(match["n"])
    return signature_claim(match[0], number, match["kind"], number > 0 and is_denied(text, *match.span()))


def _is_signed(kind: str) -> Callable[[Facts], Held]:
    """Whether the key is written with sharps, or with flats."""

    def test(facts: Facts) -> Held:
        tests = [signature_claim("", number, kind).test(facts) for number in range(1, 7)]
        return (None if tests[0][0] is None else any(held for held, _ in tests)), tests[0][1]

    return test


def signature_claim(said: str, number: int, kind: str, denied: bool = False) -> SpokenClaim:
    """Claim that the key has so many sharps or flats."""
    sign = -1 if kind.lower().startswith("flat") else 1

    def test(facts: Facts) -> Held:
        key = key_of(facts)
        if key is None:
            return NOT_MEASURED
        major = key[0] if key[1] == "major" else relative_of(key)[0]
        fifths = (7 * major + 5) % 12 - 5  # from five flats to six sharps
        return number * sign == fifths or (abs(fifths) == 6 == number), f"{key_label(facts)} measured"

    return SpokenClaim("key", said, test, denied)


def answer_signature(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read how many sharps or flats there are."""
    number, kind = NUMBER.search(text), re.search(r"\b(sharp|flat)", question, re.IGNORECASE)
    if kind is not None and (number is not None or re.search(r"\b(?:none|no)\b", text, re.IGNORECASE)):
        yield signature_claim(text, int(number[1]) if number else 0, kind[1].lower())
