"""Does one melody sound, or do chords?"""

from music_flamingo.records.heard import TEXTURE as CLAIM
from music_flamingo.scoring.families.base import Claim, Family

TEXTURE = Family(
    name=CLAIM.name,
    title="Texture",
    skill="attribute",
    type="multiple_choice",
    question="Is the texture a melody alone or chords?",
    claims={
        "melody": Claim(
            "One melody sounds.",
            "One line sounds alone, with no notes beneath it.",
            "one melody",
            in_window=("a single line sounds alone", "one melody is heard by itself"),
            in_rich=("A single line carries the music, without chords beneath it.", "A single melody is heard."),
        ),
        "chords": Claim(
            "Chords sound.",
            "Several notes sound at the same time and form chords.",
            "chords",
            in_window=("several notes sound together", "the notes come in chords"),
            in_rich=("The texture is chordal.", "Several notes sound at once, so that chords carry it."),
        ),
    },
    unclear=Claim("Texture is unclear.", "How many lines sound together cannot be told for sure."),
    from_facts=lambda facts: CLAIM.answer(facts.sound),
    from_truth=CLAIM.answer,
    claim=CLAIM,
    rests_on=("sound",),
    difficulty=2,
    category="theory",
    covered_by_drums=True,
    covered_by_chords=True,
)
