"""Are drums heard?"""

from music_flamingo.records.heard import HAS_DRUMS as CLAIM
from music_flamingo.scoring.families.base import Claim, Family

DRUMS = Family(
    name="drums",
    title="Drums",
    skill="attribute",
    type="multiple_choice",
    question="Are drums heard in this music, yes or no?",
    claims={
        "yes": Claim(
            "Drums play.",
            "A drum kit plays along and marks the beat.",
            "drums",
            in_window=("a drum kit plays along", "drums mark the beat"),
            in_truth=("and drums", "with drums"),
            in_rich=("It plays with drums, which mark the beat.", "A kit plays along, with drums on the beat."),
        ),
        "no": Claim(
            "No drums play.",
            "Only pitched notes sound, and no drum marks the beat.",
            "no drums",
            in_window=("there are no drums",),
            in_rich=("There are no drums.", "There are no drums: the pitches carry the beat."),
        ),
    },
    unclear=Claim("Drums are unclear.", "Whether a drum plays cannot be told for sure."),
    from_facts=lambda facts: CLAIM.answer(facts.sound),
    from_truth=CLAIM.answer,
    claim=CLAIM,
    rests_on=("sound",),
    difficulty=1,
    category="instruments",
)
