"""Do the notes of the leading instrument decay, or are they sustained?"""

from music_flamingo.scoring.families.base import Claim, Family

LEAD_ENVELOPE = Family(
    name="lead_envelope",
    title="Lead's notes",
    skill="attribute",
    type="technique",
    question="Are the notes of the leading instrument decaying or sustained?",
    claims={
        "decaying": Claim(
            "Notes are decaying.",
            "Each note of the lead is loudest at its attack and then dies away.",
            "decaying notes",
        ),
        "sustained": Claim(
            "Notes are sustained.", "Each note of the lead is held at its level until it ends.", "sustained notes"
        ),
    },
    unclear=Claim("Notes are unclear.", "Whether the notes are held cannot be told for sure."),
    from_facts=lambda facts: facts.sound.lead_envelope if facts.sound else None,
    from_truth=lambda truth: truth.lead_envelope,
    rests_on=("sound",),
    difficulty=2,
    category="mix_notes",
    covered_by_drums=True,
)
