"""`mf plan` of training: totals follow from the configuration, the paper's are plausible, no data need be there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support import tiny_world as world

from music_flamingo.cli import main
from music_flamingo.core.errors import ConfigError
from music_flamingo.core.params import load_assumptions, load_params
from music_flamingo.model.lora import FullTuning
from music_flamingo.planning.assumptions import Gpu, Samples, read_assumptions
from music_flamingo.planning.memory import GIB
from music_flamingo.planning.shape import PUBLISHED
from music_flamingo.planning.training import TrainingRun, cost_of, memory_of, plan_training, runs, samples_of, shape_of

ROOT = Path(__file__).resolve().parents[2]
PROFILES = sorted((ROOT / "pipelines/profiles").glob("*.yaml"))
GPU = Gpu(
    name="A100", memory_gib=79.0, peak_tflops=312.0, used=0.35, used_drawing=0.02, price_per_hour=2.0, currency="USD"
)
SAMPLES = Samples(count=5_200_000, per_recording=1.7, audio_s=210.0, read_tokens=60, taught_tokens=400)
SFT = TrainingRun(
    name="sft",
    steps=40_625,
    batch_size=128,
    accumulation=1,
    turns=1,
    max_audio_s=900.0,
    max_tokens=None,
    tuning=FullTuning(kind="full", trains="all"),
    precision="bf16",
    checkpointing=True,
    parallel="fsdp2",
)


def laid_over(profile: str | None):
    overlays = (ROOT / f"pipelines/profiles/{profile}.yaml",) if profile else ()
    return load_params(ROOT / "params.yaml", overlays), load_assumptions(ROOT / "params.yaml", overlays)


def test_the_papers_epoch_is_five_million_samples_and_takes_days_not_years_on_128_gpus():
    cost = cost_of(SFT, PUBLISHED, SAMPLES, 128, GPU)
    assert cost.lessons == 5_200_000 and cost.epochs == 1.0
    # 6 operations a weight and token (Kaplan et al. 2020), of the language model, is the greater part of it
    rule_of_thumb = 6 * (PUBLISHED.parameters()["language"]) * cost.tokens
    assert 1.0 < cost.operations / rule_of_thumb < 1.5
    assert 12 < cost.gpu_hours / 128 < 24 * 14
    held = memory_of(SFT, cost, PUBLISHED, "fsdp2", 128, True)
    assert cost.longest.length(PUBLISHED) > 22_500 and held.total < 79 * GIB
    assert memory_of(SFT, cost, PUBLISHED, "fsdp2", 128, False).total > 79 * GIB, "so checkpointing is needed"
    assert memory_of(SFT, cost, PUBLISHED, "single", 1, True).total > 79 * GIB, "and so is sharding"


def test_more_gpus_take_less_time_and_the_same_gpu_hours():
    few, many = (cost_of(SFT, PUBLISHED, SAMPLES, gpus, GPU) for gpus in (64, 128))
    assert few.gpu_hours == many.gpu_hours and (few.micro_batch, many.micro_batch) == (2, 1)


def test_a_lesson_asks_no_more_than_is_known_of_a_recording():
    asked = cost_of(replace(SFT, turns=8), PUBLISHED, SAMPLES, 128, GPU)
    assert asked.sample.taught_tokens == round(1.7 * 400) and asked.epochs == pytest.approx(1.7)


def test_rows_that_are_filled_hold_as_many_lessons_as_fit():
    filled = cost_of(replace(SFT, max_tokens=24_000, steps=1), PUBLISHED, SAMPLES, 128, GPU)
    assert filled.lessons == 128 * (24_000 // 5_710)
    assert filled.longest.length(PUBLISHED) == pytest.approx(24_000, abs=1)


@pytest.mark.parametrize("profile", [None, *(p.stem for p in PROFILES)])
def test_every_profile_can_be_planned_with_nothing_there(profile, tmp_path):
    lines = plan_training(*laid_over(profile), tmp_path)
    for stage in ("sft", "warmup", "grpo"):
        assert any(line.startswith(f"{stage}: ") for line in lines)
    assert lines[-2].startswith("in all: ") and "assumed (plan.samples)" in "\n".join(lines)


def test_the_paper_profile_has_the_papers_numbers():
    params, assumed = laid_over("paper")
    planned = {run.name: run for run in runs(params)}
    rates = {name: params[name]["optimiser"]["learning_rate"] for name in ("sft", "warmup", "grpo")}
    assert rates == {"sft": 1.5e-5, "warmup": 1e-5, "grpo": 1e-6}
    assert (planned["sft"].batch_size, planned["warmup"].batch_size) == (128, 128)
    assert (params["grpo"]["prompts_per_step"], planned["grpo"].generations) == (64, 5)
    for name in ("sft", "warmup"):
        schedule, samples = params[name]["optimiser"]["schedule"], assumed["samples"][name]["count"]
        assert planned[name].steps == round(samples / 128), "one epoch"
        assert schedule["kind"] == "cosine"
        assert schedule["warmup_steps"] == pytest.approx(0.03 * planned[name].steps, abs=1)


def test_every_stage_of_the_h200_profile_fits_its_gpu_and_the_papers_its_gpus():
    for profile in ("h200", "paper"):
        params, assumed = laid_over(profile)
        assumptions = read_assumptions(assumed)
        for run in runs(params):
            gpus = assumptions.gpus[run.name]
            cost = cost_of(run, PUBLISHED, assumptions.samples[run.name], gpus, assumptions.gpu)
            held = memory_of(run, cost, PUBLISHED, run.parallel, gpus, run.checkpointing)
            assert held.total < 0.9 * assumptions.gpu.memory_gib * GIB, (profile, run.name)
            assert run.batch_size % (gpus * run.accumulation) == 0, "shared evenly"


def test_data_that_are_there_are_counted(tmp_path):
    world.write_ports(tmp_path, count=6)
    assumptions = read_assumptions(laid_over(None)[1])
    found, source = samples_of("sft", ["tone"], assumptions, tmp_path)
    assert (found.count, found.per_recording) == (6, 1.0) and str(tmp_path) in source
    assert samples_of("sft", ["tone", "words"], assumptions, tmp_path)[0].count == 12
    assert samples_of("sft", ["tone"], assumptions, tmp_path / "none")[1] == "assumed (plan.samples)"


def test_a_folder_with_weights_gives_its_own_dimensions(tmp_path):
    world.write_ports(tmp_path)
    world.run("backbone", tmp_path)
    taken = {"kind": "pretrained", "path": str(tmp_path / "backbone_model/model"), "member": None}
    shape, origin = shape_of(taken)
    assert shape.width == world.SIZE.width and shape.window_s == world.SIZE.window_s
    assert origin.endswith("backbone_model/model")
    assert shape_of({**taken, "path": str(tmp_path / "none")})[0] == PUBLISHED
    far = {**taken, "path": str(tmp_path / "none"), "member": "audio-flamingo-next"}
    assert shape_of(far)[0].context_tokens == 131_072


def test_an_assumption_that_does_not_fit_is_named():
    assumed = laid_over(None)[1]
    with pytest.raises(ConfigError, match=r"plan\.gpu\.used: .*found 3"):
        read_assumptions({**assumed, "gpu": {**assumed["gpu"], "used": 3.0}})


def test_the_command_takes_a_profile_by_name_and_says_why_teachers_cannot_be_planned(tmp_path, capsys):
    assert main(["plan", "paper", "--data", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "8.27 G parameters" in told and "40,625 steps of 128 lessons" in told
    assert "teachers: planned from tracks and facts, which are not there yet" in told
    assert main(["plan", "--part", "training", "--data", str(tmp_path), "--set", "plan.gpu.price_per_hour=7.0"]) == 0
    assert "teachers" not in capsys.readouterr().out
    assert main(["plan", "--part", "teachers", "--data", str(tmp_path)]) == 2


def test_stages_are_not_given_what_is_assumed(tmp_path):
    (tmp_path / "params.yaml").write_text(json.dumps({"sft": {}, "plan": {"gpus": 3}, "shared": {}}))
    assert load_params(tmp_path / "params.yaml") == {"sft": {}}
    assert load_assumptions(tmp_path / "params.yaml", (), ("plan.gpus=4",)) == {"gpus": 4}
