"""Does one melody sound, or do chords?"""

from music_flamingo.scoring.families.base import Claim, Family

TEXTURE = Family(
    name="texture",
    title="Texture",
    skill="attribute",
    type="multiple_choice",
    question="Is the texture a melody alone or chords?",
    claims={
        "melody": Claim("One melody sounds.", "One line sounds alone, with no notes beneath it.", "one melody"),
        "chords": Claim("Chords sound.", "Several notes sound at the same time and form chords.", "chords"),
    },
    unclear=Claim("Texture is unclear.", "How many lines sound together cannot be told for sure."),
    from_facts=lambda facts: facts.sound.texture if facts.sound else None,
    from_truth=lambda truth: truth.texture,
    rests_on=("sound",),
    difficulty=2,
    category="theory",
    covered_by_drums=True,
    covered_by_chords=True,
)
