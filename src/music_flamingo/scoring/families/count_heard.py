"""How many of these are heard? Each part must be listened for."""

from music_flamingo.scoring.families.composite import Composite

COUNT_HEARD = Composite(
    name="count_heard",
    title="How many of it",
    skill="comparative",
    type="multiple_choice",
    wording="How many of these are heard, 0, 1, 2 or 3: {parts}?",
    joint=", ",
    sizes=(3,),
    options=("0", "1", "2", "3"),
    answer=lambda held, asked: str(held),
    num_false=lambda rng, size: rng.randint(0, size),
    difficulty=5,
)
