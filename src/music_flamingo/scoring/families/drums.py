"""Are drums heard?"""

from music_flamingo.records import Facts
from music_flamingo.scoring.families.base import Claim, Family, yes_no


def _from_facts(facts: Facts) -> str | None:
    heard = facts.sound.has_drums if facts.sound else None
    return None if heard is None else yes_no(heard)


DRUMS = Family(
    name="drums",
    title="Drums",
    skill="attribute",
    type="multiple_choice",
    question="Are drums heard in this music, yes or no?",
    claims={
        "yes": Claim("Drums play.", "A drum kit plays along and marks the beat.", "drums"),
        "no": Claim("No drums play.", "Only pitched notes sound, and no drum marks the beat.", "no drums"),
    },
    unclear=Claim("Drums are unclear.", "Whether a drum plays cannot be told for sure."),
    from_facts=_from_facts,
    from_truth=lambda truth: yes_no(truth.has_drums),
    rests_on=("sound",),
    difficulty=1,
    category="instruments",
)
