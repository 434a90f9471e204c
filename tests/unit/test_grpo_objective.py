"""What GRPO's loss is a mean of: answers or tokens; answers without an end left out; a penalty for repetition."""

import pytest
import torch

from music_flamingo.rewards.repeated import repeated_reward
from music_flamingo.training.grpo.trainer import AudioGRPOTrainer
from tests.unit.test_grpo import trainer_of
from tests.unit.test_grpo_exploration import right, rows_of, scripted

PAPER = {"mean_over": "answers", "overlong": "keep"}


def scored_of(trainer, monkeypatch, cut: bool):
    """A draw whose answers to row 0 are right, wrong, wrong and longer, and (if `cut`) without an end."""
    scripted(monkeypatch, trainer, lambda row, attempt: [right(row), "no", "no way at all", "so"])
    ended = AudioGRPOTrainer._by_model

    def by_model(self, model, places, ids, attempt):
        said = ended(self, model, places, ids, attempt)
        return [ids[:-1] if cut and place % 4 == 3 else ids for place, ids in zip(places, said, strict=True)]

    monkeypatch.setattr(AudioGRPOTrainer, "_by_model", by_model)
    return trainer._generate_and_score_completions(rows_of(0))


def test_an_answer_that_was_cut_off_is_left_out_when_that_is_wanted(tmp_path, monkeypatch):
    for overlong, taught in (("keep", [True] * 4), ("leave_out", [True, True, True, False])):
        with monkeypatch.context() as patch:
            trainer = trainer_of(tmp_path / overlong, objective={**PAPER, "overlong": overlong})
            scored = scored_of(trainer, patch, cut=True)
            assert scored["completion_mask"].any(1).tolist() == taught
            assert scored["advantages"].abs().min() > 0  # its reward counts in the group all the same


def test_a_loss_over_tokens_weighs_every_token_alike(tmp_path, monkeypatch):
    trainer = trainer_of(tmp_path, beta=0.0, objective={"mean_over": "tokens", "overlong": "leave_out"})
    assert trainer.loss_type == "dapo"
    scored = scored_of(trainer, monkeypatch, cut=True)
    assert scored["num_items_in_batch"] == scored["completion_mask"].sum() and (scored["share"] == 1).all()
    trainer.current_gradient_accumulation_steps = 1
    loss = trainer._compute_loss(trainer.model, scored)
    # the ratio is 1 where nothing was updated yet: what is left of the loss are the advantages
    mask, advantages = scored["completion_mask"], scored["advantages"]
    expected = -(mask * advantages[:, None]).sum() / mask.sum()
    assert float(loss) == pytest.approx(float(expected), abs=1e-5)


def test_the_papers_loss_weighs_every_answer_alike(tmp_path, monkeypatch):
    trainer = trainer_of(tmp_path, beta=0.0, objective=PAPER)
    assert trainer.loss_type == "grpo"
    scored = scored_of(trainer, monkeypatch, cut=False)
    trainer.current_gradient_accumulation_steps = 1
    assert float(trainer._compute_loss(trainer.model, scored)) == pytest.approx(0.0, abs=1e-5)
    assert not torch.equal(scored["completion_mask"].sum(1)[:1], scored["completion_mask"].sum(1)[1:2])


@pytest.mark.parametrize(
    ("output", "reward"),
    [
        ("", 0.0),
        ("It is fast and loud.", 0.0),
        ("The beat is fast. The beat is slow.", 0.0),
        ("the beat is fast the beat is fast", -0.2),
        ("again " * 40, 1 / 37 - 1),
    ],
)
def test_what_is_said_again_costs_its_share(output, reward):
    assert repeated_reward(output) == pytest.approx(reward)
