"""Questions that words alone answer: artefacts are found, an unbalanced family is none, no question judges itself."""

import json
import random

import pytest
from support import songs

from music_flamingo.quality.overview import text_only
from music_flamingo.quality.text_only import (
    BlindQuestion,
    PriorConfig,
    TextOnly,
    count,
    fold_of,
    needs_no_audio,
    right_beyond_chance,
)

CONFIG = PriorConfig.model_validate_json(json.dumps(songs.params("validate")["text_only"]))
NAMES = [f"option {k}" for k in range(40)]


def judged(asked: list[BlindQuestion], by: TextOnly | None = None) -> list:
    """Each half by the counts of the other, as folds do."""
    halves = asked[::2], asked[1::2]
    whole = count(asked)
    guesses = []
    for half in halves:
        guesses += [TextOnly(whole, count(half), CONFIG.smoothing).guess(q) for q in half]
    return guesses


def dropped(asked: list[BlindQuestion]) -> float:
    return sum(needs_no_audio(g, CONFIG) for g in judged(asked)) / len(asked)


def closed(answer: str) -> BlindQuestion:
    return BlindQuestion("drums", "Are drums heard in this music, yes or no?", ("yes", "no"), answer, False)


def drawn(rng: random.Random, question: str = "Which one is it?", options: list[str] | None = None) -> BlindQuestion:
    chosen = options or rng.sample(NAMES, 4)
    return BlindQuestion("free", question, tuple(chosen), rng.choice(chosen), True)


@pytest.mark.parametrize("share_of_yes", [0.5, 0.7, 0.97])
def test_a_closed_family_stays_at_its_prior_however_unbalanced(share_of_yes):
    rng = random.Random(1)
    asked = [closed("yes" if rng.random() < share_of_yes else "no") for _ in range(400)]
    assert dropped(asked) == 0.0
    accuracy = sum(g.is_right for g in judged(asked)) / len(asked)
    assert accuracy == pytest.approx(max(share_of_yes, 0.5), abs=0.1)


def test_fair_questions_with_drawn_options_are_answered_by_chance_and_kept():
    rng = random.Random(2)
    asked = [drawn(rng) for _ in range(600)]
    assert dropped(asked) == 0.0
    guesses = judged(asked)
    assert sum(g.is_right for g in guesses) / len(guesses) == pytest.approx(0.25, abs=0.07)


def test_an_answer_that_is_always_the_longest_gives_itself_away():
    rng = random.Random(3)
    asked = []
    for _ in range(300):
        options = rng.sample(NAMES, 4)
        answer = options[rng.randrange(4)]
        longer = [f"{o} and so on" if o == answer else o for o in options]
        asked.append(BlindQuestion("free", "Which one is it?", tuple(longer), f"{answer} and so on", True))
    assert dropped(asked) == 1.0
    assert {g.cue for g in judged(asked)} == {"shape"}


def test_an_answer_that_alone_repeats_the_question_gives_itself_away():
    rng = random.Random(4)
    asked = []
    for _ in range(300):
        options = [f"{name} here" for name in rng.sample(["violin", "piano", "flute", "oboes", "harps"], 4)]
        answer = rng.choice(options)
        question = f"After the {answer.split()[0]} solo, who plays?"
        asked.append(BlindQuestion("free", question, tuple(options), answer, True))
    assert dropped(asked) > 0.9


def test_a_word_of_the_question_that_goes_with_an_answer_gives_it_away():
    rng = random.Random(5)
    asked = []
    for _ in range(400):
        answer = rng.choice(["slow", "fast"])
        mood = {"slow": "gentle", "fast": "driving"}[answer]
        asked.append(BlindQuestion("pace", f"Is this {mood} piece slow or fast?", ("slow", "fast"), answer, False))
    assert dropped(asked) == 1.0
    assert {g.cue for g in judged(asked)} == {"words"}


def test_a_dozen_questions_prove_nothing():
    asked = [BlindQuestion("pace", "Is this gentle piece slow or fast?", ("slow", "fast"), "slow", False)] * 6
    assert dropped(asked) == 0.0


def test_no_question_is_judged_by_counts_that_it_is_part_of():
    rng = random.Random(6)
    asked = [drawn(rng, f"What of riddle {k}x?") for k in range(40)]
    alone = [TextOnly(count(asked), count([q]), CONFIG.smoothing).guess(q) for q in asked]
    without = [TextOnly(count([o for o in asked if o is not q]), {}, CONFIG.smoothing).guess(q) for q in asked]
    assert alone == without


def test_a_track_lies_in_one_fold():
    assert {fold_of("a track", 5) for _ in range(3)} == {fold_of("a track", 5)}
    assert {fold_of(f"t{k}", 5) for k in range(100)} == set(range(5))


@pytest.mark.parametrize(("right", "tries", "chance", "p"), [(5, 5, 0.5, 1 / 32), (0, 5, 0.5, 1.0), (3, 3, 0.2, 0.008)])
def test_the_tail_is_that_of_the_binomial(right, tries, chance, p):
    assert right_beyond_chance(right, tries, chance) == pytest.approx(p)


def test_accuracy_by_family_stands_beside_chance():
    import pyarrow as pa

    rows = pa.table(
        {
            "family": ["a", "a", "a", "b", "b"],
            "reason": ["", "", "answered_without_audio", "", "control_tokens"],
            "text_right": [True, False, True, None, False],
            "text_chance": [0.5, 0.5, 0.5, None, 0.25],
        }
    )
    first, second = text_only(rows)
    assert (first.family, first.num_questions, first.num_dropped) == ("a", 3, 1)
    assert first.accuracy == pytest.approx(2 / 3)
    assert (second.family, second.accuracy, second.chance) == ("b", 0.0, 0.25)
