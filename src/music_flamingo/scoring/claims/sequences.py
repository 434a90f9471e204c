"""Claims about the order of chords that a sentence names: `B minor and C# major before it comes home to F# minor`."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.chord_places import heard_triads
from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.keys import key_of
from music_flamingo.scoring.claims.things import CHORD, DEGREE, Spans, spans_of
from music_flamingo.scoring.claims.wording import is_denied

_CHORD = re.compile(rf"{CHORD}|(?<=\bthe )(?:{DEGREE})(?! (?:of|key|note)\b)", re.IGNORECASE)
_HOME = re.compile(
    r"\b(?:before|and|then|finally|until)\b[^.;]{0,24}?\b(?:com(?:es?|ing)|return\w*|back|settl\w+|arriv\w+|get\w*|land\w*) (?:back )?(?:home\b|(?:to|on) (?:its|the) (?:tonic|home chord|starting (?:point|chord)|home key)\b)",
    re.IGNORECASE,
)
_OF_A_KEY = re.compile(
    r"\b(?:in|key(?: of| is)?|tonality(?: of| is)?|than|like|not|relative|parallel|or) (?:the key of |an? )?$",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    r"[^.;!?]{0,40}?\b(?:before|and then|and finally|then finally|finally|until|after which|ahead of|prior to)\b[^.;!?]{0,40}?",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"(?: chord)?(?:,? (?:which |that )?(?:is|comes|sounds|enters|follows|arrives|appears)(?: heard)?)?,? (?P<directly>(?:right|directly|immediately|straight) )?after (?:the |an? )?(?:(?:first|opening|initial) )?",
    re.IGNORECASE,
)
_LATER = re.compile(r" [^.;]{0,40}? after (?:the |an? )?", re.IGNORECASE)
_FROM_TO = re.compile(
    r"(?: chord)? (?:(?:straight|directly|back|on|over|down|up) )?(?:in|on)?to (?:the |an? )?", re.IGNORECASE
)
_WORDS = (
    " home",
    " back ",
    " tonic",
    " before ",
    " then ",
    "finally",
    " until ",
    "ahead of",
    "prior to",
    " after ",
    "from ",
)


def read_sequences(text: str) -> Iterator[SpokenClaim]:
    """Read the order of chords in a plain text."""
    if not holds(text, _WORDS):
        return
    for match in _HOME.finditer(text):
        yield SpokenClaim("chords", match[0], _ends_at_home, is_denied(text, *match.span()))
    found = [m for m in _CHORD.finditer(text) if not _OF_A_KEY.search(text, 0, m.start())]
    for one, other in pairwise(found):
        said = text[one.start() : other.end()]
        if is_denied(text, one.start(), other.end()):
            continue
        if _AFTER.fullmatch(text, one.end(), other.start()):
            yield SpokenClaim("chords", said, _comes(other[0], one[0], at_once=True))
        elif _LATER.fullmatch(text, one.end(), other.start()):
            yield SpokenClaim("chords", said, _comes(other[0], one[0]))
        elif (
            _FROM_TO.fullmatch(text, one.end(), other.start())
            and text[: one.start()].lower().endswith("from ")
            and one[0] != other[0]
        ):
            yield SpokenClaim("chords", f"from {said}", _comes(one[0], other[0], at_once=True))
        elif _BEFORE.fullmatch(text, one.end(), other.start()):
            yield SpokenClaim("chords", said, _comes(one[0], other[0]))


def _ends_at_home(facts: Facts) -> Held:
    """Whether the last chord stands on the tonic."""
    key, heard = key_of(facts), heard_triads(facts)
    if key is None or not heard or facts.chords is None:
        return NOT_MEASURED
    return heard[-1][0] == key[0], f"{facts.chords.segments[-1].label} measured last"


def _comes(earlier: str, later: str, at_once: bool = False) -> Callable[[Facts], Held]:
    """Whether one chord is heard before another, or directly before it."""
    first, second = _named(earlier), _named(later)

    def test(facts: Facts) -> Held:
        one, other = (spans(facts) if spans else None for spans in (first, second))
        if not facts.chords or one is None or other is None:
            return NOT_MEASURED
        if at_once:
            fits = any(abs(b.start_s - a.end_s) <= ROOM_S for a in one for b in other)
        else:
            fits = any(b.start_s >= a.end_s - ROOM_S for a in one[:1] for b in other)
        return fits, f"{', '.join(s.label for s in facts.chords.segments[:8])} measured in this order"

    return test


ROOM_S = 0.5
"""Of a passing chord between two that follow each other."""


def _named(chord: str) -> Spans | None:
    is_degree = chord.lower() in DEGREE.split("|")
    return spans_of({"degree" if is_degree else "chord": chord})
