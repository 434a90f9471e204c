"""TRL's trainers with audio that reaches the model, and the stages that run them."""

import json
import random
from functools import partial

import pytest
import torch
from support import tiny_world as world
from trl import SFTConfig

from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.manifest import read_manifest
from music_flamingo.model.files import load_model, save_model
from music_flamingo.stages.grpo import GrpoConfig
from music_flamingo.training.data.audio import SoundBank, TrainingWindow, num_samples_of
from music_flamingo.training.data.collator import Branches, LessonCollator
from music_flamingo.training.data.samples import WindowRule
from music_flamingo.training.data.schedule import Lesson
from music_flamingo.training.grpo import trainer as grpo
from music_flamingo.training.grpo.tasks import GrpoPrompt
from music_flamingo.training.grpo.trainer import AudioGRPOTrainer
from music_flamingo.training.optimiser import Optimiser
from music_flamingo.training.scale.distributed import arguments
from music_flamingo.training.settings import ONE_PROCESSOR, Turns
from music_flamingo.training.sft_trainer import COMMON_ARGUMENTS, AudioSFTTrainer, train

TRACKS = world.tracks(8)
RULE = WindowRule("random", 32_000, per_track=2)


def lessons(num: int):
    return world.plan_lessons(
        world.taught(TRACKS).items,
        num_samples_of(TRACKS),
        world.hearing(),
        RULE,
        num_lessons=num,
        max_turns=1,
        seed=0,
    )


def collator(planned, packing: bool = False, turns: Turns = "conversation") -> LessonCollator:
    items = [item for lesson in planned for item in lesson.items]
    processor = world.processor()
    bank, branches = SoundBank(processor, TRACKS), Branches(processor, items, 5.0)
    return LessonCollator(processor, planned, bank, branches, packing, turns)


@pytest.fixture
def sft_trainer(tmp_path) -> AudioSFTTrainer:
    args = SFTConfig(
        output_dir=str(tmp_path),
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        **COMMON_ARGUMENTS,
        **arguments(ONE_PROCESSOR, 4, 1),
    )
    planned = lessons(4)
    return AudioSFTTrainer(
        model=world.model(),
        args=args,
        train_dataset=grpo.Dataset.from_dict({"lesson": range(4)}),
        processing_class=world.processor(),
        data_collator=collator(planned),
        hardware=ONE_PROCESSOR,
    )


def test_the_loss_of_sft_changes_when_the_audio_is_swapped(sft_trainer):
    batch = collator(lessons(4))([{"lesson": i} for i in range(4)])
    swapped = {**batch, "input_features": batch["input_features"].flip(0)}
    own, other = (sft_trainer.compute_loss(sft_trainer.model, dict(b)) for b in (batch, swapped))
    assert (own - other).abs() > 1e-4


def test_the_loss_of_sft_is_the_models_own_where_all_weights_are_one(sft_trainer):
    batch = collator(lessons(4))([{"lesson": i} for i in range(4)])
    batch["weights"] = (batch["weights"] > 0).float()
    labels = batch["input_ids"].masked_fill(batch["weights"] == 0, -100)
    inputs = {k: v for k, v in batch.items() if k not in ("weights", "sample_ids")}
    own = sft_trainer.model(**inputs, labels=labels).loss
    torch.testing.assert_close(sft_trainer.compute_loss(sft_trainer.model, dict(batch)), own)


def test_packed_lessons_have_the_loss_of_padded_ones(sft_trainer):
    planned = lessons(4)
    padded, packed = (collator(planned, packing)([{"lesson": i} for i in range(4)]) for packing in (False, True))
    assert packed["input_ids"].shape[0] == 1
    losses = [sft_trainer.compute_loss(sft_trainer.model, dict(b)) for b in (padded, packed)]
    torch.testing.assert_close(*losses)


def test_questions_apart_have_the_loss_of_each_asked_alone(sft_trainer):
    items = [world.item(t, family) for t in TRACKS for family in ("tone", "other")]
    plan = partial(world.plan_lessons, items, num_samples_of(TRACKS), world.hearing(), RULE, num_lessons=4, seed=0)
    together = plan(max_turns=2)
    apart = [Lesson(lesson.window, (item,)) for lesson in together for item in lesson.items]
    batches = [collator(together, turns="isolated")([{"lesson": i} for i in range(4)])]
    batches += [collator(apart)([{"lesson": i} for i in range(8)])]
    assert batches[0]["sample_ids"] == batches[1]["sample_ids"]
    losses = [sft_trainer.compute_loss(sft_trainer.model, dict(b)) for b in batches]
    torch.testing.assert_close(*losses)


def test_no_gradient_comes_from_the_prompt(sft_trainer):
    """The rows of the output layer for words that only prompts use stay as they are, but for the softmax's share."""
    batch = collator(lessons(4))([{"lesson": i} for i in range(4)])
    batch["weights"] = torch.zeros_like(batch["weights"])
    batch["weights"][0, -1] = 1.0
    sft_trainer.compute_loss(sft_trainer.model, dict(batch)).backward()
    moved = sft_trainer.model.lm_head.weight.grad.abs().sum(-1).argmax().item()
    assert moved == batch["input_ids"][0, -1].item()


def test_a_tiny_model_learns_to_hear(tmp_path):
    """Low and high tones from audio alone: the text is the same for both."""
    planned = lessons(8 * 40)
    optimiser = Optimiser.model_validate(world.OPTIMISER)
    _, history = train(
        world.model,
        world.processor(),
        planned,
        collator(planned),
        optimiser,
        batch_size=8,
        checkpoint_every=1000,
        seed=0,
        work=tmp_path,
        label="sft",
    )
    last = [line["accuracy"] for line in history if "accuracy" in line][-5:]
    assert min(last) > 0.95


def prompts() -> list[GrpoPrompt]:
    return [GrpoPrompt(TrainingWindow(t.id, 0, 32_000), world.item(t, think=True)) for t in TRACKS[:6]]


@pytest.fixture
def grpo_trainer(tmp_path) -> AudioGRPOTrainer:
    save_model(world.model(), world.processor(), tmp_path)
    processor = world.processor()
    optimiser = {**world.OPTIMISER, "accumulation": 3}
    config = GrpoConfig.model_validate_json(json.dumps({**world.CONFIGS["grpo"], "steps": 2, "optimiser": optimiser}))
    bank = SoundBank(processor, TRACKS)
    return grpo.trainer_of(
        lambda: load_model(tmp_path)[0], processor, prompts(), bank, config, tmp_path / "work", "grpo"
    )


def logps(trainer: AudioGRPOTrainer, rows: list[int], words: list[int]) -> torch.Tensor:
    """Of the words after the prompts of `words`, as heard in `rows`."""
    said = torch.tensor([[7, 8, 9]] * len(rows))
    ids = torch.cat([torch.tensor([trainer.prompt_ids(row) for row in words]), said], dim=1)
    trainer._rows = rows
    with torch.no_grad():
        return trainer._get_per_token_logps_and_entropies(trainer.model, ids, torch.ones_like(ids), 3)[0]


def test_log_probabilities_of_grpo_change_when_the_audio_is_swapped(grpo_trainer):
    own = logps(grpo_trainer, [0, 1], words=[0, 1])
    swapped = logps(grpo_trainer, [1, 0], words=[0, 1])
    assert (own - swapped).abs().max() > 1e-3
    torch.testing.assert_close(swapped.flip(0), logps(grpo_trainer, [0, 1], words=[0, 1]), atol=1e-5, rtol=1e-4)


def test_log_probabilities_of_grpo_are_the_models_own(grpo_trainer):
    found = logps(grpo_trainer, [2], words=[2])
    processor, prompt = world.processor(), prompts()[2]
    sound = SoundBank(processor, TRACKS)(prompt.window)
    ids = torch.tensor([[*grpo_trainer.prompt_ids(2), 7, 8, 9]])
    with torch.no_grad():
        logits = grpo_trainer.model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            input_features=sound.features_WMT,
            input_features_mask=sound.mask_WT,
        ).logits
    own = logits[:, -4:-1].log_softmax(-1).gather(-1, ids[:, -3:, None])[..., 0]
    torch.testing.assert_close(found, own, atol=1e-5, rtol=1e-4)


def test_parts_of_a_step_are_whole_groups_that_keep_their_sounds(grpo_trainer, monkeypatch):
    """The reference saw all rows at once; each part of the step must hear what belongs to it."""
    seen = []
    original = AudioGRPOTrainer._compute_loss

    def spy(self, model, inputs):
        with torch.no_grad():
            self._rows = inputs["row"].tolist()
            ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
            mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
            now = self._get_per_token_logps_and_entropies(model, ids, mask, inputs["completion_ids"].shape[1])[0]
        if self.state.global_step == 0:
            inside = inputs["completion_mask"].bool()
            seen.append(((now - inputs["ref_per_token_logps"]).abs()[inside].max().item(), self._rows))
        return original(self, model, inputs)

    monkeypatch.setattr(AudioGRPOTrainer, "_compute_loss", spy)
    grpo_trainer.train()
    assert [rows for _, rows in seen] == [[0] * 4, [1] * 4, [2] * 4]
    assert max(difference for difference, _ in seen) < 1e-5, "before the first step policy and reference are one model"


def test_each_prompt_is_used_once_and_kl_grows_from_nothing(grpo_trainer):
    used = []
    original = grpo_trainer._generate_and_score_completions
    grpo_trainer._generate_and_score_completions = lambda rows: used.extend(r["row"] for r in rows) or original(rows)
    grpo_trainer.train()
    assert used == [row for row in range(6) for _ in range(4)]
    kl = [line["kl"] for line in grpo_trainer.state.log_history if "kl" in line]
    assert kl[0] == pytest.approx(0.0, abs=1e-6)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    data = tmp_path_factory.mktemp("world") / "data"
    world.write_ports(data)
    return data, {name: world.run(name, data) for name in ("backbone", "sft", "warmup", "grpo")}


def test_the_stages_run_one_after_the_other(trained):
    _, manifests = trained
    for name in ("sft", "warmup", "grpo"):
        files = {entry.path for entry in manifests[name][f"{name}_model"].files}
        assert {"model/model.safetensors", "model/processor_config.json", "log.jsonl", "plan.json"} <= files
        assert not any(path.startswith("_work") for path in files)
    assert manifests["grpo"]["grpo_model"].metrics["num_prompts"] == 18


def test_logs_have_a_line_a_step_and_no_clock(trained):
    data, _ = trained
    for name, steps in (("sft", 8), ("warmup", 8), ("grpo", 6)):
        lines = [json.loads(line) for line in (data / f"{name}_model" / "log.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == list(range(1, steps + 1))
        assert all(line["samples"] and "loss" in line and "learning_rate" in line for line in lines)
        assert not any("time" in key or "runtime" in key or "_s" in key[-2:] for line in lines for key in line)
    assert {"reward", "reward_format", "reward_accuracy", "kl", "entropy", "no_spread"} <= set(lines[0])


def test_a_second_run_elsewhere_gives_the_same_bytes(trained, tmp_path):
    _, manifests = trained
    world.write_ports(tmp_path / "data")
    random.seed(99)
    torch.manual_seed(99)
    for name in ("backbone", "sft", "warmup", "grpo"):
        again = world.run(name, tmp_path / "data")
        assert {p: m.digest for p, m in again.items()} == {p: m.digest for p, m in manifests[name].items()}


def test_a_family_with_one_answer_is_left_out_and_the_run_goes_on(trained, tmp_path):
    data, _ = trained
    manifest = world.run("sft", _few(data, tmp_path), steps=2)["sft_model"]
    assert manifest.metrics["left_out"] == {"tone": "only one answer (low)"}
    assert manifest.metrics["families"] == {"words": {"caption": 1}}


def test_nothing_left_to_teach_is_an_error_with_the_remedy(trained, tmp_path):
    data, _ = trained
    with pytest.raises(UserError, match=r"sft\.families"):
        world.run("sft", _few(data, tmp_path), families={"tone": 1.0})


def _few(data, tmp_path):
    """One track, with the backbone of `data`."""
    few = tmp_path / "few"
    world.write_ports(few, count=1)
    (few / "backbone_model").symlink_to(data / "backbone_model")
    assert read_manifest(few / "backbone_model").port == "backbone_model"
    return few


def test_a_pretrained_folder_is_taken_over_with_marked_answers(trained, tmp_path):
    data, _ = trained
    world.write_ports(tmp_path / "data")
    source = {"kind": "pretrained", "path": str(data / "sft_model" / "model"), "member": None}
    manifest = world.run("backbone", tmp_path / "data", model=source)["backbone_model"]
    assert manifest.metrics["added"] == [] and manifest.metrics["ignored_weights"] == 0
    for name in ("chat_template.jinja", "model.safetensors"):
        assert sha256_file(tmp_path / "data/backbone_model/model" / name) == sha256_file(
            data / "sft_model/model" / name
        )
    with pytest.raises(UserError, match=r"config\.json"):
        world.run("backbone", tmp_path / "data", model={**source, "path": str(tmp_path)})
