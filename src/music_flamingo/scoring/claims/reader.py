"""Read a text, a question's premise, or an answer in the light of its question."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from music_flamingo.scoring.claims.base import SpokenClaim, unmeasured
from music_flamingo.scoring.claims.harmony import answer_chord, read_chords, read_form
from music_flamingo.scoring.claims.keys import answer_key, read_keys
from music_flamingo.scoring.claims.meter import answer_meter, read_meter
from music_flamingo.scoring.claims.loudness import answer_dynamics
from music_flamingo.scoring.claims.players import read_players
from music_flamingo.scoring.claims.tempo import answer_tempo, read_tempo
from music_flamingo.scoring.claims.times import answer_length, count_claim, read_times
from music_flamingo.scoring.claims.wording import plain

_READERS = (read_tempo, read_meter, read_keys, read_chords, read_form, read_times, read_players)
_QUOTE = re.compile(r'"[^"]{3,}"')
_TOPICS: tuple[tuple[str, str], ...] = (
    ("count", r"how many (?:different |distinct |separate )?(?P<what>bars|measures|downbeats|sections|parts|chords|triads|lines)|of how many (?P<other>sections|parts)"),
    ("meter", r"time signature|met(?:er|re)\b|how many (?:beats|pulses|counts)\b[^?]*\b(?:bar|measure)|what (?:\w+ )?rhythm|beats per (?:bar|measure)|taktart|compas\b"),
    ("tempo", r"tempo|bpm|beats (?:per|in a|a) minute|how fast|how slow|pace\b|speed"),
    ("chords", r"\bchords?\b|harmony"),
    ("key", r"\bkey\b|tonality|tonic|major or (?:a )?minor|minor or (?:a )?major|\bmode\b"),
    ("form", r"\bform\b|structure"),
    ("dynamics", r"\b(?:loudness|volume|dynamics?|louder|softer|quieter)\b"),
    ("length", r"how long (?:is|does|was|lasts) (?:the |this )?(?:whole |entire )?(?:piece|song|music|recording|track|clip|excerpt|tune|it)\b(?! (?:hold|stay|sustain))|(?:duration|length) of the (?:piece|song|music|recording|track|clip|excerpt)|what is (?:its|the) (?:total )?(?:length|duration)\?"),
)  # fmt: skip
_TOPIC = [(name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _TOPICS]
_ANSWERS: dict[str, Callable[[str], Iterable[SpokenClaim]]] = {
    "tempo": answer_tempo,
    "meter": answer_meter,
    "key": answer_key,
    "chords": answer_chord,
    "length": answer_length,
    "dynamics": answer_dynamics,
}
_POLAR = re.compile(r"^(?:is|are|does|do|did|can|could|has|have|was|were|will|would)\b", re.IGNORECASE)
_INVERTED = re.compile(
    r"^(is|are|was|were|does|do) ((?:the|this|its|it|there)\b(?: (?:piece|song|music|track|recording|tempo|pace|speed|mode|key|tonality|scale|meter|metre|third|beat"
    r"|pulse|loudness|volume|rhythm|texture))?) (.+?)(?:,? (?:yes or no|or not))?\?",
    re.IGNORECASE,
)
_YES, _NO = (
    re.compile(r"^\W*(?:yes|true|si|ja|oui|correct)\b", re.IGNORECASE),
    re.compile(r"^\W*(?:no|false|nein|non|incorrect)\b(?! \w+)", re.IGNORECASE),
)
_RELATION = re.compile(r"\b(relative|parallel)\b", re.IGNORECASE)
_RELATES = re.compile(r"\brelat(?:e|es|ed|ion|ionship)\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.:/])(\d+)(?![\w/%]|[.:]\d)")


@lru_cache(maxsize=65536)
def read_claims(text: str) -> tuple[SpokenClaim, ...]:
    """Read every claim of a text; what it quotes are words of a song."""
    bare = plain(_QUOTE.sub('""', text) if '"' in text else text)
    return tuple(claim for read in _READERS for claim in read(bare))


@lru_cache(maxsize=16384)
def topic_of(question: str) -> str | None:
    """Name what a question asks for, by its wording: `tempo`, `meter`, `key`, `chords`, `count`, `form`."""
    text = plain(question)
    return next((name for name, pattern in _TOPIC if pattern.search(text)), None)


@lru_cache(maxsize=16384)
def read_premises(question: str) -> tuple[SpokenClaim, ...]:
    """Read what a question takes for granted; a yes-or-no question and one between alternatives grant nothing."""
    if _POLAR.match(question) or re.search(r"\b(?:or|whether)\b", question):
        return tuple(c for c in read_claims(question) if c.is_place)
    if _RELATES.search(question):
        return tuple(c for c in read_claims(question) if c.kind != "key")
    return read_claims(question)


@lru_cache(maxsize=65536)
def read_answer(question: str, answer: str) -> tuple[SpokenClaim, ...]:
    """Read the claims of an answer in the light of its question."""
    return tuple(_in_context(question, answer))


def _in_context(question: str, answer: str) -> Iterator[SpokenClaim]:
    polar = bool(_POLAR.match(question))
    if polar and (_YES.match(answer) or _NO.match(answer)):
        denied = bool(_NO.match(answer))
        yield from (c.turned(denied) for c in _asked(question))
    topic, text = topic_of(question), plain(answer)
    if topic == "key" and (relation := _RELATION.search(question)):
        yield from read_claims(f"{relation.group(1)} {answer}")
        return
    own = [c for c in read_claims(answer) if topic != "length" or c.kind != "time"]
    if topic == "chords":
        # `Eb, Bb and C minor` names chords, `a cadence in C minor` a key
        own = [c for c in own if c.kind != "key" or re.search(rf"\b(?:in|key of|key is|of) {re.escape(c.said)}", text)]
    yield from own
    if topic == "count" and not any(c.kind in ("count", "meter") for c in own):
        yield from _counted(question, text)
    elif topic in _ANSWERS and not any(c.kind == topic for c in own):
        yield from _ANSWERS[topic](text)
    elif topic == "form" and not any(c.kind == "form" for c in own):
        yield from read_form(f"{text} form")


def _asked(question: str) -> list[SpokenClaim]:
    """Read what a yes-or-no question asks: `Is the mode minor?` asks whether the mode is minor."""
    asked = [c for c in read_claims(question) if not c.is_place]
    inverted = _INVERTED.match(question)
    if not asked and inverted:
        asked = [c for c in read_claims("{1} {0} {2}.".format(*inverted.groups())) if not c.is_place]
    return asked


def _counted(question: str, text: str) -> Iterator[SpokenClaim]:
    found = _TOPIC[0][1].search(plain(question))
    number = _NUMBER.search(text)
    if found is None or number is None:
        yield unmeasured("count", text)
    else:
        yield count_claim(text, found["what"] or found["other"], int(number[1]))
