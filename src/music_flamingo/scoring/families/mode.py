"""Is the piece in a major or a minor key?"""

from music_flamingo.scoring.families.base import Claim, Family

MODE = Family(
    name="mode",
    title="Mode",
    skill="harmony",
    type="multiple_choice",
    question="Is this piece in a major or a minor key?",
    claims={
        "major": Claim(
            "The third is major.", "The third above the tonic is the wide one, four semitones.", "a major key"
        ),
        "minor": Claim(
            "The third is minor.", "The third above the tonic is the narrow one, three semitones.", "a minor key"
        ),
    },
    unclear=Claim("The third is unclear.", "Which third lies above the tonic cannot be told for sure."),
    from_facts=lambda facts: facts.key.mode if facts.key else None,
    from_truth=lambda truth: truth.key.split()[1] if truth.key else None,
    rests_on=("key",),
    not_evidence=("drums",),
    difficulty=4,
    category="key",
    covered_by_chords=True,
)
