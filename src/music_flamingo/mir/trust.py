"""The gate of facts: decide which are trusted. The others stay on record and are withheld from every consumer.

not_music      the recording is of something else: nothing musical is said of it
no_pitch       nothing holds a pitch (drums, clicks, noise): no key, no chords, no melody
not_known      whether it is music is not known: too short, or drums in what is said to be none
sung           a voice leads: whether it is struck or bowed is no question
spoken         somebody speaks over the music: beats, texture and envelope may be those of the words
unaccompanied  one voice sings alone: its pulse is free, and the beats that are found in it are syllables
unsure         the confidence is below the fact's least
unsung         words come with the recording, and nobody is heard to sing or speak in it
disputed       the tagger hears drums where the analysis of the sound hears none, or the other way round
"""

from collections.abc import Iterable, Iterator
from math import log

from pydantic import BaseModel, ConfigDict, Field, field_validator

from music_flamingo.core.ranges import Fraction
from music_flamingo.mir.voices import VOICE, hears_drums, speaks_over_music
from music_flamingo.records import MEASURED, Content, Facts, Tempo, Withheld
from music_flamingo.records.heard import HAS_DRUMS, LEAD_ENVELOPE, SOUND_CLAIMS, TEXTURE

MUSICAL = tuple(name for name in MEASURED if name not in ("content", "voice"))
"""A voice may speak where there is no music."""
OF_CLAIMS = {
    "beats.beats_per_bar": "meter_confidence",
    **{claim.fact: claim.confidence for claim in SOUND_CLAIMS},
}
"""Claims of a fact with a confidence of their own: the claim -> the field that has it."""
NEEDS_PITCH = ("key", "chords", *(claim.fact for claim in SOUND_CLAIMS if claim.needs_pitch))

OF_PULSE = ("beats", "tempo")
SHORTEST_S = 2.0
"""In less a detector hears no music where some plays: in 5 of 41 pitched recordings of 1 s."""
MUSIC_UNDER_SPEECH = 0.15
"""Share of music from which on speech is not said to be without any."""
ACCOMPANIED_FROM = 0.1
"""Share of the time in which there is music and nobody sings, from which on something accompanies. No fit: the one
unaccompanied song of the shared recordings has 0, a band with a singer .36."""


class TrustRules(BaseModel):
    """When a fact is trusted."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    least_confidence: dict[str, Fraction]
    """Fact, or one claim of a fact -> the least confidence: if calibrated, the least probability to be right."""
    min_partials: float = Field(ge=0)
    """Fewer held partials than this, and nothing has a pitch ..."""
    min_partials_share: float = Field(ge=0, le=1)
    """... unless they hold this share of the power."""
    sung_from_share: float = Field(gt=0, le=1)
    """Of the audible time: from here on a voice leads."""
    two_levels_from: Fraction
    """The least probability that one of two levels is right, for a tempo that names two: one is right at best, so it is
    to be surer than a tempo that names one. Two levels of which the second is the likelier are not trusted."""

    @field_validator("least_confidence")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        known = (*MEASURED, *OF_CLAIMS)
        if unknown := sorted(set(value) - set(known)):
            raise ValueError(f"no facts: {', '.join(unknown)}. Facts: {', '.join(known)}.")
        return value


def is_pitched(content: Content, rules: TrustRules) -> bool:
    """Whether something in the recording has a definite pitch."""
    return content.num_partials >= rules.min_partials or content.partials_share >= rules.min_partials_share


def withheld(facts: Facts, rules: TrustRules) -> list[Withheld]:
    """What of the facts is not to be handed on, each with the first reason against it, in the order of the facts."""
    found: dict[str, Withheld] = {}
    for entry in _reasons(facts, rules):
        whole = entry.fact.partition(".")[0]
        if getattr(facts, whole) is not None and whole not in found:
            found.setdefault(entry.fact, entry)
    return list(found.values())


def _confidence(facts: Facts, name: str) -> float | None:
    fact = getattr(facts, name.partition(".")[0])
    sure: float | None = getattr(fact, OF_CLAIMS.get(name, "confidence"), None)
    return sure


def _reasons(facts: Facts, rules: TrustRules) -> Iterator[Withheld]:
    content = facts.content
    if content is not None and content.kind != "music":
        yield from (Withheld(fact=name, reason="not_music") for name in MUSICAL)
    if content is not None and is_not_known(facts, content, rules):
        yield from (Withheld(fact=name, reason="not_known") for name in ("content", "voice", *MUSICAL))
    if speaks_over_music(facts):
        yield from (Withheld(fact=name, reason="spoken") for name in (*OF_PULSE, TEXTURE.fact, LEAD_ENVELOPE.fact))
    if content is not None and content.singing_share >= rules.sung_from_share and _is_alone(facts, content):
        yield from (Withheld(fact=name, reason="unaccompanied") for name in OF_PULSE)
    yield from _unsure(facts, rules, MEASURED)
    if any(entry.fact == "beats" for entry in _unsure(facts, rules, ("beats",))):
        yield Withheld(fact="tempo", reason="unsure")  # it was counted from them
    if facts.tempo is not None and _is_level_open(facts.tempo, rules):
        yield Withheld(fact="tempo", reason="unsure")
    if content is not None and not is_pitched(content, rules):
        yield from (Withheld(fact=name, reason="no_pitch") for name in NEEDS_PITCH)
    if content is not None and content.singing_share >= rules.sung_from_share:
        yield from (Withheld(fact=claim.fact, reason="sung") for claim in SOUND_CLAIMS if claim.not_of_voices)
    if facts.lyrics is not None and facts.lyrics.available and _is_voiceless(facts, rules):
        yield Withheld(fact="lyrics", reason="unsung")
    if _disputes_drums(facts):
        yield Withheld(fact=HAS_DRUMS.fact, reason="disputed")
    yield from _unsure(facts, rules, OF_CLAIMS)


def _unsure(facts: Facts, rules: TrustRules, names: Iterable[str]) -> Iterator[Withheld]:
    for name in names:
        confidence = _confidence(facts, name)
        if confidence is not None and confidence < rules.least_confidence.get(name, 0.0):
            yield Withheld(fact=name, reason="unsure")


def is_not_known(facts: Facts, content: Content, rules: TrustRules) -> bool:
    """Whether what the recording is of is left open: the tools disagree, or there is too little of it."""
    drums = facts.sound is not None and facts.sound.has_drums and bool(hears_drums(facts.instruments))
    if content.kind == "music":
        return not is_pitched(content, rules) and facts.sound is not None and not facts.sound.has_drums
    if content.kind == "speech":
        return content.music_share >= MUSIC_UNDER_SPEECH
    return drums or (facts.duration_s is not None and facts.duration_s < SHORTEST_S)


def _is_level_open(tempo: Tempo, rules: TrustRules) -> bool:
    """Whether two levels are said and the second is the likelier, or neither is likely enough."""
    if tempo.also_bpm is None:
        return False
    odds = {level.bpm: level.probability for level in tempo.levels} or {tempo.bpm: 0.0}
    first, second = (odds[min(odds, key=lambda bpm: abs(log(bpm / said)))] for said in (tempo.bpm, tempo.also_bpm))
    return second > first or tempo.confidence < rules.two_levels_from


def _is_voiceless(facts: Facts, rules: TrustRules) -> bool:
    voice = facts.voice
    least = rules.least_confidence.get("voice", 0.0)
    return voice is not None and not voice.present and voice.confidence >= least


def _is_alone(facts: Facts, content: Content) -> bool:
    """Whether the voice that leads is one and nothing else plays."""
    others = {one.name for one in facts.instruments.labels} - {VOICE} if facts.instruments else set()
    is_one_line = facts.sound is not None and facts.sound.texture == "melody"
    return is_one_line and not others and content.music_share - content.singing_share < ACCOMPANIED_FROM


def _disputes_drums(facts: Facts) -> bool:
    heard = hears_drums(facts.instruments)
    return facts.sound is not None and heard is not None and facts.sound.has_drums is not heard
