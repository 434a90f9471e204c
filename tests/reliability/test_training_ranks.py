"""Two processes learn what one learns: step by step the same losses, rates, gradients and samples."""

from pathlib import Path

import pytest
import ranked
import tiny_world as world
import torch
from ranked import FSDP2, ZERO_2, ZERO_3, on

from music_flamingo.model.files import load_model

pytestmark = [pytest.mark.reliability, pytest.mark.slow]

STEPS = {"steps": 6, "checkpoint_every": 100}
CLOSE = {"rel": 1e-5, "abs": 2e-6}
"""Another order of adding, in float32; the log has six digits."""
PORTS = ("tracks", "skills", "think", "backbone_model")


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Path:
    """A data folder in which one process has trained."""
    data = tmp_path_factory.mktemp("one") / "data"
    world.write_ports(data)
    world.run("backbone", data)
    world.run("sft", data, **STEPS)
    return data


@pytest.fixture
def data(one, tmp_path) -> Path:
    for port in PORTS:
        (tmp_path / port).symlink_to(one / port)
    return tmp_path


def same_steps(found: list[dict], expected: list[dict]) -> None:
    assert [line["samples"] for line in found] == [line["samples"] for line in expected]
    for name in ("loss", "learning_rate", "accuracy", "grad_norm"):
        values = [line[name] for line in found]
        assert values == pytest.approx([line[name] for line in expected], **CLOSE), name


def same_model(found: Path, expected: Path) -> None:
    mine, other = (load_model(folder)[0].state_dict() for folder in (found, expected))
    for name in other:
        torch.testing.assert_close(mine[name], other[name], rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("parallel", [FSDP2, ZERO_2, ZERO_3], ids=["fsdp2", "zero-2", "zero-3"])
def test_two_processes_learn_what_one_learns(one, data, parallel):
    same_steps(ranked.run("sft", data, 2, **STEPS, **on(parallel)), ranked.log_of("sft", one))
    same_model(data / "sft_model", one / "sft_model")


@pytest.mark.parametrize("parallel", [FSDP2, ZERO_2], ids=["fsdp2", "zero-2"])
def test_parts_of_a_step_make_the_same_step(one, data, parallel):
    """Two ranks, two parts each: the mean is over the whole batch, whatever each part weighs."""
    optimiser = {**world.OPTIMISER, "accumulation": 2}
    same_steps(ranked.run("sft", data, 2, **STEPS, **on(parallel), optimiser=optimiser), ranked.log_of("sft", one))


REINFORCED = {"steps": 4, "prompts_per_step": 2, "candidates": 1.0, "checkpoint_every": 100, "rollouts_every": 1}


@pytest.fixture(scope="module")
def one_reinforced(one) -> Path:
    world.run("warmup", one, steps=60, checkpoint_every=100)
    world.run("grpo", one, **REINFORCED)
    assert all(line["no_spread"] < 1 for line in ranked.log_of("grpo", one)), "something to learn in every step"
    return one


@pytest.mark.parametrize("parallel", [FSDP2, ZERO_2, ZERO_3], ids=["fsdp2", "zero-2", "zero-3"])
def test_two_processes_draw_and_learn_what_one_does(one_reinforced, data, parallel):
    """Each answer has its own seed, so that the draws agree; each group's advantages are those of the whole group."""
    (data / "warmup_model").symlink_to(one_reinforced / "warmup_model")
    found = ranked.run("grpo", data, 2, **REINFORCED, **on(parallel))
    expected = ranked.log_of("grpo", one_reinforced)
    assert [line["samples"] for line in found] == [line["samples"] for line in expected]
    for name in ("loss", "reward", "reward_std", "group_std", "no_spread", "kl", "entropy", "grad_norm"):
        values = [line[name] for line in found]
        assert values == pytest.approx([line[name] for line in expected], rel=1e-4, abs=2e-6), name
    mine, others = ((folder / "grpo_model" / "rollouts.jsonl").read_text() for folder in (data, one_reinforced))
    assert mine == others
    same_model(data / "grpo_model", one_reinforced / "grpo_model")
