"""Two processes learn what one learns: step by step the same losses, rates, gradients and samples; and a run that was
interrupted goes on with another number of them."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from support import ranked
from support import tiny_world as world
from support.ranked import FSDP2, ZERO_2, ZERO_3, on

from music_flamingo.model.files import load_model

pytestmark = [pytest.mark.reliability, pytest.mark.slow]

STEPS = {"steps": 6, "checkpoint_every": 100}
CLOSE = {"rel": 1e-5, "abs": 2e-6}
"""Another order of adding, in float32; the log has six digits."""
PORTS = ("tracks", "skills", "think", "speech", "backbone_model")
ALL = {"kind": "full", "trains": "all"}


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


def same_steps(found: list[dict], expected: list[dict], **near: float) -> None:
    assert [line["samples"] for line in found] == [line["samples"] for line in expected]
    for name in ("loss", "learning_rate", "accuracy", "grad_norm"):
        values = [line[name] for line in found]
        assert values == pytest.approx([line[name] for line in expected], **{**CLOSE, **near}), name


def same_model(found: Path, expected: Path, atol: float = 1e-4) -> None:
    mine, other = (load_model(folder)[0].state_dict() for folder in (found, expected))
    for name in other:
        torch.testing.assert_close(mine[name], other[name], rtol=1e-3, atol=atol, msg=name)


@pytest.mark.parametrize("parallel", [FSDP2, ZERO_2, ZERO_3], ids=["fsdp2", "zero-2", "zero-3"])
def test_two_processes_learn_what_one_learns(one, data, parallel):
    same_steps(ranked.run("sft", data, 2, **STEPS, **on(parallel)), ranked.log_of("sft", one))
    same_model(data / "sft_model", one / "sft_model")


@pytest.mark.parametrize("parallel", [FSDP2, ZERO_2], ids=["fsdp2", "zero-2"])
def test_parts_of_a_step_make_the_same_step(one, data, parallel):
    """Two ranks, two parts each: the mean is over the whole batch, whatever each part weighs."""
    optimiser = {**world.OPTIMISER, "accumulation": 2}
    same_steps(ranked.run("sft", data, 2, **STEPS, **on(parallel), optimiser=optimiser), ranked.log_of("sft", one))


def test_a_mixture_in_filled_rows_is_shared_by_two_processes(one, data, tmp_path):
    """The order is the same; each rank packs its own rows."""
    (tmp_path / "whole").mkdir()
    for port in PORTS:
        (tmp_path / "whole" / port).symlink_to(one / port)
    world.run("sft", tmp_path / "whole", **STEPS, **ranked.MIXED)
    found = ranked.run("sft", data, 2, **STEPS, **on(FSDP2), **ranked.MIXED)
    same_steps(found, ranked.log_of("sft", tmp_path / "whole"))


def phase(name: str, tuning: dict) -> dict:
    taught = {"tasks": {"asr": 1.0, "phonemes": 1.0}, "corpora": {"tones": 1.0}}
    return {"name": name, "tuning": tuning, **taught, "steps": 4, "batch_size": 4, "optimiser": world.OPTIMISER}


PHASES = [
    phase("projector", {"kind": "full", "trains": "projector"}),
    phase("all", ALL),
    phase("adapters", world.ADAPTERS),
    phase("again", ALL),
]
SPOKEN = {"speech": {"phases": PHASES, "turns": "conversation", "exam": world.EXAM, "checkpoint_every": 2}}


@pytest.fixture(scope="module")
def one_spoken(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("spoken") / "data"
    world.write_ports(data)
    world.run("backbone", data, **SPOKEN)
    return data


@pytest.fixture
def spoken(one_spoken, tmp_path) -> Path:
    for port in ("skills", "speech"):
        (tmp_path / port).symlink_to(one_spoken / port)
    return tmp_path


def same_phases(data: Path, expected: Path) -> None:
    """The order of adding tells more with each phase that begins where the last one ended."""
    mine, others = (ranked.log_of("backbone", folder) for folder in (data, expected))
    assert [line["phase"] for line in mine] == [line["phase"] for line in others]
    same_steps(mine[1:], others[1:], rel=1e-3, abs=1e-4)
    assert mine[0] == others[0], "the exam before the first phase"
    rates = [[line["wer_asr"] for line in lines if "wer_asr" in line] for lines in (mine, others)]
    assert rates[0] == rates[1] and len(rates[0]) == 1 + len(PHASES)
    same_model(data / "backbone_model", expected / "backbone_model")


@pytest.mark.parametrize("parallel", [FSDP2, ZERO_2, ZERO_3], ids=["fsdp2", "zero-2", "zero-3"])
def test_two_processes_go_through_the_backbones_phases_as_one_does(one_spoken, spoken, parallel):
    ranked.run("backbone", spoken, 2, **SPOKEN, **on(parallel))
    same_phases(spoken, one_spoken)


@pytest.mark.parametrize("parallel", [FSDP2, ZERO_3], ids=["fsdp2", "zero-3"])
def test_a_phase_that_two_processes_began_is_ended_by_one(one_spoken, spoken, parallel):
    """Killed among the adapters' steps: their checkpoint, and the phases before, are taken up."""
    process = ranked.start("backbone", spoken, 2, **SPOKEN, **on(parallel))
    ranked.stop_at(process, ranked.folder("backbone", spoken, "3-adapters"), 2, lambda: ranked.kill_all(process))
    ranked.run("backbone", spoken, 1, **SPOKEN, **on(parallel))
    same_phases(spoken, one_spoken)


REINFORCED = {"steps": 4, "prompts_per_step": 2, "candidates": 1.0, "checkpoint_every": 100, "rollouts_every": 1}


@pytest.fixture(scope="module")
def one_reinforced(one) -> Path:
    """One process drew and learned, in full and with adapters; it had something to learn in every step."""
    world.run("warmup", one, steps=60, checkpoint_every=100)
    for name, tuning in (("full", ALL), ("adapters", world.ADAPTERS)):
        (one / name).mkdir()
        for port in ("tracks", "skills", "think", "warmup_model"):
            (one / name / port).symlink_to(one / port)
        world.run("grpo", one / name, **REINFORCED, tuning=tuning)
        assert all(line["no_spread"] < 1 for line in ranked.log_of("grpo", one / name))
    return one


LEARNED = ("loss", "reward", "reward_std", "group_std", "no_spread", "grad_norm")


def same_draws(
    data: Path, expected: Path, names: Sequence[str] = (*LEARNED, "kl", "entropy"), atol: float = 1e-4
) -> None:
    found, others = (ranked.log_of("grpo", folder) for folder in (data, expected))
    assert [line["samples"] for line in found] == [line["samples"] for line in others]
    for name in names:
        values = [line[name] for line in found]
        assert values == pytest.approx([line[name] for line in others], rel=1e-4, abs=2e-6), name
    mine, theirs = ((folder / "grpo_model" / "rollouts.jsonl").read_text() for folder in (data, expected))
    assert mine == theirs
    same_model(data / "grpo_model", expected / "grpo_model", atol)


@pytest.mark.parametrize("parallel", [FSDP2, ZERO_2, ZERO_3], ids=["fsdp2", "zero-2", "zero-3"])
@pytest.mark.parametrize("tuning", [ALL, world.ADAPTERS], ids=["full", "adapters"])
def test_two_processes_draw_and_learn_what_one_does(one_reinforced, data, parallel, tuning):
    """Each answer has its own seed, so that the draws agree; each group's advantages are those of the whole group."""
    (data / "warmup_model").symlink_to(one_reinforced / "warmup_model")
    ranked.run("grpo", data, 2, **REINFORCED, **on(parallel), tuning=tuning)
    same_draws(data, one_reinforced / ("full" if tuning == ALL else "adapters"))


@pytest.mark.parametrize("parallel", [FSDP2, ZERO_2], ids=["fsdp2", "zero-2"])
def test_a_draw_that_is_learned_in_parts_is_the_same_step(one_reinforced, data, parallel):
    """Half a group in each of the two parts of each rank. TRL's KL and entropy are means over a part's tokens, and then
    over parts: they are other measures of the same."""
    (data / "warmup_model").symlink_to(one_reinforced / "warmup_model")
    parts = {"optimiser": {**world.OPTIMISER, "accumulation": 2}}
    ranked.run("grpo", data, 2, **REINFORCED, **on(parallel), **parts)
    # a weight whose gradients of the two parts nearly cancel: Adam makes a step out of what rounding leaves
    same_draws(data, one_reinforced / "full", LEARNED, atol=5e-4)


@pytest.mark.parametrize("parallel", [FSDP2, ZERO_3], ids=["fsdp2", "zero-3"])
def test_a_run_of_two_that_was_killed_is_ended_by_one_which_draws_what_they_would_have_drawn(
    one_reinforced, data, parallel
):
    (data / "warmup_model").symlink_to(one_reinforced / "warmup_model")
    often = {**REINFORCED, **on(parallel), "checkpoint_every": 1}
    process = ranked.start("grpo", data, 2, **often)
    ranked.stop_at(process, ranked.folder("grpo", data), 2, lambda: ranked.kill_all(process))
    ranked.run("grpo", data, 1, **often)
    same_draws(data, one_reinforced / "full")
