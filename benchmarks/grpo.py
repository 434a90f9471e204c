"""A step of GRPO against the straightforward one: python benchmarks/grpo.py [--data data] [--rounds 3]

Straightforward: every one of the G answers to a question is a row of its own, whose sound is turned into features and
encoded anew in the drawing, in the reference's and in the policy's pass. Here: features and encoder once for a group,
the prompt read once (model/shared_prefix). Both take the same prompts with the parameters of params.yaml (16 questions,
G = 5, windows of 6 s, 48 tokens) in turn, in one run. With --data the model is its `warmup_model`; else weights are
random, and every answer is as long as it may be. Says whether both give the same log-probabilities, and writes a dated
table.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from published import publish
from transformers import GenerationConfig, TrainerCallback

from music_flamingo.audio.flac import encode_flac
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.model.chat import audio_of, hear, pad
from music_flamingo.model.files import load_model, load_processor, save_model
from music_flamingo.model.size import TinySize
from music_flamingo.model.tiny import build_model, build_processor, build_tokenizer
from music_flamingo.records import Audio, Track
from music_flamingo.stages.grpo import GrpoConfig
from music_flamingo.training.data.audio import SoundBank, TrainingWindow
from music_flamingo.training.data.items import TrainingItem
from music_flamingo.training.grpo import trainer as grpo
from music_flamingo.training.grpo.sampling import until_end
from music_flamingo.training.grpo.tasks import GrpoPrompt
from music_flamingo.training.grpo.trainer import AudioGRPOTrainer

ROOT = Path(__file__).resolve().parents[1]
QUESTION, OPTIONS = "Is the tempo slow, medium or fast?", ("slow", "medium", "fast")
THOUGHT = "<think>Several notes sound together and drums play.</think><answer>fast</answer>"


class Straightforward(AudioGRPOTrainer):
    """Each row for itself, from samples to logits."""

    def _inputs(self, ids_BL: torch.Tensor, mask_BL: torch.Tensor, rows: Sequence[int]) -> dict[str, torch.Tensor]:
        heard = [hear(self._processor, self._bank.samples(self._prompts[row].window)) for row in rows]
        return {"input_ids": ids_BL, "attention_mask": mask_BL, **audio_of(heard)}

    @torch.no_grad()
    def roll_out(self) -> dict[str, Any]:
        ids = [self.prompt_ids(row) for row in self._rows]
        longest = max(map(len, ids))
        tokenizer = self._processor.tokenizer
        padded = torch.tensor([pad(i, longest, tokenizer.pad_token_id, "left") for i in ids])
        mask = torch.tensor([pad([1] * len(i), longest, 0, "left") for i in ids])
        sampling = GenerationConfig(
            do_sample=True,
            temperature=self.temperature,
            top_k=0,
            max_new_tokens=self.max_completion_length,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            suppress_tokens=list(self._processor.audio_token_ids),
        )
        model = self.accelerator.unwrap_model(self.model)
        drawn = model.generate(**self._inputs(padded, mask, self._rows), generation_config=sampling)
        said = [until_end(row, tokenizer.eos_token_id) for row in drawn[:, longest:].tolist()]
        return {"prompt_ids": ids, "completion_ids": said, "logprobs": None}

    def _get_per_token_logps_and_entropies(
        self,
        model,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        inputs = self._inputs(input_ids, attention_mask, self._rows)
        logits = model(**inputs, use_cache=False, logits_to_keep=logits_to_keep + 1).logits[:, :-1]
        logps = (logits.float() / self.temperature).log_softmax(-1)
        entropies = -(logps.detach().exp() * logps.detach()).sum(-1) if compute_entropy else None
        return logps.gather(-1, input_ids[:, -logits_to_keep:, None])[..., 0], entropies, None


class StepTimes(TrainerCallback):
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.started = time.perf_counter()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.seconds.append(time.perf_counter() - self.started)


def config_of(params: dict, steps: int) -> GrpoConfig:
    own = json.loads(stage_json(params, "grpo"))
    fixed = {"steps": steps, "checkpoint_every": 1000, "rollouts_every": 0, "updates_per_draw": 1}
    return GrpoConfig.model_validate_json(json.dumps({**own, **fixed}))


def made_up(params: dict, folder: Path) -> Path:
    """A model of the default's shape with random weights."""
    backbone = json.loads(stage_json(params, "backbone"))["model"]
    size = TinySize.model_validate(backbone["size"])
    corpus = [QUESTION, THOUGHT, *OPTIONS, "user assistant"] * 3
    processor = build_processor(build_tokenizer(corpus, size.vocabulary), size, backbone["sample_rate_hz"])
    save_model(build_model(processor, size, seed=1), processor, folder)
    return folder


def prompts_of(config: GrpoConfig, rate_hz: int) -> tuple[list[GrpoPrompt], list[Track]]:
    """A question about each of as many noises as the steps have prompts."""
    samples = round(config.windows.max_s * rate_hz)
    prompts, tracks = [], []
    for i in range(config.steps * config.prompts_per_step):
        noise = np.random.default_rng(i).normal(0, 0.1, samples).astype(np.float32)
        tracks.append(Track.model_construct(id=f"t{i}", audio=Audio(bytes=encode_flac(noise), path=f"t{i}.flac")))
        asked = f"{QUESTION} Choose from: slow, medium, fast. Think in think tags, then answer in answer tags."
        item = TrainingItem(
            f"t{i}", f"t{i}", "tempo_class", QUESTION, asked, "fast", "fast", OPTIONS, (), False, "choice"
        )
        prompts.append(GrpoPrompt(TrainingWindow(f"t{i}", 0, samples), item))
    return prompts, tracks


def trainer_of(kind: type[AudioGRPOTrainer], folder: Path, config: GrpoConfig, work: Path) -> AudioGRPOTrainer:
    _, processor = load_processor(folder)
    prompts, tracks = prompts_of(config, processor.feature_extractor.sampling_rate)
    made = grpo.trainer_of(
        lambda: load_model(folder)[0], processor, prompts, SoundBank(processor, tracks), config, work, "grpo"
    )
    made.__class__ = kind
    return made


def largest_difference(one: AudioGRPOTrainer, other: AudioGRPOTrainer) -> float:
    """Of the log-probabilities of the same answers, G to each of a few prompts."""
    rows = [row for row in range(4) for _ in range(one.num_generations)]
    said = torch.randint(10, 60, (len(rows), 12), generator=torch.Generator().manual_seed(0))
    ids = torch.cat([torch.tensor([one.prompt_ids(row) for row in rows]), said], dim=1)
    found = []
    for trainer in (one, other):
        trainer._rows = rows
        with torch.no_grad():
            made = trainer._get_per_token_logps_and_entropies(trainer.model, ids, torch.ones_like(ids), said.shape[1])
        found.append(made[0])
    return float((found[0] - found[1]).abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="of a finished run: its warmup_model draws and learns")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2, help="of each way in a round")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    params = load_params(arguments.params)
    config = config_of(params, arguments.steps)
    ways = {"straightforward": Straightforward, "this trainer": AudioGRPOTrainer}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.data / "warmup_model" if arguments.data else made_up(params, Path(scratch))
        made = [trainer_of(way, folder, config, Path(scratch) / "same") for way in ways.values()]
        difference = largest_difference(*made)
        for turn in range(arguments.rounds):
            for name, way in ways.items():
                times = StepTimes()
                trainer = trainer_of(way, folder, config, Path(scratch) / f"{turn}-{name}")
                trainer.add_callback(times)
                trainer.train()
                seconds[name] += times.seconds
                print(f"{name}: {', '.join(f'{s:.2f}' for s in times.seconds)} s a step", flush=True)
    ratio = median(seconds["straightforward"]) / median(seconds["this trainer"])
    table = [
        "| | seconds a step (median) | all steps |",
        "|---|---|---|",
        *(f"| {name} | {median(s):.2f} | {', '.join(f'{x:.2f}' for x in s)} |" for name, s in seconds.items()),
        f"| straightforward / this trainer | {ratio:.2f} times | |",
        "",
        f"Largest difference of their log-probabilities: {difference:.1e}.",
    ]
    notes = [
        f"{config.prompts_per_step} questions, G = {config.num_generations}, windows of {config.windows.max_s:g} s, at "
        f"most {config.max_completion_tokens} tokens an answer; one thread, float32; "
        + ("the default's weights after warm-up" if arguments.data else "random weights"),
    ]
    publish("grpo", "A step of GRPO against the straightforward one", table, ("torch", "transformers", "trl"), notes)


if __name__ == "__main__":
    main()
