"""Texts made comparable: numbers in figures, accents off, hyphens opened; and whether a clause denies what it names.

`about one hundred and forty` becomes `about 140`, `batería` becomes `bateria`, `three-four` becomes `3 4`. Capitals
stay, because `A minor` is a key and `a minor` is not.
"""

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache

from music_flamingo.scoring.claims.gates import holds, words_of

NUMBER = re.compile(r"(?<![\w.:/])(\d+)(?![\w/%]|[.:]\d)")
"""A whole number in a plain text: no time, share, fraction or part of a word."""
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
    r"\b(?:no|not|without|never|nor|neither|nobody|no one|lacks?|lacking|omits?|avoids?|excludes?|devoid of|free (?:of|from)|absence of|absent|rather than"
    r"|instead of|hardly any|n't|cannot|nothing like|nothing(?! (?:but|else|other|special|in particular))|anything but|far from|nowhere|none of the|kein\w*|ohne|sans|sin"
    r"|senza|pas de)\b|n't\b",
    re.IGNORECASE,
)
_NO_DENIAL = re.compile(
    r"\b(?:no (?:more|less|fewer|doubt|slower|faster|longer) than|not only|no doubt|not just|from nothing|out of nothing|next to nothing)\b"
    r"|\b(?:nobody|no one|nothing|no (?:other )?instruments?)(?: else)? (?:accompan\w+|supports?|joins?|backs?|doubles?) (?=(?:the|this|its) )",
    re.I,
)
_CUT = re.compile(
    r"[.;:!?]\s|\n|(?:^|(?<=[.;!?] ))(?:Without|Lacking|Despite|Although)\b[^,.;]*,\s|\s(?=the (?:piece|music|song|tune|track|recording|excerpt) )|^\W*(?:[Nn]o|[Yy]es|[Nn]ope|[Nn]ein|[Nn]on)[,;:] |,? (?:but|while|whereas|although|though|yet|however|only|just|so|therefore|thus|hence|which|because|since)\b|, (?:then|later|finally|afterwards|until|before|and|with|it|the|about|around|roughly|at|in|just)\b"
    r"|(?:,| and| or) (?=(?:no|not|without|never|neither|nothing|nobody|none|no one) )|,? (?=nor\b)"
    r"| and (?=(?:has|have|is|are|was|were|uses?|features?|follows|moves|plays|runs|keeps|stays|sits|goes|comes|contains|includes|it|the|its)\b)"
)
_OF_A_PREDICATE = (
    r" (?:(?:singing|sung|sings?|written|set|played|playing|moving|moves?|stay\w*|really|quite|very|just|only|merely|exactly|at all|always|even) ){0,2}"
    r"(?:in (?!(?:this|the (?:piece|music|mix|song|track|recording|clip|excerpt|arrangement|ensemble|band))\b)|on |from |plucked|bowed|struck|strummed|acoustic|electric|distorted|joined|accompanied|alone|solo|loud|soft|quiet|fast|slow)"
)
"""What a denial behind a subject denies of it, and not that it is there: `the fiddle tune isn't in a major key`."""
_AND_ANOTHER = r"(?:,? (?:and|or|nor) (?:(?:the|any|a) )?\w+(?: \w+)?)?"
_AFTER = re.compile(
    rf": ?(?:none|no|absent|not present|nil|without)\b|{_AND_ANOTHER} (?:is|are|was|were) (?:both |all |also |entirely |completely )?(?:absent|missing|nowhere|silent)\b"
    r"|(?:(?! (?:and|or|but|while|that|which) )[\w ]){0,12}\b(?:(?:is|are|was|were) (?:absent|missing|nowhere|never|silent)"
    rf"|(?:is|are|was|were)(?: not|n't)\b(?!{_OF_A_PREDICATE})|(?:do|does|did|can|could|would|will)(?: not|n't)\b(?!{_OF_A_PREDICATE})"
    r"|fails? to|never|remain\w* silent|stay\w* silent|play\w* no part)",
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
        "nobody",
        "omit",
        "omits",
        "avoid",
        "avoids",
        "exclude",
        "excludes",
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
_AFTER_WORDS = (
    ": no",
    ": none",
    ": abs",
    "not",
    "n't",
    "absent",
    "missing",
    "nowhere",
    "never",
    "silent",
    "fail",
    "no part",
)


def _value(words: str) -> str:
    """`one hundred and forty` -> `140`; `three four` -> `3 4`: what does not add up stays apart."""
    numbers: list[int] = []
    parts: list[str] = []
    last, joint = "", " "
    said = re.split(r"[ -]", words.lower())
    for word, after in zip(said, [*said[1:], ""], strict=True):
        if word in ("and", "a", ""):
            last, joint = ("a" if word == "a" else last), (" and " if word == "and" else joint)
            continue
        is_new = last == "hundred" and after == "hundred" and word in SMALL  # 100 and 110
        if word == "hundred":
            numbers = [*numbers[:-1], numbers[-1] * 100] if last in SMALL else [*numbers, 100]
        elif last in TENS and word in SMALL and 0 < SMALL[word] < 10:
            numbers[-1] += SMALL[word]
        elif last == "hundred" and not is_new:
            numbers[-1] += SMALL[word] if word in SMALL else TENS[word]
        elif word in TENS and len(numbers) == 1 and 0 < numbers[0] < 10 and joint == " ":
            numbers[-1] = 100 * numbers[-1] + TENS[word]  # one forty
        else:
            numbers.append(SMALL[word] if word in SMALL else TENS[word])
        parts += [joint] * (len(numbers) - len(parts))
        last, joint = word, " "
    return "".join(joint + str(number) for joint, number in zip(parts, numbers, strict=True)).removeprefix(" ")


_HARTE = re.compile(
    r"(?<![\w#])([A-G][#b]?):(maj7|min7|maj|min|dim7?|hdim7|aug|sus[24]|7|6|min6|9)(?:\([^)\s]*\))?(?:/[#b]?\d+)?(?![\w#])"
)
_HARTE_WORDS = {"maj": " major chord", "min": " minor chord", "min7": "m7", "min6": "m6", "hdim7": "m7b5"}


def _in_words(match: re.Match[str]) -> str:
    """`Eb:maj` -> `Eb major chord`: labels of measured chords, as prompts show them."""
    return match[1] + _HARTE_WORDS.get(match[2], match[2])


@lru_cache(maxsize=32768)
def plain(text: str) -> str:
    """Give a text as the readers of claims read it."""
    if text.isascii():
        folded = text
    else:
        marked = unicodedata.normalize("NFKC", text.translate(_MARKS)).translate(_MARKS)
        folded = "".join(c for c in unicodedata.normalize("NFD", marked) if not unicodedata.combining(c))
    spaced = " ".join(folded.split())
    if ":" in spaced:
        spaced = _HARTE.sub(_in_words, spaced)
    if "-" in spaced:
        spaced = _OPEN.sub(" ", spaced)
    if words_of(spaced).isdisjoint(_NUMBER_WORDS):
        return spaced
    return _RUN.sub(lambda run: _value(run.group(0)), spaced)


_NOUN_DENIED = (
    "no ",
    "with",
    "kein",
    "ohne",
    "sans",
    "sin",
    "senz",
    "lack",
    "devo",
    "free",
    "abse",
    "noth",
    "nobo",
    "none",
)
"""Beginnings of denials that deny a noun, and not the phrase of time, place or key that follows it."""
_LIST_GOES_ON = re.compile(r"[^.;:!?]*?\b(?:or|nor)\b")
_PHRASE = re.compile(
    r"(?<=\w) (?:in (?:the key of |a key of )?(?:[A-G](?:[ -]?(?:#|b\b|sharp|flat))? ?(?:major|minor|m\b|[.,;!?]|$)|\d|(?:common|triple|duple|waltz) time)|in the key\b|(?:above|over|under|underneath|beneath|behind|below|beside|alongside|against|except|besides|apart from|other than|but|with) |at (?:a|an|about|around|roughly|just|\d))",
)


def _ends_noun(text: str, a: int, b: int, start: int) -> bool:
    """Whether what a denial from `a` to `b` denies ends before `start`: `no drums in C major` denies no key."""
    if not text[a : a + 4].lower().startswith(_NOUN_DENIED):
        return False
    comma = text.find(",", b, start)
    if comma >= 0 and _LIST_GOES_ON.match(text, comma) is None:
        return True  # `no drums, moderate tempo`; but `no drums, bass or voice`
    return any(m.start() > b and m.start() < start for m in _PHRASE.finditer(text, b, start + 12))


def is_denied(text: str, start: int, end: int) -> bool:
    """Tell whether the clause says that what stands from `start` to `end` is not so. Two denials undo each other."""
    before = 0
    denials, cuts = _denials(text)
    if denials and denials[0][0] < start:
        # denials before a cut that ends here belong to another clause
        cut = cuts[bisect_right(cuts, start) - 1] if cuts and cuts[0] <= start else 0
        near = ((a, b) for a, b in denials if cut <= a and b <= start <= b + FURTHEST_LETTERS)
        before = sum(
            len(text[b:start].split()) <= (SUBJECT_WORDS if text[a : a + 4].lower() in _SUBJECTS else FURTHEST_WORDS)
            for a, b in near
            if not _ends_noun(text, a, b, start)
        )
    if before and _CORRELATES.match(text, end):
        before = 0  # `not singing in Spanish but in English`
    after = holds(text, _AFTER_WORDS) and holds(text[end : end + AFTER_LETTERS], _AFTER_WORDS)
    if after:
        after = _AFTER.match(text, end) is not None
    return (before % 2 == 1) != after


_CORRELATES = re.compile(r" (?P<how>in|on|at|by|with|from|about|of|for)\b[^,.;]{1,30},? but (?P=how)\b", re.IGNORECASE)
FURTHEST_WORDS, FURTHEST_LETTERS = 7, 120
"""Between a denial and what it denies."""
SUBJECT_WORDS = 2
"""Between `nobody` and what it is said not to do."""
_SUBJECTS = ("nobo", "no o")
AFTER_LETTERS = 40
"""Behind what is named, in which `is absent` stands."""


@lru_cache(maxsize=256)
def _denials(text: str) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Give (start and end of every word that denies something, places where a clause begins); nothing without any."""
    if words_of(text).isdisjoint(_DENIAL_WORDS) and not holds(text, ("n't", "kein")):
        return (), ()
    harmless = [match.span() for match in _NO_DENIAL.finditer(text)]
    spans = [match.span() for match in _DENIES.finditer(text)]
    spans = [(a, b) for a, b in spans if not any(c <= a and b <= d for c, d in harmless)]
    return tuple(spans), tuple(match.end() for match in _CUT.finditer(text)) if spans else ()
