"""Is the tempo slow, medium or fast?"""

from music_flamingo.records import Facts, Truth
from music_flamingo.scoring.families.base import Claim, Family

SLOW_BELOW_BPM = 84.0
FAST_ABOVE_BPM = 128.0
"""Slow reaches up to adagio and andante's edge, fast begins at allegro; performances keep clear of the borders."""


def tempo_class(bpm: float) -> str:
    """Name the class of a tempo in beats a minute."""
    if bpm < SLOW_BELOW_BPM:
        return "slow"
    return "fast" if bpm > FAST_ABOVE_BPM else "medium"


def _from_facts(facts: Facts) -> str | None:
    # without drums a tempo class is a guess: beat trackers double slow airs, and so do listeners
    if facts.tempo is None or facts.sound is None or not facts.sound.has_drums:
        return None
    if facts.tempo.also_bpm and tempo_class(facts.tempo.also_bpm) != tempo_class(facts.tempo.bpm):
        return None
    return tempo_class(facts.tempo.bpm)


def _from_truth(truth: Truth) -> str | None:
    return tempo_class(truth.tempo_bpm) if truth.has_drums else None


TEMPO_CLASS = Family(
    name="tempo_class",
    title="Tempo class",
    skill="temporal",
    type="multiple_choice",
    question="Is the tempo slow, medium or fast?",
    claims={
        "slow": Claim("The beat is slow.", "The beats lie far apart, as in an adagio.", "a slow beat"),
        "medium": Claim("The beat is medium.", "The beats come at a walking pace.", "a medium beat"),
        "fast": Claim("The beat is fast.", "The beats follow each other quickly, as in an allegro.", "a fast beat"),
    },
    unclear=Claim("The beat is unclear.", "Which of the pulses is the beat cannot be told for sure."),
    from_facts=_from_facts,
    from_truth=_from_truth,
    rests_on=("tempo", "sound"),
    difficulty=2,
    category="bpm",
    tells=("drums",),
)
