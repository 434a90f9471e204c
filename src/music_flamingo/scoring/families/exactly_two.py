"""Are exactly two of three heard? One more or one less is a near miss."""

from music_flamingo.scoring.families.base import yes_no
from music_flamingo.scoring.families.composite import Composite

EXACTLY_TWO = Composite(
    name="exactly_two",
    title="Exactly two",
    skill="comparative",
    type="multiple_choice",
    wording="Are exactly two of these heard: {parts}, yes or no?",
    joint=", ",
    sizes=(3,),
    options=("yes", "no"),
    answer=lambda held, asked: yes_no(held == 2),
    num_false=lambda rng, size: rng.choice((1, 1, 0, 2)),
    difficulty=5,
)
