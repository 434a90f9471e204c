"""Families of questions whose answer can be told from MIR facts (to train on) and from a score's truth (to test on).

The two never mix: `from_facts` labels training data, `from_truth` grades held-out pieces. Either gives None where
the question would not be fair, and then it is not asked.
"""

from collections.abc import Callable
from dataclasses import dataclass

from music_flamingo.records import Facts, Truth
from music_flamingo.records.example import QuestionType, Skill

SLOW_BELOW_BPM = 84.0
FAST_ABOVE_BPM = 128.0
"""Slow reaches up to adagio and andante's edge, fast begins at allegro; performances keep clear of the borders."""

TRIPLE = {3: "triple", 9: "triple"}
DUPLE = {2: "duple", 4: "duple"}


@dataclass(frozen=True)
class Family:
    """One kind of question with a closed set of answers."""

    name: str
    skill: Skill
    type: QuestionType
    question: str
    options: tuple[str, ...]
    from_facts: Callable[[Facts], str | None]
    from_truth: Callable[[Truth], str | None]


def tempo_class(bpm: float) -> str:
    if bpm < SLOW_BELOW_BPM:
        return "slow"
    return "fast" if bpm > FAST_ABOVE_BPM else "medium"


def meter_class(beats_per_bar: int) -> str | None:
    return TRIPLE.get(beats_per_bar) or DUPLE.get(beats_per_bar)


def yes_no(flag: bool) -> str:
    return "yes" if flag else "no"


def _fact_tempo(facts: Facts) -> str | None:
    # without drums a tempo class is a guess: beat trackers double slow airs, and so do listeners
    if facts.tempo is None or facts.sound is None or not facts.sound.has_drums:
        return None
    return tempo_class(facts.tempo.bpm)


def _truth_tempo(truth: Truth) -> str | None:
    return tempo_class(truth.tempo_bpm) if truth.has_drums else None


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="tempo_class",
            skill="temporal",
            type="multiple_choice",
            question="Is the tempo slow, medium or fast?",
            options=("slow", "medium", "fast"),
            from_facts=_fact_tempo,
            from_truth=_truth_tempo,
        ),
        Family(
            name="drums",
            skill="attribute",
            type="multiple_choice",
            question="Are drums heard in this music, yes or no?",
            options=("yes", "no"),
            from_facts=lambda facts: yes_no(facts.sound.has_drums) if facts.sound else None,
            from_truth=lambda truth: yes_no(truth.has_drums),
        ),
        Family(
            name="texture",
            skill="attribute",
            type="multiple_choice",
            question="Is the texture a melody alone or chords?",
            options=("melody", "chords"),
            from_facts=lambda facts: facts.sound.texture if facts.sound else None,
            from_truth=lambda truth: truth.texture,
        ),
        Family(
            name="lead_envelope",
            skill="attribute",
            type="technique",
            question="Are the notes of the leading instrument decaying or sustained?",
            options=("decaying", "sustained"),
            from_facts=lambda facts: facts.sound.lead_envelope if facts.sound else None,
            from_truth=lambda truth: truth.lead_envelope,
        ),
        Family(
            name="mode",
            skill="harmony",
            type="multiple_choice",
            question="Is this piece in a major or a minor key?",
            options=("major", "minor"),
            from_facts=lambda facts: facts.key.mode if facts.key else None,
            from_truth=lambda truth: truth.key.split()[1] if truth.key else None,
        ),
        Family(
            name="meter",
            skill="temporal",
            type="multiple_choice",
            question="Is the meter duple or triple?",
            options=("duple", "triple"),
            from_facts=lambda facts: meter_class(facts.beats.beats_per_bar) if facts.beats else None,
            from_truth=lambda truth: meter_class(truth.beats_per_bar),
        ),
    )
}
