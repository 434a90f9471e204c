"""GRPO: the objective against a plain numpy rewrite, prompts read once, roll-outs kept, what is drawn."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support import tiny_world as world
from trl import GRPOConfig

from music_flamingo.core.errors import UserError
from music_flamingo.model.files import load_model, save_model
from music_flamingo.records import Category
from music_flamingo.records.rollout import Rollout, SampledAnswer
from music_flamingo.stages.grpo import GrpoConfig
from music_flamingo.training.data.audio import SoundBank, TrainingWindow, num_samples_of
from music_flamingo.training.data.samples import WindowRule
from music_flamingo.training.grpo import sampling as drawing
from music_flamingo.training.grpo import trainer as grpo
from music_flamingo.training.grpo import vllm
from music_flamingo.training.grpo.prompts import draw_prompts
from music_flamingo.training.grpo.rollouts import collect, is_kept, keep, measures, rollouts_of
from music_flamingo.training.grpo.tasks import GrpoPrompt
from music_flamingo.training.grpo.trainer import AudioGRPOTrainer
from music_flamingo.training.scale.full_state import whole_model
from music_flamingo.training.settings import TransformersGeneration, VllmGeneration

TRACKS = world.tracks(8)


def prompts() -> list[GrpoPrompt]:
    """Of different lengths: windows of 1 and 2 s."""
    return [
        GrpoPrompt(TrainingWindow(t.id, 0, 16_000 * (1 + i % 2)), world.item(t, think=bool(i % 2)))
        for i, t in enumerate(TRACKS[:6])
    ]


def config_of(**changes: object) -> GrpoConfig:
    return GrpoConfig.model_validate_json(json.dumps({**world.CONFIGS["grpo"], "steps": 2, **changes}))


def trainer_of(folder: Path, **changes: object) -> AudioGRPOTrainer:
    save_model(world.model(), world.processor(), folder)
    processor = world.processor()
    bank = SoundBank(processor, TRACKS)
    config = config_of(**changes)
    return grpo.trainer_of(lambda: load_model(folder)[0], processor, prompts(), bank, config, folder / "work", "grpo")


def own_log_probabilities(trainer: AudioGRPOTrainer, row: int, said: list[int]) -> torch.Tensor:
    """By the model's own forward, for one answer alone."""
    sound = trainer._bank(trainer._prompts[row].window)
    ids = torch.tensor([[*trainer.prompt_ids(row), *said]])
    with torch.no_grad():
        logits = trainer.model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            input_features=sound.features_WMT,
            input_features_mask=sound.mask_WT,
        ).logits[:, -len(said) - 1 : -1]
    return logits.log_softmax(-1).gather(-1, ids[:, -len(said) :, None])[0, :, 0]


def batch_of(trainer: AudioGRPOTrainer, rows: list[int], said: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask as TRL pads them: prompts left, completions right."""
    asked = [trainer.prompt_ids(row) for row in rows]
    before, after = max(map(len, asked)), max(map(len, said))
    ids = [[0] * (before - len(p)) + p + s + [0] * (after - len(s)) for p, s in zip(asked, said, strict=True)]
    mask = [
        [0] * (before - len(p)) + [1] * (len(p) + len(s)) + [0] * (after - len(s))
        for p, s in zip(asked, said, strict=True)
    ]
    return torch.tensor(ids), torch.tensor(mask)


def test_answers_that_share_a_prompt_have_the_log_probabilities_of_answers_alone(tmp_path):
    """Rows in any order, groups of any size, prompts and answers of different lengths."""
    trainer = trainer_of(tmp_path)
    rows = [3, 0, 3, 1, 0, 3, 0]
    said = [[7, 8, 9], [11], [7, 8], [12, 13, 14, 15, 16], [17, 18], [9], [19, 20, 21, 22]]
    ids, mask = batch_of(trainer, rows, said)
    trainer._rows = rows
    longest = max(map(len, said))
    with torch.no_grad():
        together, entropies, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, longest, compute_entropy=True
        )
    for b, (row, words) in enumerate(zip(rows, said, strict=True)):
        own = own_log_probabilities(trainer, row, words)
        torch.testing.assert_close(together[b, : len(words)], own, atol=1e-5, rtol=1e-4)
        assert (together[b, len(words) :] == 0).all()
    assert (entropies[mask[:, -longest:].bool()] > 0).all()


def test_gradients_of_answers_that_share_a_prompt_are_those_of_answers_alone(tmp_path):
    trainer = trainer_of(tmp_path)
    rows, said = [2, 2, 5], [[7, 8, 9], [11], [12, 13]]
    ids, mask = batch_of(trainer, rows, said)

    def gradients(of: list[int]) -> list[torch.Tensor]:
        trainer.model.zero_grad()
        for part in of:
            chosen = range(3) if part < 0 else [part]
            trainer._rows = [rows[b] for b in chosen]
            logps = trainer._get_per_token_logps_and_entropies(trainer.model, ids[list(chosen)], mask[list(chosen)], 3)
            logps[0].sum().backward()
        return [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]

    for together, alone in zip(gradients([-1]), gradients([0, 1, 2]), strict=True):
        torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-3)


def test_answers_drawn_from_a_shared_cache_are_those_drawn_alone(tmp_path):
    """Almost greedy, so that both ways must say the same words."""
    trainer = trainer_of(tmp_path)
    sampling = drawing.Sampling(1e-4, 6, 0, trainer._processor.tokenizer.eos_token_id, (1,))
    asked = [1, 2, 3]

    def drawn(rows: list[int], prompt_of: list[int]) -> list[list[int]]:
        ids = [trainer.prompt_ids(row) for row in rows]
        with trainer.drawing() as model:
            seeds = [0] * len(prompt_of)
            return drawing.draw(
                model, ids, lambda inner, ids_UP: trainer._embed(inner, ids_UP, rows), prompt_of, seeds, sampling
            )

    together = drawn(asked, [0, 0, 1, 2, 1])
    alone = [drawn([row], [0])[0] for row in (1, 1, 2, 3, 2)]
    assert together == alone
    assert any(len(ids) == 6 for ids in together)


def test_an_answer_is_the_same_whoever_is_drawn_beside_it(tmp_path):
    """So that ranks may share a draw in any way, and a run that goes on draws what it would have drawn."""
    trainer = trainer_of(tmp_path)
    sampling = drawing.Sampling(1.0, 6, 0, trainer._processor.tokenizer.eos_token_id, (1,))

    def drawn(rows: list[int], seeds: list[int]) -> list[list[int]]:
        asked = list(dict.fromkeys(rows))
        ids = [trainer.prompt_ids(row) for row in asked]
        owner = [asked.index(row) for row in rows]
        with trainer.drawing() as model:
            return drawing.draw(model, ids, lambda m, i: trainer._embed(m, i, asked), owner, seeds, sampling)

    together = drawn([1, 1, 2, 3], [5, 6, 7, 8])
    assert together == [*drawn([1], [5]), *drawn([1, 2], [6, 7]), *drawn([3], [8])]
    assert together[0] != together[1]


def test_chance_draws_from_the_softmax_at_its_temperature():
    logits = torch.tensor([0.0, 1.0, 2.0])
    chance = drawing.Chance(2.0, [drawing.seed_of(0, i) for i in range(4000)], torch.device("cpu"))
    noisy = chance(torch.empty(0), logits.expand(4000, 3))
    shares = torch.bincount(noisy.argmax(-1), minlength=3) / 4000
    torch.testing.assert_close(shares, (logits / 2).softmax(-1), atol=0.025, rtol=0)


def numpy_advantages(rewards: np.ndarray, size: int) -> np.ndarray:
    """(r - mean) / std within each group (paper); TRL's std is the sample's, and 1e-4 keeps it from 0."""
    groups = rewards.reshape(-1, size)
    spread = groups.std(axis=1, ddof=1, keepdims=True)
    return ((groups - groups.mean(axis=1, keepdims=True)) / (spread + 1e-4)).reshape(-1)


def numpy_loss(now, old, reference, advantages, mask, *, epsilon: float, beta: float) -> tuple[float, float]:
    """(loss, share of tokens clipped): clipped ratio and KL, mean over each answer's tokens, then over answers."""
    ratio = np.exp(now - old)
    clipped = np.clip(ratio, 1 - epsilon, 1 + epsilon)
    gain = np.minimum(ratio * advantages[:, None], clipped * advantages[:, None])
    kl = np.exp(reference - now) - (reference - now) - 1
    tokens = (gain - beta * kl) * mask
    bites = ((ratio < 1 - epsilon) & (advantages[:, None] < 0)) | ((ratio > 1 + epsilon) & (advantages[:, None] > 0))
    return -(tokens.sum(1) / mask.sum(1)).mean(), (bites * mask).sum() / mask.sum()


def test_loss_and_advantages_are_those_of_a_plain_rewrite_and_the_clip_bites(tmp_path, monkeypatch):
    """Two updates on each draw, a rate that moves the policy out of the clip's region before the second."""
    wide = {**world.OPTIMISER, "learning_rate": 0.03, "schedule": {"kind": "constant", "warmup_steps": 0}}
    trainer = trainer_of(
        tmp_path, updates_per_draw=2, steps=4, checkpoint_every=4, epsilon=0.05, beta=0.1, optimiser=wide
    )
    # an untrained model has no format: something that differs between its answers
    trainer.reward_funcs[0] = lambda completion_ids, **_: [sum(i % 2 for i in ids) / len(ids) for ids in completion_ids]
    original, seen = AudioGRPOTrainer._compute_loss, []

    def spy(self, model, inputs):
        loss = original(self, model, inputs)
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        with torch.no_grad():
            now = self._get_per_token_logps_and_entropies(model, ids, mask, inputs["completion_ids"].shape[1])[0]
        kept = {k: inputs[k].numpy() for k in ("old_per_token_logps", "ref_per_token_logps", "advantages")}
        clipped = self._metrics["train"]["clip_ratio/region_mean"][-1]
        seen.append((loss.item(), clipped, now.numpy(), inputs["completion_mask"].numpy(), kept))
        return loss

    rewards = []
    monkeypatch.setattr(AudioGRPOTrainer, "_compute_loss", spy)
    monkeypatch.setattr(grpo, "rollouts_of", lambda *a: rewards.append(rollouts_of(*a)) or rewards[-1])
    trainer.train()
    assert len(seen) == 4
    assert len(rewards) == 2, "one draw for two updates"
    shares = []
    for loss, clipped, now, mask, kept in seen:
        expected, share = numpy_loss(
            now,
            kept["old_per_token_logps"],
            kept["ref_per_token_logps"],
            kept["advantages"],
            mask,
            epsilon=0.05,
            beta=0.1,
        )
        assert loss == pytest.approx(expected, abs=1e-5)
        assert clipped == pytest.approx(share, abs=1e-6)
        shares.append(share)
    assert shares[0] == shares[2] == 0.0, "at the first update the ratio is 1"
    assert max(shares[1], shares[3]) > 0.05
    for draw in rewards:
        answers = [answer for rollout in draw for answer in rollout.answers]
        expected = numpy_advantages(np.array([a.reward for a in answers]), 4)
        np.testing.assert_allclose([a.advantage for a in answers], expected, atol=1e-4)


LORA = {
    "kind": "lora",
    "rank": 4,
    "alpha": 8,
    "dropout": 0.0,
    "targets": r".*language_model.*\.[qkvo]_proj",
    "train_projector": True,
    "train_marks": False,
    "keep": "merged",
}


def test_adapters_learn_beside_a_reference_without_weights_of_its_own_and_are_merged(tmp_path, monkeypatch):
    """A rate that moves the policy far; the reference must not have moved with it."""
    fast = {**world.OPTIMISER, "learning_rate": 0.05, "schedule": {"kind": "constant", "warmup_steps": 0}}
    trainer = trainer_of(tmp_path, tuning=LORA, optimiser=fast, beta=0.1)
    assert trainer.ref_model is grpo.WITHOUT_ADAPTERS
    trainer.reward_funcs[0] = lambda completion_ids, **_: [sum(i % 2 for i in ids) / len(ids) for ids in completion_ids]
    original, seen = AudioGRPOTrainer._compute_loss, []

    def spy(self, model, inputs):
        seen.append({name: inputs[name].clone() for name in ("row", "completion_ids", "ref_per_token_logps")})
        return original(self, model, inputs)

    monkeypatch.setattr(AudioGRPOTrainer, "_compute_loss", spy)
    trainer.train()
    kl = [line["kl"] for line in trainer.state.log_history if "kl" in line]
    assert kl[0] == pytest.approx(0.0, abs=1e-7)
    assert kl[1] > 1e-4
    merged, before = whole_model(trainer, lambda: None).state_dict(), world.model().state_dict()
    assert merged.keys() == before.keys()
    moved = {name for name, value in merged.items() if not torch.equal(value, before[name])}
    assert moved
    assert all("self_attn" in name or "multi_modal_projector" in name for name in moved)
    start = trainer_of(tmp_path / "start")  # nothing has trained it
    for step in seen:
        row, said = step["row"][0].item(), step["completion_ids"][0].tolist()
        end = start._processor.tokenizer.eos_token_id
        said = drawing.until_end(said, end)
        own = own_log_probabilities(start, row, said)
        torch.testing.assert_close(step["ref_per_token_logps"][0, : len(said)], own, atol=1e-5, rtol=1e-4)


def test_a_draw_that_checkpoints_or_steps_would_cut_in_two_is_refused():
    with pytest.raises(ValueError, match="updates_per_draw"):
        config_of(updates_per_draw=2, steps=3)
    with pytest.raises(ValueError, match="checkpoint_every is 3"):
        config_of(updates_per_draw=2, steps=4, checkpoint_every=3)


def test_marks_of_the_chat_inside_an_answer_are_read_and_its_end_is_not():
    tokenizer = world.processor().tokenizer
    end = tokenizer.eos_token_id
    words = tokenizer("low", add_special_tokens=False)["input_ids"]
    assert grpo.read(tokenizer, [*words, end]) == "low"
    assert grpo.read(tokenizer, [*words, end, *words, end]) == f"low{tokenizer.eos_token}low"


def rollout(rewards: list[float | None], family: str = "tone", step: int = 1) -> Rollout:
    answers = [
        SampledAnswer(text="x", num_tokens=1, format=None, accuracy=r, structured=None, reward=r, advantage=0.0)
        for r in rewards
    ]
    about = {"example_id": "e", "track_id": "t", "question": "?", "reference": "low"}
    return Rollout(id=f"{step}/e", step=step, family=family, answers=answers, **about)


def test_measures_are_means_over_groups_and_families_without_what_does_not_apply():
    found = measures([rollout([1.0, 0.0, 1.0, 0.0]), rollout([1.0, 1.0, None, 1.0], "words")])
    assert found == {
        "group_std": pytest.approx((np.std([1, 0, 1, 0], ddof=1) + 0) / 2),
        "right/tone": 0.5,
        "right/words": 1.0,
    }


def test_rollouts_are_kept_at_the_first_step_and_at_every_nth_and_a_rerun_replaces_its_own(tmp_path):
    assert [step for step in range(1, 9) if is_kept(step, 3)] == [1, 3, 6]
    assert not is_kept(1, 0)
    keep(tmp_path, 3, [rollout([1.0], step=3)] * 2)
    keep(tmp_path, 1, [rollout([0.0])])
    keep(tmp_path, 3, [rollout([1.0], step=3)])
    assert collect(tmp_path, tmp_path) == 2
    lines = [Rollout.model_validate_json(line) for line in (tmp_path / "rollouts.jsonl").read_text().splitlines()]
    assert [line.step for line in lines] == [1, 3]


def test_the_stage_leaves_its_rollouts_with_parts_and_advantages(tmp_path):
    data = tmp_path / "data"
    world.write_ports(data)
    world.run("backbone", data)
    for name in ("sft_model", "warmup_model"):
        (data / name).symlink_to(data / "backbone_model")
    manifest = world.run("grpo", data)["grpo_model"]
    lines = (data / "grpo_model" / "rollouts.jsonl").read_text().splitlines()
    kept = [Rollout.model_validate_json(line) for line in lines]
    assert manifest.metrics["num_rollouts"] == len(kept)
    assert sorted({r.step for r in kept}) == [1, 2, 4, 6]
    assert all(len(r.answers) == 4 for r in kept)
    for r in kept:
        is_caption = r.family == "words"
        assert all((a.accuracy is None) == is_caption and (a.structured is None) != is_caption for a in r.answers)
        assert sum(a.advantage for a in r.answers) == pytest.approx(0, abs=1e-4)
    log = [json.loads(line) for line in (data / "grpo_model" / "log.jsonl").read_text().splitlines()]
    assert {"group_std", "no_spread", "clipped", "entropy", "mean_length", "kl"} <= set(log[0])
    assert {name for line in log for name in line if name.startswith("right/")} == {"right/tone", "right/words"}


def test_an_example_that_no_reward_applies_to_is_left_out_and_counted(tmp_path):
    data = tmp_path / "data"
    world.write_ports(data)
    world.run("backbone", data)
    (data / "warmup_model").symlink_to(data / "backbone_model")
    weights = {
        "question": {"format": 1.0, "accuracy": 1.0, "faithful": 0.0, "timed": 0.0, "repeated": 0.0},
        "caption": {"format": 0.0, "structured": 0.0, "repeated": 0.0},
    }
    metrics = world.run("grpo", data, reward_weights=weights, steps=2)["grpo_model"].metrics
    assert metrics["num_unscorable"] == 8
    assert metrics["left_out"] == {"words": "no example"}


def test_a_track_that_weighs_more_is_asked_about_more_often():
    items = [world.item(t) for t in TRACKS]
    weights = {"t0": 3.0, "t1": 3.0, **{f"t{i}": 1 / 3 for i in range(2, 8)}}
    rule = WindowRule("random", 16_000, per_track=2)
    drawn = draw_prompts(
        items, (), {"tone": 1.0}, num_samples_of(TRACKS), world.hearing(), rule, count=48, seed=0, weights=weights
    )["tone"]
    asked = [prompt.item.track_id for prompt in drawn]
    assert asked.count("t0") == asked.count("t1") == 18
    assert all(asked.count(f"t{i}") == 2 for i in range(2, 8))


def test_captions_carry_their_structured_truth_into_the_task():
    truth = (Category(name="theory", values=["low"]),)
    task = grpo.task_of(
        world.item(TRACKS[0]).__class__(**{**world.item(TRACKS[0]).__dict__, "is_caption": True, "structured": truth})
    )
    assert task.structured == truth
    assert task.is_caption


# --- vLLM -------------------------------------------------------------------------------------------------------------


def test_a_payload_holds_one_audio_token_and_the_windows_samples(tmp_path):
    trainer = trainer_of(tmp_path)
    ids = trainer.prompt_ids(1)
    audio, before, after = world.processor().audio_token_ids
    assert (ids.count(before), ids.count(after)) == (1, 1)
    samples = trainer._bank.samples(trainer._prompts[1].window)
    row = vllm.payload(ids, samples, world.RATE_HZ, (audio, before, after))
    short = row["prompt_token_ids"]
    assert short.count(audio) == 1
    assert before not in short
    assert after not in short
    at = short.index(audio)
    grown = [*short[:at], before, *[audio] * ids.count(audio), after, *short[at + 1 :]]
    assert grown == ids, "what vLLM makes of it is what the model reads"
    heard, rate = row["multi_modal_data"]["audio"]
    assert (heard.dtype, len(heard), rate) == (np.float32, 32_000, 16_000.0)


def test_a_vllm_without_the_plugin_is_refused_before_a_step():
    class MusicFlamingoForConditionalGeneration:
        pass

    runner = SimpleNamespace(model_runner=SimpleNamespace(model=MusicFlamingoForConditionalGeneration()))
    executor = SimpleNamespace(driver_worker=runner)
    engine = SimpleNamespace(llm=SimpleNamespace(llm_engine=SimpleNamespace(model_executor=executor)))
    with pytest.raises(UserError, match="finds the plugin"):
        vllm.require_plugin(engine)


def test_the_weights_dtype_is_handed_to_vllm_while_trl_starts_it(monkeypatch):
    from trl.generation import vllm_generation

    monkeypatch.setattr(vllm_generation, "LLM", dict, raising=False)
    with vllm.handed(torch.float32):
        assert vllm_generation.LLM(model="m") == {"model": "m", "dtype": "float32"}
    assert vllm_generation.LLM is dict


def test_vllm_asked_for_and_missing_is_an_error_with_the_install_line(monkeypatch):
    monkeypatch.setattr(vllm, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"train-vllm\.txt"):
        vllm.trl_arguments(VllmGeneration(kind="vllm", gpu_memory_fraction=0.3, max_model_tokens=4096))
    assert vllm.trl_arguments(TransformersGeneration(kind="transformers")) == {"use_vllm": False}


def test_vllm_beside_weights_in_pieces_that_it_cannot_be_given_is_refused():
    by_vllm = {"kind": "vllm", "gpu_memory_fraction": 0.3, "max_model_tokens": 4096}
    in_pieces = {**world.HARDWARE, "parallel": {"kind": "fsdp2", "reshard_after_forward": True}}
    with pytest.raises(ValueError, match="choose `deepspeed`"):
        config_of(generation=by_vllm, hardware=in_pieces)


def test_what_is_set_for_vllm_are_options_that_trl_has(monkeypatch):
    monkeypatch.setattr(vllm, "find_spec", lambda name: name)
    set_ = vllm.trl_arguments(VllmGeneration(kind="vllm", gpu_memory_fraction=0.3, max_model_tokens=4096))
    assert set(set_) <= {field.name for field in dataclasses.fields(GRPOConfig)}
    assert (set_["use_vllm"], set_["vllm_mode"], set_["vllm_gpu_memory_utilization"]) == (True, "colocate", 0.3)
