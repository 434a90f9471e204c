"""Is one of two heard, but not both? No part tells anything by itself, so that a single step cannot answer it."""

from music_flamingo.scoring.families.base import yes_no
from music_flamingo.scoring.families.composite import Composite

EITHER_OR = Composite(
    name="either_or",
    title="One but not both",
    skill="comparative",
    type="multiple_choice",
    wording="Is either {parts} heard, but not both, yes or no?",
    joint=" or ",
    sizes=(2,),
    options=("yes", "no"),
    answer=lambda held, asked: yes_no(held == 1),
    num_false=lambda rng, size: rng.choice((0, 1, 1, 2)),
    difficulty=5,
)
