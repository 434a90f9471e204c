"""What keeps GRPO's groups different: redraws, groups passed over, clip-higher, an entropy floor, faithful chains."""

import json

import numpy as np
import pytest
import torch
from support import tiny_world as world

from music_flamingo.rewards.judge import Rules, Task, parts_of, total
from music_flamingo.training.grpo.drawing import without_spread
from music_flamingo.training.grpo.trainer import AudioGRPOTrainer
from music_flamingo.training.optimiser import LinearDecay, Optimiser
from tests.unit.test_grpo import config_of, prompts, trainer_of

NONE = {"redraws": 0, "no_spread": "keep", "epsilon_high": None, "entropy_floor": None}
QUESTION = "Is either sustained notes or chords heard, but not both, yes or no?"
TASK = Task("either_or", False, "choice", "yes", ("yes", "no"), (), QUESTION)
RULES = Rules({"question": {"format": 1.0, "accuracy": 1.0, "faithful": 0.5}, "caption": {}}, "matched_categories", 250)


def test_a_group_has_no_spread_where_all_that_can_be_scored_earn_the_same():
    rewards = [1.0, 1.0, 1.0, 2.0, 0.5, None, None, None, 1.0, 1.0 + 1e-9, 1.0, None]
    assert without_spread(rewards, 3) == [True, False, True, True]


def scripted(monkeypatch, trainer, answers):
    """`answers`: (row, attempt) -> the words of its four answers, in place of the model's."""
    tokenizer = trainer._processor.tokenizer
    calls = []

    def by_model(self, model, places, ids, attempt):
        calls.append(len(places))
        words = [answers(self._rows[place], attempt)[place % 4] for place in places]
        return [[*tokenizer(w, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for w in words]

    monkeypatch.setattr(AudioGRPOTrainer, "_by_model", by_model)
    return calls


def rows_of(*rows: int) -> list[dict]:
    return [{"prompt": [{"role": "user", "content": "?"}], "row": row} for row in rows for _ in range(4)]


def right(row: int) -> str:
    return f"<think>It is so.</think><answer>{prompts()[row].item.reference}</answer>"


def test_a_group_without_spread_is_drawn_again_and_the_first_draw_with_spread_stands(tmp_path, monkeypatch):
    trainer = trainer_of(tmp_path, exploration={**NONE, "redraws": 3})
    flat = lambda row: [right(row)] * 4  # noqa: E731
    mixed = lambda row: [right(row), "no", "no", "no"]  # noqa: E731
    calls = scripted(monkeypatch, trainer, lambda row, attempt: mixed(row) if row == 1 or attempt == 2 else flat(row))
    scored = trainer._generate_and_score_completions(rows_of(0, 1, 2))
    assert calls == [12, 8, 8], "first all, then the two flat groups, twice"
    assert trainer._metrics["train"]["redrawn"] == [4.0]
    assert (scored["advantages"].view(3, 4).abs().sum(1) > 0).all()


def test_redraws_are_bounded(tmp_path, monkeypatch):
    trainer = trainer_of(tmp_path, exploration={**NONE, "redraws": 2})
    calls = scripted(monkeypatch, trainer, lambda row, attempt: [right(row)] * 4)
    trainer._generate_and_score_completions(rows_of(0, 1, 2))
    assert calls == [12, 12, 12] and trainer._metrics["train"]["redrawn"] == [6.0]


def test_the_first_draw_of_a_row_is_the_same_with_redraws_and_without(tmp_path):
    trainer = trainer_of(tmp_path)
    trainer._rows = [0] * 4 + [1] * 4
    assert trainer._seeds() == trainer._seeds(0) and not set(trainer._seeds(1)) & set(trainer._seeds())


def test_groups_passed_over_are_counted_and_leave_the_mean_to_the_rest(tmp_path, monkeypatch):
    trainer = trainer_of(tmp_path, exploration={**NONE, "no_spread": "pass_over"})
    mixed = lambda row: [right(row), "no", "no", "no"]  # noqa: E731
    scripted(monkeypatch, trainer, lambda row, attempt: mixed(row) if row == 1 else [right(row)] * 4)
    scored = trainer._generate_and_score_completions(rows_of(0, 1, 2))
    said = scored["completion_mask"].view(3, 4, -1).sum((1, 2)) > 0
    assert said.tolist() == [False, True, False]
    assert scored["share"].tolist() == [3.0] * 12
    assert trainer._metrics["train"]["passed_over"] == [2.0]


def test_where_no_group_has_spread_none_is_passed_over(tmp_path, monkeypatch):
    trainer = trainer_of(tmp_path, exploration={**NONE, "no_spread": "pass_over"})
    scripted(monkeypatch, trainer, lambda row, attempt: [right(row)] * 4)
    scored = trainer._generate_and_score_completions(rows_of(0, 1, 2))
    assert scored["share"].tolist() == [1.0] * 12 and scored["completion_mask"].any(1).all()
    assert trainer._metrics["train"]["passed_over"] == [0.0]


def losses_of(tmp_path, monkeypatch, no_spread: str) -> list[float]:
    """Losses of a step in which one of three groups has spread; beta 0, so that the others' loss is 0."""
    trainer = trainer_of(tmp_path, beta=0.0, steps=1, checkpoint_every=1, exploration={**NONE, "no_spread": no_spread})
    mixed = lambda row: [right(row), "no", "no way", "so"]  # noqa: E731
    scripted(monkeypatch, trainer, lambda row, attempt: mixed(row) if row == 1 else [right(row)] * 4)
    found = []
    original = AudioGRPOTrainer._compute_loss

    def spy(self, model, inputs):
        loss = original(self, model, inputs)
        loss_gradients = torch.autograd.grad(loss, next(model.parameters()), retain_graph=True, allow_unused=True)[0]
        found.append(float(loss_gradients.norm()) if loss_gradients is not None else 0.0)
        return loss

    monkeypatch.setattr(AudioGRPOTrainer, "_compute_loss", spy)
    trainer.train()
    return found


def test_what_is_passed_over_makes_the_rest_weigh_more(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kept = losses_of(tmp_path / "keep", patch, "keep")
    with monkeypatch.context() as patch:
        passed = losses_of(tmp_path / "pass", patch, "pass_over")
    np.testing.assert_allclose(passed, 3 * np.array(kept), rtol=1e-3)


def test_an_entropy_floor_costs_its_shortfall_and_reaches_the_weights(tmp_path):
    trainer = trainer_of(tmp_path, exploration={**NONE, "entropy_floor": {"nats": 50.0, "weight": 0.5}})
    surprise = torch.tensor([[2.0, 4.0, 9.0]], requires_grad=True)
    trainer._surprise = surprise, torch.tensor([[True, True, False]])
    cost = trainer._entropy_floor()
    assert cost.item() == pytest.approx(0.5 * (50.0 - 3.0))
    cost.backward()
    assert surprise.grad.tolist() == [[-0.25, -0.25, 0.0]]
    trainer._surprise = torch.full((1, 3), 60.0), torch.tensor([[True, True, True]])
    assert trainer._entropy_floor().item() == 0.0
    assert trainer_of(tmp_path / "none")._entropy_floor() == 0.0


def test_training_with_everything_on_ends_and_logs_it(tmp_path):
    everything = {
        "redraws": 1,
        "no_spread": "pass_over",
        "epsilon_high": 0.28,
        "entropy_floor": {"nats": 9.0, "weight": 0.1},
    }
    trainer = trainer_of(tmp_path, exploration=everything)
    assert trainer.epsilon_high == 0.28
    trainer.train()
    logged = [line for line in trainer.state.log_history if "loss" in line]
    assert len(logged) == 2 and all({"redrawn", "passed_over"} <= set(line) for line in logged)
    assert all(np.isfinite(line["loss"]) for line in logged)


def test_a_linear_schedule_falls_to_nothing_at_the_end():
    optimiser = Optimiser(
        learning_rate=2e-4,
        schedule=LinearDecay(kind="linear", warmup_steps=4),
        weight_decay=0.0,
        beta2=0.98,
        max_grad_norm=1.0,
        accumulation=1,
    )
    assert optimiser.arguments(70)["lr_scheduler_type"] == "linear"
    falling = json.loads(json.dumps({**world.OPTIMISER, "schedule": {"kind": "linear", "warmup_steps": 1}}))
    assert config_of(optimiser=falling).optimiser.schedule.kind == "linear"


@pytest.mark.parametrize(
    ("output", "faithful"),
    [
        ("<think>Notes are decaying: wrong. Chords sound: right.</think><answer>yes</answer>", 1.0),
        ("<think>Notes are decaying: wrong. One melody sounds: wrong.</think><answer>no</answer>", 1.0),
        ("<think>Notes are decaying: wrong.</think><answer>yes</answer>", 0.0),
        ("<think>Notes are decaying: wrong. Chords sound: right.</think><answer>no</answer>", 0.0),
        ("yes", 0.0),
    ],
)
def test_a_faithful_chain_earns_whether_its_answer_is_right_or_not(output, faithful):
    assert parts_of(output, TASK, RULES)["faithful"] == faithful


def test_only_composite_questions_can_be_faithful_and_without_a_weight_none_is():
    single = Task("drums", False, "choice", "yes", ("yes", "no"), (), "Are drums heard in this music, yes or no?")
    good = "<think>Drums play.</think><answer>yes</answer>"
    assert parts_of(good, single, RULES)["faithful"] is None
    off = Rules(
        {"question": {"format": 1.0, "accuracy": 1.0, "faithful": 0.0}, "caption": {}}, "matched_categories", 250
    )
    chain = "<think>Notes are decaying: wrong. Chords sound: right.</think><answer>yes</answer>"
    assert parts_of(chain, TASK, off)["faithful"] is None and total(parts_of(chain, TASK, off), TASK, off) == 2.0
    assert total(parts_of(chain, TASK, RULES), TASK, RULES) == 2.5
