"""Texts made comparable: numbers in figures, accents off, hyphens opened; and whether a clause denies what it names.

`about one hundred and forty` becomes `about 140`, `batería` becomes `bateria`, `three-four` becomes `3 4`. Capitals
stay, because `A minor` is a key and `a minor` is not.
"""

import re
import unicodedata
from functools import lru_cache

from music_flamingo.scoring.claims.gates import holds, words_of

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_UNITS += " seventeen eighteen nineteen"
SMALL = {word: value for value, word in enumerate(_UNITS.split())}
TENS = {
    word: 10 * value
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2
    )
}
_WORD = "|".join(sorted([*SMALL, *TENS], key=len, reverse=True))
_RUN = re.compile(
    rf"\b(?:a (?=hundred)|(?:{_WORD})\b|hundred\b)(?:[ -](?:and[ -](?=(?:{_WORD})\b))?(?:{_WORD}|hundred)\b)*",
    re.IGNORECASE,
)
_NUMBER_WORDS = frozenset((*SMALL, *TENS, "hundred"))
ORDINALS = {
    word: place
    for place, word in enumerate(
        [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
        ],
        start=1,
    )
}
_MARKS = str.maketrans({"♯": "#", "♭": "b", "’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": " - ", "−": "-"})
_OPEN = re.compile(r"(?<=[^\W\d_#])-(?=[^\W_])|(?<=[\d#])-(?=[^\W\d_])")
_DENIES = re.compile(
    r"\b(?:no|not|without|never|nor|neither|lacks?|lacking|devoid of|free (?:of|from)|absence of|absent|rather than"
    r"|instead of|hardly any|n't|cannot|nothing like|anything but|far from|nowhere|none of the|kein\w*|ohne|sans|sin"
    r"|senza|pas de)\b|n't\b",
    re.IGNORECASE,
)
_NO_DENIAL = re.compile(
    r"\b(?:no (?:more|less|fewer|doubt|slower|faster|longer) than|not only|no doubt|not just)\b", re.I
)
_CUT = re.compile(
    r"[.;:!?]\s|\n|,? (?:but|while|whereas|although|though|yet|however|only|just)\b|, (?:and|with|it|the)\b"
)
_AFTER = re.compile(
    r"[\w ]{0,12}\b(?:(?:is|are|was|were) (?:absent|missing|not\b|nowhere|never|silent)|(?:do|does|did|can|could|would|will)(?:"
    r" not|n't|not)\b|(?:is|are|was|were)n't|fails? to|never|remain\w* silent|stay\w* silent|play\w* no part)",
    re.IGNORECASE,
)

_DENIAL_WORDS = frozenset(
    [
        "no",
        "not",
        "without",
        "never",
        "nor",
        "neither",
        "lack",
        "lacks",
        "lacking",
        "devoid",
        "free",
        "absence",
        "absent",
        "rather",
        "instead",
        "hardly",
        "cannot",
        "nothing",
        "anything",
        "far",
        "nowhere",
        "none",
        "ohne",
        "sans",
        "sin",
        "senza",
        "pas",
    ]
)
_AFTER_WORDS = ("not", "n't", "absent", "missing", "nowhere", "never", "silent", "fail", "no part")


def _value(words: str) -> str:
    """`one hundred and forty` -> `140`; `three four` -> `3 4`: what does not add up stays apart."""
    numbers: list[int] = []
    last = ""
    for word in re.split(r"[ -]", words.lower()):
        if word in ("and", "a", ""):
            last = "a" if word == "a" else last
            continue
        if word == "hundred":
            numbers = [*numbers[:-1], numbers[-1] * 100] if last in SMALL else [*numbers, 100]
        elif last in TENS and word in SMALL and 0 < SMALL[word] < 10:
            numbers[-1] += SMALL[word]
        elif last == "hundred":
            numbers[-1] += SMALL[word] if word in SMALL else TENS[word]
        elif last in SMALL and word in TENS and 0 < SMALL[last] < 10 and len(numbers) == 1:
            numbers[-1] = 100 * numbers[-1] + TENS[word]  # one forty
        else:
            numbers.append(SMALL[word] if word in SMALL else TENS[word])
        last = word
    return " ".join(map(str, numbers))


@lru_cache(maxsize=32768)
def plain(text: str) -> str:
    """Give a text as the readers of claims read it."""
    if text.isascii():
        folded = text
    else:
        marked = unicodedata.normalize("NFKC", text.translate(_MARKS)).translate(_MARKS)
        folded = "".join(c for c in unicodedata.normalize("NFD", marked) if not unicodedata.combining(c))
    spaced = " ".join(folded.split())
    if "-" in spaced:
        spaced = _OPEN.sub(" ", spaced)
    if words_of(spaced).isdisjoint(_NUMBER_WORDS):
        return spaced
    return _RUN.sub(lambda run: _value(run.group(0)), spaced)


def is_denied(text: str, start: int, end: int) -> bool:
    """Tell whether the clause says that what stands from `start` to `end` is not so. Two denials undo each other."""
    before = 0
    if _denial_at(text) < start:
        cut = 0
        for match in _CUT.finditer(text, 0, start):
            cut = match.end()
        clause = _NO_DENIAL.sub(" ", text[cut:start])
        before = sum(1 for m in _DENIES.finditer(clause) if len(clause[m.end() :].split()) <= 7)
    after = holds(text, _AFTER_WORDS) and _AFTER.match(text, end) is not None
    return (before % 2 == 1) != after


@lru_cache(maxsize=256)
def _denial_at(text: str) -> int:
    """Give the place of the first word that denies something, beyond the text where none does."""
    if words_of(text).isdisjoint(_DENIAL_WORDS) and not holds(text, ("n't", "kein")):
        return len(text) + 1
    found = _DENIES.search(text)
    return found.start() if found else len(text) + 1
