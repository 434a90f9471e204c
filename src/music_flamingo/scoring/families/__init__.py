"""Families of questions whose answer follows from MIR facts (to train on) and from a score's truth (to test on).

One file a family, single or composite. A new one is its file, an entry in registry.py, and its weight in params.yaml.
"""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BeforeValidator

from music_flamingo.scoring.families.base import Claim, Family, Rewording, yes_no
from music_flamingo.scoring.families.checks import (
    ChainReading,
    check_sentence,
    check_sentences,
    composite_of,
    parts_asked,
    read_chain,
    without_verdict,
)
from music_flamingo.scoring.families.combinations import HeldOutCombinations
from music_flamingo.scoring.families.composite import (
    Composite,
    CompositeQuestion,
    NamedPart,
    heard_in_facts,
    heard_in_truth,
)
from music_flamingo.scoring.families.meter import meter_class
from music_flamingo.scoring.families.registry import COMPOSITES, FAMILIES
from music_flamingo.scoring.families.tempo_class import FAST_ABOVE_BPM, SLOW_BELOW_BPM, TEMPO_CLASS, tempo_class

SHORT_CAPTION = "short_caption"
"""The request for a caption of one sentence: no closed set of answers, so no Family."""

OPEN_NAMES = (
    *("bpm", "tempo_term", "bar_count", "bar_start", "second_section_start", "first_chord_change", "tone_production"),
    *("instrument", "singing", "genre"),
    *("vocal_sustain", "dynamics_trend", "dynamic_range", "key", "relative_key", "key_relation", "first_chord"),
    *("last_chord", "chord_at_time", "num_chords", "roman_numeral", "cadence", "modal_mixture", "harmonic_rhythm"),
    *("lyrics_first_words", "lyrics_line_count", "lyrics_line_start", "lyrics_last_word", "louder_half"),
    *(
        "busier_half",
        "leading_half",
        "same_outer_chords",
        "section_count",
        "form",
        "opening_returns",
        "longest_section",
    ),
)
"""Families of questions without a closed set of answers."""
OTHER = "other"
"""The family of a question that fits none: claims alone decide on it."""


def question_families() -> tuple[str, ...]:
    """Give the names that a teacher may call a question by."""
    return (*FAMILIES, *COMPOSITES, *OPEN_NAMES, OTHER)


def evidence_of(family: str, question: str = "") -> tuple[str, ...]:
    """Give the audible families that a chain goes through first; none for a family that is not here.

    Of a question about one percept they are the others on the sound; of a composite question those of its parts, in the
    order of its words. A short caption goes through the tempo and the sound: the structured reward of GRPO needs
    captions that think.
    """
    sound = tuple(other.name for other in on_sound())
    if family == SHORT_CAPTION:
        return (TEMPO_CLASS.name, *sound)
    if (parts := parts_asked(family, question)) is not None:
        return tuple(part.family for part in parts)
    if family not in FAMILIES:
        return ()
    return tuple(name for name in sound if name != family and name not in FAMILIES[family].not_evidence)


def on_sound() -> Iterable[Family]:
    """The families that rest on the measured sound alone: what report and review show of it."""
    return (family for family in FAMILIES.values() if family.rests_on == ("sound",))


def in_captions() -> tuple[Family, ...]:
    """Give the families on the sound in the order of captions: how notes sound, then who marks the beat."""
    return tuple(sorted(on_sound(), key=lambda family: family.category == "instruments"))


def _names(value: Any) -> Any:
    if not isinstance(value, dict):
        return tuple(value) if isinstance(value, list) else value
    order = [*FAMILIES, *COMPOSITES]
    return tuple(sorted(value, key=lambda name: order.index(name) if name in order else len(order)))


FamilyNames = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""Names of families; a mapping of families to weights, as training has it, gives its keys in the order
of FAMILIES and COMPOSITES."""

__all__ = [
    "COMPOSITES",
    "FAMILIES",
    "FAST_ABOVE_BPM",
    "OPEN_NAMES",
    "OTHER",
    "SHORT_CAPTION",
    "SLOW_BELOW_BPM",
    "ChainReading",
    "Claim",
    "Composite",
    "CompositeQuestion",
    "Family",
    "FamilyNames",
    "HeldOutCombinations",
    "NamedPart",
    "Rewording",
    "check_sentence",
    "check_sentences",
    "composite_of",
    "evidence_of",
    "heard_in_facts",
    "heard_in_truth",
    "in_captions",
    "meter_class",
    "on_sound",
    "parts_asked",
    "question_families",
    "read_chain",
    "tempo_class",
    "without_verdict",
    "yes_no",
]
