"""Is all of this heard? A conjunction: one false part makes it no, so near misses have exactly one."""

from music_flamingo.scoring.families.base import yes_no
from music_flamingo.scoring.families.composite import Composite

ALL_HEARD = Composite(
    name="all_heard",
    title="All of it",
    skill="comparative",
    type="multiple_choice",
    wording="Is all of this heard: {parts}, yes or no?",
    joint=", ",
    sizes=(2, 3, 3),
    options=("yes", "no"),
    answer=lambda held, asked: yes_no(held == asked),
    num_false=lambda rng, size: rng.choice((0, 1)),
    difficulty=4,
)
