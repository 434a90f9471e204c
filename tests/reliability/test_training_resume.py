"""Training that is killed goes on to the same bits (numbers 7 and 8 of what must hold under faults)."""

import signal
from pathlib import Path

import pytest
from support import ranked
from support import tiny_world as world
from support.ranked import folder, step_of

from music_flamingo.training.scale.checkpoints import COMPLETE, checkpoints, is_whole, last_good

pytestmark = pytest.mark.reliability

LONG = {"sft": {"steps": 40, "checkpoint_every": 5}, "grpo": {"steps": 16, "checkpoint_every": 3}}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A data folder in which every stage ran through, and the digest of each."""
    data = tmp_path_factory.mktemp("undisturbed") / "data"
    world.write_ports(data)
    digests = {}
    for name in ("backbone", "sft", "warmup", "grpo"):
        manifest = world.run(name, data, **LONG.get(name, {}))[f"{name}_model"]
        digests[name] = manifest.digest
    return data, digests


@pytest.fixture
def data(undisturbed, tmp_path) -> Path:
    """The same inputs, nothing trained yet."""
    source, _ = undisturbed
    for port in ("tracks", "skills", "think", "speech", "backbone_model", "warmup_model"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / port).symlink_to(source / port)
    return tmp_path / "data"


def stop_after(stage: str, data: Path, step: int, number: signal.Signals, **changes: object) -> int:
    """Start the stage, send the signal once a checkpoint of `step` or later is whole; gives the exit status."""
    process = ranked.start(stage, data, 1, **{**LONG[stage], **changes})
    ranked.stop_at(process, folder(stage, data), step, lambda: process.send_signal(number))
    return process.returncode


def test_sft_killed_twice_ends_in_the_same_bits(undisturbed, data):
    for step in (10, 25):
        assert stop_after("sft", data, step, signal.SIGKILL) == -signal.SIGKILL
        assert not (data / "sft_model" / "model").exists()
    assert world.run("sft", data, **LONG["sft"])["sft_model"].digest == undisturbed[1]["sft"]


def test_a_mixture_in_filled_rows_goes_on_to_the_same_bits(undisturbed, data, tmp_path):
    mixed = {**LONG["sft"], **ranked.MIXED}
    for port in ("tracks", "skills", "speech", "backbone_model"):
        (tmp_path / "whole").mkdir(exist_ok=True)
        (tmp_path / "whole" / port).symlink_to(undisturbed[0] / port)
    whole = world.run("sft", tmp_path / "whole", **mixed)["sft_model"]
    assert whole.metrics["sources"]["speech"]["epochs"] > 1
    assert stop_after("sft", data, 15, signal.SIGKILL, **ranked.MIXED) == -signal.SIGKILL
    assert world.run("sft", data, **mixed)["sft_model"].digest == whole.digest


def test_grpo_interrupted_three_times_uses_every_prompt_once(undisturbed, data):
    """Equal logs: each line holds the digest of the prompts of its step, in order."""
    for step in (3, 6, 9):
        stop_after("grpo", data, step, signal.SIGKILL)
    manifest = world.run("grpo", data, **LONG["grpo"])["grpo_model"]
    logs = [(d / "grpo_model" / "log.jsonl").read_text() for d in (undisturbed[0], data)]
    assert logs[0] == logs[1]
    rollouts = [(d / "grpo_model" / "rollouts.jsonl").read_text() for d in (undisturbed[0], data)]
    assert rollouts[0] == rollouts[1] != ""
    assert len(logs[0].splitlines()) == 16
    assert manifest.digest == undisturbed[1]["grpo"]


def test_grpo_with_adapters_interrupted_ends_in_the_same_bits(undisturbed, data, tmp_path):
    adapters = {**LONG["grpo"], "tuning": world.ADAPTERS}
    for port in ("tracks", "skills", "think", "warmup_model"):
        (tmp_path / "whole").mkdir(exist_ok=True)
        (tmp_path / "whole" / port).symlink_to(undisturbed[0] / port)
    whole = world.run("grpo", tmp_path / "whole", **adapters)["grpo_model"]
    assert stop_after("grpo", data, 6, signal.SIGKILL, tuning=world.ADAPTERS) == -signal.SIGKILL
    assert world.run("grpo", data, **adapters)["grpo_model"].digest == whole.digest


def test_updates_on_one_draw_are_never_cut_in_two_by_an_interruption(undisturbed, data, tmp_path):
    twice = {**LONG["grpo"], "checkpoint_every": 4, "updates_per_draw": 2}
    for port in ("tracks", "skills", "think", "warmup_model"):
        (tmp_path / "whole").mkdir(exist_ok=True)
        (tmp_path / "whole" / port).symlink_to(undisturbed[0] / port)
    whole = world.run("grpo", tmp_path / "whole", **twice)["grpo_model"]
    assert whole.metrics["num_prompts"] == 24, "8 draws of 3 for 16 steps"
    assert stop_after("grpo", data, 4, signal.SIGTERM, **twice) == 128 + signal.SIGTERM
    assert all(step_of(checkpoint) % 2 == 0 for checkpoint in checkpoints(folder("grpo", data)))
    assert stop_after("grpo", data, 8, signal.SIGKILL, **twice) == -signal.SIGKILL
    assert world.run("grpo", data, **twice)["grpo_model"].digest == whole.digest


def test_sigterm_leaves_a_checkpoint_of_that_very_step(undisturbed, data):
    assert stop_after("sft", data, 5, signal.SIGTERM) == 128 + signal.SIGTERM
    last = last_good(folder("sft", data))
    assert last is not None
    assert 5 <= step_of(last) < 40
    assert world.run("sft", data, **LONG["sft"])["sft_model"].digest == undisturbed[1]["sft"]


def test_a_checkpoint_cut_in_writing_is_passed_over(undisturbed, data):
    stop_after("sft", data, 15, signal.SIGKILL)
    *_, older, newest = [c for c in checkpoints(folder("sft", data)) if is_whole(c)]
    with (newest / "state-00000-of-00001.safetensors").open("r+b") as file:
        file.truncate(1000)
    assert last_good(folder("sft", data)) == older
    assert not newest.exists()
    assert world.run("sft", data, **LONG["sft"])["sft_model"].digest == undisturbed[1]["sft"]


def test_a_checkpoint_without_its_last_file_is_passed_over(data):
    stop_after("sft", data, 10, signal.SIGKILL)
    newest = checkpoints(folder("sft", data))[-1]
    (newest / COMPLETE).unlink(missing_ok=True)
    found = last_good(folder("sft", data))
    assert found is not None
    assert step_of(found) < step_of(newest)
