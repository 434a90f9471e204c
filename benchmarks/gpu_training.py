"""Training of the published dimensions on the GPU that is here: tokens/s, memory, and how much of its peak is used.

    python benchmarks/gpu_training.py [--profile h200] [--stage sft] [--seconds 210 900] [--set plan.gpu.used=0.4]
    python benchmarks/gpu_training.py --tiny          # tries this script on a processor, with a model of no use

Weights are drawn at random and songs are noise: neither changes what a step costs. Trainer, adapters, precision,
checkpointing, batch and accumulation are the profile's, and so are the questions of a lesson. Operations are those that
`mf plan` counts, without what checkpointing computes twice; divided by time and `plan.gpu.peak_tflops` they are the
model FLOPs utilisation, which `plan.gpu.used` then states instead of assuming it. Writes a dated table.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from published import publish
from transformers import (
    AudioFlamingo3EncoderConfig,
    MusicFlamingoConfig,
    MusicFlamingoForConditionalGeneration,
    Qwen2Config,
    TrainerCallback,
)
from transformers.trainer_utils import SaveStrategy

from music_flamingo.core.params import load_assumptions, load_params
from music_flamingo.model.chat import Turn, hear, tokenise_apart
from music_flamingo.model.lora import tuned
from music_flamingo.model.packing import packed_batch_of
from music_flamingo.model.size import TinySize
from music_flamingo.model.tiny import build_model, build_processor, build_tokenizer
from music_flamingo.planning.assumptions import read_assumptions
from music_flamingo.planning.memory import GIB, memory
from music_flamingo.planning.shape import PUBLISHED, Shape
from music_flamingo.planning.training import TERA
from music_flamingo.planning.work import StageSample, supervised
from music_flamingo.runs.workspace import profile_path
from music_flamingo.training.data.collator import answer_spans
from music_flamingo.training.scale.distributed import device_of, join
from music_flamingo.training.settings import SupervisedConfig
from music_flamingo.training.sft_trainer import trainer_of

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 16_000
SETTLING = 2
"""Steps before any is counted: memory is laid out and kernels are chosen."""
QUESTION = "Which instruments carry the melody in this music, and how does that change over its sections?"
ANSWER = "A violin carries the melody over held chords; in the second section the clarinet takes it up an octave lower."
EARS = TinySize(
    width=32,
    encoder_layers=1,
    language_layers=2,
    heads=2,
    key_value_heads=1,
    feed_forward=64,
    vocabulary=600,
    mel_bins=PUBLISHED.mel_bins,
    fft_samples=400,
    hop_samples=160,
    window_s=int(PUBLISHED.window_s),
    max_audio_s=1200,
    context_tokens=PUBLISHED.context_tokens,
    init_std=0.02,
)
"""Hears as the published model does; its own dimensions are those of `--tiny`."""


def published(processor: Any, device: str) -> MusicFlamingoForConditionalGeneration:
    """Random float32 weights, drawn where they will lie. The encoder's dimensions are transformers' defaults."""
    config = MusicFlamingoConfig(
        audio_config=AudioFlamingo3EncoderConfig(),
        text_config=Qwen2Config(
            vocab_size=PUBLISHED.vocabulary,
            hidden_size=PUBLISHED.width,
            intermediate_size=PUBLISHED.feed_forward,
            num_hidden_layers=PUBLISHED.language_layers,
            num_attention_heads=PUBLISHED.heads,
            num_key_value_heads=PUBLISHED.key_value_heads,
            max_position_embeddings=PUBLISHED.context_tokens,
            tie_word_embeddings=False,
        ),
        audio_token_id=processor.audio_token_id,
        audio_bos_token_id=processor.audio_bos_token_id,
        audio_eos_token_id=processor.audio_eos_token_id,
        rope_parameters=build_model(processor, EARS, seed=0).config.rope_parameters,
    )
    torch.manual_seed(0)
    with torch.device(device):
        return MusicFlamingoForConditionalGeneration(config)


class Songs:
    """A collator: every lesson is so many seconds of noise and so many questions that stand apart."""

    def __init__(self, processor: Any, seconds: float, turns: int) -> None:
        noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE_HZ)).astype(np.float32)
        self._sound = hear(processor, noise)
        self._tokens = tokenise_apart(processor, [Turn(QUESTION, ANSWER)] * turns, self._sound.num_tokens)
        taught = sum(end - start for start, end in answer_spans(self._tokens))
        self.sample = StageSample(seconds, len(self._tokens.ids) - self._sound.num_tokens - taught, taught)

    def __call__(self, rows: list[dict[str, int]]) -> dict[str, Any]:
        tokens, count = self._tokens, len(rows)
        weights = torch.tensor([[float(said) for said in tokens.is_answer] * count])
        batch = packed_batch_of([tokens] * count, [self._sound] * count)
        return {**batch, "weights": weights, "sample_ids": [str(row["lesson"]) for row in rows]}


class Clock(TrainerCallback):
    """Seconds of each step."""

    def __init__(self) -> None:
        self.steps_s: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._started = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.steps_s.append(time.perf_counter() - self._started)


def measure(
    load: Callable[[], Any], config: SupervisedConfig, processor: Any, songs: Songs, steps: int
) -> tuple[float, float]:
    """(median seconds of a step, bytes of the GPU at the fullest moment). The model is gone afterwards."""
    on_gpu = device_of(config.hardware) == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(
            tuned(load(), config.tuning, seed=0),
            processor,
            (SETTLING + steps) * config.batch_size,
            songs,
            config.optimiser,
            batch_size=config.batch_size,
            checkpoint_every=SETTLING + steps,
            seed=0,
            work=Path(folder),
            hardware=config.hardware,
            callbacks=[clock],
        )
        trainer.args.save_strategy = SaveStrategy.NO
        trainer.train()
    held = torch.cuda.max_memory_allocated() if on_gpu else 0
    return statistics.median(clock.steps_s[SETTLING:]), held


def rows(options: argparse.Namespace) -> Iterator[str]:
    overlays, settings = (profile_path(options.profile),), tuple(options.settings)
    of_plan = tuple(s for s in settings if s.startswith("plan."))
    params = load_params(ROOT / "params.yaml", overlays, tuple(s for s in settings if s not in of_plan))
    gpu = read_assumptions(load_assumptions(ROOT / "params.yaml", overlays, of_plan)).gpu
    # a stage's own class may have more fields than the two that it shares
    fields = {k: v for k, v in params[options.stage].items() if k in SupervisedConfig.model_fields}
    if options.tiny:
        fields["hardware"] = {**fields["hardware"], "device": "cpu", "precision": "fp32"}
    config = SupervisedConfig.model_validate(fields)
    join(config.hardware)
    processor = build_processor(build_tokenizer([QUESTION, ANSWER], EARS.vocabulary), EARS, RATE_HZ)
    load, shape = partial(published, processor, device_of(config.hardware)), PUBLISHED
    if options.tiny:
        load = partial(build_model, processor, EARS, seed=0)
        shape = Shape.of_config(load().config, PUBLISHED.window_s)
    yield (
        f"{config.tuning.kind}, {config.hardware.precision}, {config.batch_size} lessons a step in "
        f"{config.optimiser.accumulation} parts; peak {gpu.peak_tflops:g} Tflop/s ({gpu.name})"
    )
    yield ""
    yield "| a song | tokens a lesson | s a step | tokens/s | Tflop/s | of the peak | GiB held | GiB planned |"
    yield "|---|---|---|---|---|---|---|---|"
    for seconds in options.seconds:
        songs = Songs(processor, seconds, config.max_turns)
        step_s, held = measure(load, config, processor, songs, options.steps)
        length = songs.sample.length(shape)
        done = config.batch_size * supervised(shape, songs.sample, config.tuning) / step_s / TERA
        planned = memory(
            shape,
            config.tuning,
            songs.sample,
            micro_batch=config.batch_size // config.optimiser.accumulation,
            parallel="single",
            gpus=1,
            precision=config.hardware.precision,
            checkpointing=config.hardware.gradient_checkpointing,
        ).total
        yield (
            f"| {seconds:g} s | {length:,} | {step_s:.3f} | {config.batch_size * length / step_s:,.0f} | {done:.3g} | "
            f"{done / gpu.peak_tflops:.1%} | {held / GIB:.1f} | {planned / GIB:.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="h200")
    parser.add_argument("--stage", choices=("sft", "warmup"), default="sft")
    parser.add_argument("--seconds", type=float, nargs="+", default=[30.0, 210.0, 900.0])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="STAGE.NAME=VALUE")
    parser.add_argument("--tiny", action="store_true", help="try this script without a GPU; nothing is written")
    options = parser.parse_args()
    lines = list(rows(options))
    if options.tiny:
        print("\n".join(lines))
        return
    name = torch.cuda.get_device_name()
    publish("gpu-training", f"Training on {name}", lines, ("torch", "transformers", "trl", "peft"))


if __name__ == "__main__":
    main()
