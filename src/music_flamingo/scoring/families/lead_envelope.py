"""Do the notes of the leading instrument decay, or are they sustained?"""

from music_flamingo.records.heard import LEAD_ENVELOPE as CLAIM
from music_flamingo.scoring.families.base import Claim, Family, Rewording

TONE_PRODUCTION = Rewording(
    name="tone_production",
    skill="attribute",
    type="technique",
    wordings=(
        "Is the leading instrument struck or plucked, or is it bowed, blown or an organ?",
        "How is the tone of the leading instrument made: struck or plucked, or bowed, blown or organ?",
    ),
    answers={
        "decaying": ("struck or plucked", "Its notes die away after the attack."),
        "sustained": ("bowed, blown or organ", "Its notes do not die away while they last."),
    },
)
VOCAL_SUSTAIN = Rewording(
    name="vocal_sustain",
    skill="lyrics_vocal",
    type="technique",
    wordings=("Does the leading line hold its notes as a singing voice can, yes or no?",),
    answers={
        "sustained": ("yes", "Its notes are held as a voice holds them."),
        "decaying": ("no", "Its notes fade where a voice would hold."),
    },
)
LEAD_ENVELOPE = Family(
    name=CLAIM.name,
    title="Lead's notes",
    skill="attribute",
    type="technique",
    question="Are the notes of the leading instrument decaying or sustained?",
    claims={
        "decaying": Claim(
            "Notes are decaying.",
            "Each note of the lead is loudest at its attack and then dies away.",
            "decaying notes",
            in_window=("the notes die away after they are struck", "each note fades after its attack"),
            in_rich=("The leading instrument has decaying notes: struck or plucked, they fade after each attack.",),
        ),
        "sustained": Claim(
            "Notes are sustained.",
            "Each note of the lead is held at its level until it ends.",
            "sustained notes",
            in_window=("the notes are held at full level", "each note is sustained"),
            in_rich=(
                "The leading instrument has sustained notes: bowed, blown or from an organ, they hold their level.",
            ),
        ),
    },
    unclear=Claim("Notes are unclear.", "Whether the notes are held cannot be told for sure."),
    from_facts=lambda facts: CLAIM.answer(facts.sound),
    from_truth=CLAIM.answer,
    claim=CLAIM,
    reworded=(TONE_PRODUCTION, VOCAL_SUSTAIN),
    rests_on=("sound",),
    difficulty=2,
    category="mix_notes",
    covered_by_drums=True,
)
