"""Is the meter duple or triple?"""

from music_flamingo.scoring.families.base import Claim, Family

TRIPLE = {3: "triple", 9: "triple"}
DUPLE = {2: "duple", 4: "duple"}


def meter_class(beats_per_bar: int | None) -> str | None:
    """Name the class of a meter by its beats a bar; None where it is neither, or not known."""
    return (TRIPLE.get(beats_per_bar) or DUPLE.get(beats_per_bar)) if beats_per_bar else None


METER = Family(
    name="meter",
    title="Meter",
    skill="temporal",
    type="multiple_choice",
    question="Is the meter duple or triple?",
    claims={
        "duple": Claim("The meter is duple.", "Accents return after two or four beats.", "a duple meter"),
        "triple": Claim("The meter is triple.", "Accents return after three beats.", "a triple meter"),
    },
    unclear=Claim("The meter is unclear.", "Where the accents fall cannot be told for sure."),
    from_facts=lambda facts: meter_class(facts.beats.beats_per_bar) if facts.beats else None,
    from_truth=lambda truth: meter_class(truth.beats_per_bar),
    rests_on=("beats",),
    difficulty=3,
    category="meter",
)
