"""Chords in lists, as captions name progressions: `Am - F - C - G`, `the chord sequence is Bb, Gm7 and Eb`."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from music_flamingo.records import Facts
from music_flamingo.scoring.chords import parse_chord, triad_of
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.chord_places import heard_triads
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.keys import key_of, relative_of
from music_flamingo.scoring.claims.wording import is_denied
from music_flamingo.scoring.normalise import parse_key

_QUALITY = (
    r"(?: (?:major|minor|diminished|augmented|dominant)(?: (?:7th|seventh|6th|sixth|9th|7|6))?| maj7?| min7?"
    r"|maj(?:or)?(?:7|9|13|11)?|min(?:or)?(?:7|9|11)?|m7b5|mM7|m(?:aj7|7|6|9|11)?|M7?|dim7?|aug7?|sus[24]?|7sus4|add9|13|11|9|7|6|5)?"
)
SYMBOL = rf"(?<![\w#/'])[A-G](?:#|b(?![a-z])|b(?=maj|min|m\b|m\d|dim|aug|sus|add)| sharp| flat)?{_QUALITY}(?:/[A-G][#b]?)?(?![\w#'])"
_JOINT = r"(?:,? (?:and|to|then|then to|followed by|into|before|back to|finally) |, |,| - | ?-> ?| ?→ ?| > | \| | )"
_LIST = rf"(?:{SYMBOL}{_JOINT})*{SYMBOL}"
_HEADER = r"(?:chords?|chordal|triads?|progressions?|sequences?|harmon(?:y|ies|ic)|changes|loop|vamp|turnaround)"
_AFTER_HEADER = re.compile(
    rf"\b(?i:{_HEADER})\b(?:(?!\b(?i:keys?|tonality|dominant|tonic|subdominant|degree|notes?|sections?|forms?|relative|melody|third|voice|vocals?|bass)\b)[^.;!?]){{0,60}}?(?:(?P<joint>\b(?i:of|is|are|being|from|between|on|with|in|uses?|follows?|including|includes?|comprises?|comprising|features?|featuring|through|around|by|as|goes|moves|runs|traverses|using|containing|to|at|like|following|used|heard|played)\b|[:(])(?: (?i:the|a|an|chords?|steady|pattern|triads?|sequence|progression|simple|repeating|repeated|just|only|mainly|primarily|either|of|from|around|between|on|as|at))* ?|(?<=chords),? (?=[A-G])|(?<=triads),? (?=[A-G])|(?<=progression),? (?={SYMBOL}{_JOINT}[A-G])|(?<=sequence),? (?={SYMBOL}{_JOINT}[A-G])|(?<=changes),? (?={SYMBOL}{_JOINT}[A-G]))(?P<list>{_LIST})"
)
_BEFORE_HEADER = re.compile(rf"(?P<list>{SYMBOL}{_JOINT}{_LIST})(?= (?:\w+ )?(?i:{_HEADER})\b)")
_ROW = re.compile(rf"(?P<list>{SYMBOL}(?P<sign> - | ?-> ?| ?→ ?| > | \| | ){SYMBOL}(?:(?P=sign){SYMBOL})+)")
_ONE = re.compile(SYMBOL)
_SEVENTH = re.compile(r" ?(?:7th|seventh|6th|sixth|9th)$")
_IN_ORDER = re.compile(r"(?: - | ?-> ?| ?→ ?| > | \| |,? (?:then|to|followed by|into|before)(?: to| back to)? | )")
_LETTERS = re.compile(r"[A-E]")
_OF_A_FORM = re.compile(r"\b(?:sections?|parts?|form|structure|theme|layout)\b", re.IGNORECASE)
_IS_NO_LIST = re.compile(
    r" (?i:section|part|theme|clarinets?|trumpets?|horns?|key|instruments?|strings?|notes?|string)\b"
)
_SPELLS = re.compile(
    r"\b(?:triad|chord|arpeggio|scale)(?: here)? (?:consists? of|is (?:made|built) (?:up )?(?:of|from)|is spelled|spells|contains?|comprises?|has)(?: the)?(?: notes| tones)? $",
    re.IGNORECASE,
)
_WORDS = ("chord", "triad", "progression", "sequence", "harmon", "changes", "loop", "vamp", "turnaround")
_SIGNS = (" - ", "->", "→", " > ", " | ")


def read_lists(text: str, taken: set[int]) -> Iterator[SpokenClaim]:
    """Read the chords of every list that no other pattern has `taken` (places of roots), and their order."""
    has_header = holds(text, _WORDS)
    for pattern, may in ((_AFTER_HEADER, has_header), (_BEFORE_HEADER, has_header), (_ROW, _may_be_row(text))):
        for match in pattern.finditer(text) if may else ():
            yield from _of_list(match, text, taken)


def _may_be_row(text: str) -> bool:
    return holds(text, _SIGNS) or _ROOTS.search(text) is not None


_ROOTS = re.compile(r"\b[A-G]\S{0,5} [A-G]\S{0,5} [A-G]")


def _of_list(match: re.Match[str], text: str, taken: set[int]) -> Iterator[SpokenClaim]:
    start, listed = match.start("list"), match["list"]
    found = list(_ONE.finditer(text, start, match.end("list")))
    if len(found) > 1 and found[0][0] == "A" and text[found[0].end() : found[1].start()] == " ":
        found = found[1:]  # `a B minor chord` at the beginning of a sentence
    joint = match.groupdict().get("joint")
    if _is_no_list(found, text, joint):
        return
    if len(found) == 1 and (joint or "").lower() == "in":
        yield from _in_chord_or_key(found[0], text, taken)
        return
    denied = is_denied(text, start, match.end("list"))
    for one in found:
        if one.start() not in taken:
            taken.add(one.start())
            yield SpokenClaim("chords", one[0], _is_heard(one[0]), denied)
    joints = [text[a.end() : b.start()] for a, b in pairwise(found)]
    if len(found) > 2 and not denied and all(_IN_ORDER.fullmatch(sign) for sign in joints):
        yield SpokenClaim("chords", listed, _in_order([one[0] for one in found]))


_WHOLE = re.compile(rf"\W*(?P<list>{SYMBOL}{_JOINT}{_LIST})\W*")


def read_list(text: str) -> Iterator[SpokenClaim]:
    """Read an answer that is nothing but a list of chords: each is heard, and three or more in this order."""
    match = _WHOLE.fullmatch(text)
    found = _ONE.findall(match["list"]) if match else []
    if match is None or len(found) < 2:
        return
    yield from (SpokenClaim("chords", symbol, _is_heard(symbol)) for symbol in found)
    if len(found) > 2:
        yield SpokenClaim("chords", match["list"], _come_in_order(found))


def _come_in_order(symbols: list[str]) -> Callable[[Facts], Held]:
    """Whether chords are heard in this order, perhaps with others between them."""
    wanted = [chord for symbol in symbols if (chord := parse_chord(_SEVENTH.sub("7", symbol)))]

    def test(facts: Facts) -> Held:
        heard = iter(heard_triads(facts))
        if facts.chords is None:
            return NOT_MEASURED
        named = ", ".join(s.label for s in facts.chords.segments[:8])
        return all(chord in heard for chord in wanted), f"{named} measured in this order"

    return test


def _is_no_list(found: list[re.Match[str]], text: str, joint: str | None) -> bool:
    """Whether letters name sections, an article, or a key: `sections A, B`, `in A ...`, `a progression in G major`."""
    if found and _SPELLS.search(text, max(0, found[0].start() - 48), found[0].start()):
        return True
    if not found or _IS_NO_LIST.match(text, found[-1].end()):
        return True
    bare = all(_LETTERS.fullmatch(one[0]) for one in found)
    before = text[max(0, found[0].start() - 40) : found[0].start()]
    is_article = len(found) == 1 and found[0][0] == "A"
    return bare and (_OF_A_FORM.search(before) is not None or joint is None or is_article)


def _in_chord_or_key(one: re.Match[str], text: str, taken: set[int]) -> Iterator[SpokenClaim]:
    """Read `a progression in Bb`, which may name its key or its only chord; keys with their mode are read as keys."""
    if one.start() in taken or _MODE.search(one[0]):
        return
    taken.add(one.start())
    chord, wanted = _is_heard(one[0]), parse_chord(one[0])

    def test(facts: Facts) -> Held:
        key = parse_key(facts.key.label) if facts.key else None
        if key is not None and wanted is not None and key[0] == wanted[0]:
            return True, f"{facts.key.label if facts.key else ''} measured"
        return chord(facts)

    yield SpokenClaim("chords", one[0], test, is_denied(text, *one.span()))


_MODE = re.compile(r"maj|min", re.IGNORECASE)


def _is_heard(symbol: str) -> Callable[[Facts], Held]:
    wanted = parse_chord(_SEVENTH.sub("7", symbol))

    def test(facts: Facts) -> Held:
        if facts.chords is None or wanted is None:
            return NOT_MEASURED
        heard = {triad_of(s.label) for s in facts.chords.segments if s.label not in "NX"}
        return wanted in heard, f"{', '.join(dict.fromkeys(s.label for s in facts.chords.segments))} measured"

    return test


def _in_order(symbols: list[str]) -> Callable[[Facts], Held]:
    """Whether each chord of a row is heard directly before the next one."""
    wanted = [chord for symbol in symbols if (chord := parse_chord(_SEVENTH.sub("7", symbol)))]

    def test(facts: Facts) -> Held:
        heard = heard_triads(facts)
        if facts.chords is None or len(wanted) < len(symbols):
            return NOT_MEASURED
        followed = {*pairwise(heard), *((chord, chord) for chord in heard)}
        named = ", ".join(s.label for s in facts.chords.segments[:8])
        return all(pair in followed for pair in pairwise(wanted)), f"{named} measured in this order"

    return test


_UNREAD = re.compile(
    r"(?<![\w#/'.])(?!Em (?:que|qual|um|uma|tom)\b|Am I\b)(?:[A-G](?:#|b(?![a-z])| sharp\b| flat\b)(?:maj|min|m|dim|aug|sus|add)?\d*|[A-G](?:m7?|maj7|m7b5|dim7?|aug|sus[24]?|add9|7|9|6))(?:/[A-G][#b]?)?(?![\w#'])"
    r"(?! (?:clarinets?|trumpets?|cornets?|horns?|sax\w*|tubas?|instruments?|tuning)\b)(?! (?:maj|min|dur|moll))"
)


_SENTENCE_STARTS = re.compile(r"(?:^|[.!?] )\W*$")
"""`A flat voice` names no note."""


def _is_known_root(symbol: str) -> Callable[[Facts], Held]:
    """Whether a note is the tonic, the tonic of the relative key or the root of a chord that is heard."""
    wanted = parse_chord(symbol)

    def test(facts: Facts) -> Held:
        key = key_of(facts)
        roots = {root for root, _ in heard_triads(facts)} | ({key[0], relative_of(key)[0]} if key else set())
        roots |= {chord[0] for s in facts.chords.segments if (chord := parse_chord(s.label))} if facts.chords else set()
        return (True, f"{symbol} measured") if wanted is not None and wanted[0] in roots else NOT_MEASURED

    return test


def read_symbols(text: str, said: str) -> Iterator[SpokenClaim]:
    """Read the notes and chords of a plain text that no claim names (`said`: the words of all): they must be known."""
    for match in _UNREAD.finditer(text):
        is_article = match[0] in ("A flat", "A sharp") and _SENTENCE_STARTS.search(text, 0, match.start())
        if match[0].partition("/")[0] not in said and not is_article:
            yield SpokenClaim("chords", match[0], _is_known_root(match[0]), is_place=True)
