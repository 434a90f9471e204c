"""Read a text, a question's premise, or an answer in the light of its question."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from music_flamingo.scoring.claims.base import SpokenClaim, unmeasured
from music_flamingo.scoring.claims.events import answer_event, answer_part, read_events
from music_flamingo.scoring.claims.harmony import answer_chord, place_in, read_chords, read_form
from music_flamingo.scoring.claims.keys import answer_key, read_keys
from music_flamingo.scoring.claims.loudness import answer_dynamics, answer_envelope, answer_texture
from music_flamingo.scoring.claims.meter import answer_meter, read_meter
from music_flamingo.scoring.claims.players import read_players
from music_flamingo.scoring.claims.sung import answer_language, answer_theme, answer_words, read_sung, without_quotes
from music_flamingo.scoring.claims.tempo import answer_tempo, read_tempo
from music_flamingo.scoring.claims.times import answer_length, count_claim, read_figures, read_times
from music_flamingo.scoring.claims.wording import plain

_READERS = (read_tempo, read_meter, read_keys, read_chords, read_form, read_events, read_times, read_players)
_TOPICS: tuple[tuple[str, str], ...] = (
    ("count", r"how many (?:different |distinct |separate )?(?P<what>bars|measures|downbeats|sections|parts|chords|triads|lines)|of how many (?P<other>sections|parts)"),
    ("meter", r"time signature|met(?:er|re)\b|how many (?:beats|pulses|counts)\b[^?]*\b(?:bar|measure)|(?:pulse|beats?|it) (?:is |are )?grouped|conduct|counted\b|\bin [2-9]\?|what time is it in|what (?:\w+ )?rhythm|beats per (?:bar|measure)|taktart|compas\b"),
    ("theme", r"what (?:are|is|do|does|did) (?:the |these |her |his |its )?(?:words|lyrics?|text|song|singer|verses?|sung|story|being sung|she|he)\b[^?]*\b(?:about|of|say|tell|describe)|\b(?:theme|subject|topic|message|story)\b|lyric_themes"),
    ("language", r"\blanguage\b"),
    ("texture", r"\btexture\b|\b(?:line|melody)\b[^?]*\bor\b[^?]*\b(?:chords?|texture|several)"),
    ("envelope", r"\bnotes?\b[^?]*\b(?:held|hold|sustain\w*|die|decay\w*|fade|attack)\b"),
    ("words", r"(?:which|what|first|last|opening|final) (?:\w+ )?(?:words?|line|lyrics?|phrase)\b"),
    ("event", r"^(?:at what (?:time|point|moment|second)|when)\b|\bat what time\b|how (?:far|many seconds) in\b"),
    ("part", r"(?:which|what) (?:section|part|portion)\b[^?]*\b(?:opens?|begins?|starts?|first|ends?|closes?|last|finishes|concludes?|contrasting)|what (?:follows|comes after) the|how does (?:the|this) (?:song|piece|music|track) (?:open|begin|start|close|end|finish)\?"),
    ("tempo", r"tempo|bpm|how many (?:beats|pulses)\b[^?]*\bminute|\b(?:slow|fast|quick)\b[^?]*\bor\b[^?]*\b(?:slow|fast|quick|medium|moderate)|beats (?:per|in a|a|go by in a|pass in a|every|each) minute|metronome|how (?:fast|slow|quick)|pace\b|speed|pulse rate"),
    ("chords", r"\bchords?\b|harmony"),
    ("key", r"\bkey\b|tonality|tonic|ton(?:al)? cent(?:er|re)|key ?note|home (?:note|key|pitch)|feels like home|scale\b|(?:relative|parallel) (?:major|minor)|major or (?:a )?minor|minor or (?:a )?major|\bmode\b"),
    ("form", r"\bform\b|structure|layout|letters"),
    ("dynamics", r"\b(?:loudness|volume|dynamic(?:s|ally)?|louder|softer|quieter)\b"),
    ("length", r"how long (?:is|does|was|lasts) (?:the |this )?(?:whole |entire )?(?:piece|song|music|recording|track|clip|excerpt|tune|it)\b(?! (?:hold|stay|sustain))|(?:duration|length) of the (?:piece|song|music|recording|track|clip|excerpt)|what is (?:its|the) (?:total )?(?:length|duration)\?"),
)  # fmt: skip
_TOPIC = [(name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _TOPICS]
_ANSWERS: dict[str, Callable[[str], Iterable[SpokenClaim]]] = {
    "tempo": answer_tempo,
    "meter": answer_meter,
    "key": answer_key,
    "envelope": answer_envelope,
    "texture": answer_texture,
    "language": answer_language,
    "theme": answer_theme,
    "length": answer_length,
    "dynamics": answer_dynamics,
}
_OF_QUESTION = {"event": answer_event, "part": answer_part, "words": answer_words}
"""Topics whose answers only the question's words explain."""
_POLAR = re.compile(r"^(?:is|are|does|do|did|can|could|has|have|was|were|will|would)\b", re.IGNORECASE)
_INVERTED = re.compile(
    r"^(is|are|was|were|does|do) ((?:the|this|its|it|there)\b(?: (?:piece|song|music|track|recording|tempo|pace|speed|mode|key|tonality|scale|meter|metre|third|beat"
    r"|tones|notes|chords|pulse|loudness|volume|rhythm|texture))?) (.+?)(?:,? (?:yes or no|or not))?\?",
    re.IGNORECASE,
)
_YES, _NO = (
    re.compile(r"^\W*(?:yes|true|si|ja|oui|correct)\b", re.IGNORECASE),
    re.compile(r"^\W*(?:no|false|nein|non|incorrect)\b(?! \w+)", re.IGNORECASE),
)
_ABSENT = re.compile(r"\b(?:absent|missing|lacking|silent|left out)\b", re.IGNORECASE)
_RELATION = re.compile(r"\b(relative|parallel)\b", re.IGNORECASE)
_RELATES = re.compile(r"\brelat(?:e|es|ed|ion|ionship)\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.:/])(\d+)(?![\w/%]|[.:]\d)")


@lru_cache(maxsize=65536)
def read_claims(text: str) -> tuple[SpokenClaim, ...]:
    """Read every claim of a text; what it quotes are words of a song."""
    claims = _known_claims(text)
    return (*claims, *read_figures(without_quotes(plain(text)), claims))


@lru_cache(maxsize=1024)
def _known_claims(text: str) -> tuple[SpokenClaim, ...]:
    """Read the claims of a text but for figures that nothing accounts for: a question may say what they count."""
    quoted = plain(text)
    bare = without_quotes(quoted)
    claims = [claim for read in _READERS for claim in read(bare)]
    return (*claims, *read_sung(bare, quoted))


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
    claims = tuple(_in_context(question, answer))
    return (*claims, *read_figures(without_quotes(plain(answer)), claims))


def _in_context(question: str, answer: str) -> Iterator[SpokenClaim]:
    polar = bool(_POLAR.match(question))
    if polar and (_YES.match(answer) or _NO.match(answer)):
        denied = bool(_NO.match(answer))
        yield from (c.turned(denied) for c in _asked(question))
    topic, text = topic_of(question), plain(answer)
    if topic == "key" and (relation := _RELATION.search(question)):
        yield from _known_claims(f"{relation.group(1)} {answer}")
        return
    own = [
        c
        for c in _known_claims(answer)
        if (topic != "language" or c.kind != "origin") and (topic != "length" or c.kind != "time")
    ]
    if not polar and _ABSENT.search(question):
        own = [c if c.denied else c.turned(True) for c in own]
    if topic == "chords":
        own = [*(c for c in own if c.kind != "chords"), *answer_chord(text, place_in(plain(question)))]
        # `Eb, Bb and C minor` names chords, `a cadence in C minor` a key
        own = [c for c in own if c.kind != "key" or re.search(rf"\b(?:in|key of|key is|of) {re.escape(c.said)}", text)]
    yield from own
    if topic in _OF_QUESTION:
        yield from _OF_QUESTION[topic](plain(question), text)
    if topic == "count" and not any(c.kind in ("count", "meter") for c in own):
        yield from _counted(question, text)
    elif topic in _ANSWERS and not any(c.kind == topic for c in own):
        yield from _ANSWERS[topic](text)
    elif topic == "form" and not any(c.kind == "form" for c in own):
        yield from read_form(f"{text} form")


def _asked(question: str) -> list[SpokenClaim]:
    """Read what a yes-or-no question asks: `Is the mode minor?` asks whether the mode is minor."""
    asked = [c for c in _known_claims(question) if not c.is_place]
    if _ABSENT.search(question):
        return [c.turned(True) for c in asked]
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
