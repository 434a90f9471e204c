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
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from published import publish
from transformers import (
    AudioFlamingo3EncoderConfig,
    MusicFlamingoConfig,
    MusicFlamingoForConditionalGeneration,
    PrinterCallback,
    Qwen2Config,
    TrainerCallback,
)
from trl import SFTConfig

from music_flamingo.core.params import load_assumptions, load_params
from music_flamingo.model.chat import Turn, hear, tokenise_apart
from music_flamingo.model.lora import tuned
from music_flamingo.model.packing import packed_batch_of
from music_flamingo.model.size import TinySize
from music_flamingo.model.tiny import ROTE_PARTIAL_FACTOR, ROTE_THETA, build_processor, build_tokenizer
from music_flamingo.planning.assumptions import read_assumptions
from music_flamingo.planning.memory import GIB, memory
from music_flamingo.planning.shape import PUBLISHED, Shape
from music_flamingo.planning.training import TERA
from music_flamingo.planning.work import Sample, supervised
from music_flamingo.training.batches import answer_spans
from music_flamingo.training.distributed import arguments, device_of, join
from music_flamingo.training.settings import Teaching
from music_flamingo.training.sft import COMMON_ARGUMENTS, AudioSFTTrainer
from music_flamingo.workspace import profile_path

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 16_000
SETTLING = 2
"""Steps before any is counted: memory is laid out and kernels are chosen."""
QUESTION = "Which instruments carry the melody in this music, and how does that change over its sections?"
ANSWER = "A violin carries the melody over held chords; in the second section the clarinet takes it up an octave lower."
TINY = replace(PUBLISHED, encoder_layers=1, encoder_width=32, encoder_feed_forward=64, language_layers=2, width=32)
TINY = replace(TINY, feed_forward=64, heads=2, key_value_heads=1, head_width=16, vocabulary=600)


def processor_of(shape: Shape) -> Any:
    """Ears as published, with few words: their ids lie within the vocabulary."""
    size = TinySize(
        width=shape.width,
        encoder_layers=shape.encoder_layers,
        language_layers=shape.language_layers,
        heads=shape.heads,
        key_value_heads=shape.key_value_heads,
        feed_forward=shape.feed_forward,
        vocabulary=600,
        mel_bins=shape.mel_bins,
        fft_samples=400,
        hop_samples=160,
        window_s=int(shape.window_s),
        max_audio_s=1200,
        context_tokens=shape.context_tokens,
        init_std=0.02,
    )
    return build_processor(build_tokenizer([QUESTION, ANSWER], size.vocabulary), size, RATE_HZ)


def model_of(shape: Shape, processor: Any, device: str) -> MusicFlamingoForConditionalGeneration:
    """Random float32 weights, drawn where they will lie."""
    config = MusicFlamingoConfig(
        audio_config=AudioFlamingo3EncoderConfig(
            num_mel_bins=shape.mel_bins,
            num_hidden_layers=shape.encoder_layers,
            num_attention_heads=max(1, shape.encoder_width // 64),
            intermediate_size=shape.encoder_feed_forward,
            hidden_size=shape.encoder_width,
            max_source_positions=shape.encoder_positions,
        ),
        text_config=Qwen2Config(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            intermediate_size=shape.feed_forward,
            num_hidden_layers=shape.language_layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.key_value_heads,
            max_position_embeddings=shape.context_tokens,
            tie_word_embeddings=False,
        ),
        audio_token_id=processor.audio_token_id,
        audio_bos_token_id=processor.audio_bos_token_id,
        audio_eos_token_id=processor.audio_eos_token_id,
        audio_frame_step=0.01,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": ROTE_THETA,
            "partial_rotary_factor": ROTE_PARTIAL_FACTOR,
        },
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
        self.sample = Sample(seconds, len(self._tokens.ids) - self._sound.num_tokens - taught, taught)

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


def measure(config: Teaching, processor: Any, shape: Shape, songs: Songs, steps: int) -> tuple[float, float]:
    """(median seconds of a step, bytes of the GPU at the fullest moment)."""
    optimiser, device = config.optimiser, device_of(config.hardware)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = AudioSFTTrainer(
            model=tuned(model_of(shape, processor, device), config.tuning, seed=0),
            args=SFTConfig(
                output_dir=folder,
                save_strategy="no",
                max_length=None,
                dataset_kwargs={"skip_prepare_dataset": True},
                **COMMON_ARGUMENTS,
                **arguments(config.hardware, config.batch_size, optimiser.accumulation),
                **optimiser.arguments(SETTLING + steps),
            ),
            train_dataset=Dataset.from_dict({"lesson": range((SETTLING + steps) * config.batch_size)}),
            processing_class=processor,
            data_collator=songs,
            callbacks=[clock],
            hardware=config.hardware,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    held = torch.cuda.max_memory_allocated() if device == "cuda" else 0
    return statistics.median(clock.steps_s[SETTLING:]), held


def rows(options: argparse.Namespace) -> Iterator[str]:
    overlays, settings = (profile_path(options.profile),), tuple(options.settings)
    of_plan = tuple(s for s in settings if s.startswith("plan."))
    params = load_params(ROOT / "params.yaml", overlays, tuple(s for s in settings if s not in of_plan))
    gpu = read_assumptions(load_assumptions(ROOT / "params.yaml", overlays, of_plan)).gpu
    # a stage's own class may have more fields than the two that it shares
    fields = {k: v for k, v in params[options.stage].items() if k in Teaching.model_fields}
    if options.tiny:
        fields["hardware"] = {**fields["hardware"], "device": "cpu", "precision": "fp32"}
    config = Teaching.model_validate(fields)
    join(config.hardware)
    shape = TINY if options.tiny else PUBLISHED
    processor = processor_of(shape)
    yield (
        f"{config.tuning.kind}, {config.hardware.precision}, {config.batch_size} lessons a step in "
        f"{config.optimiser.accumulation} parts; peak {gpu.peak_tflops:g} Tflop/s ({gpu.name})"
    )
    yield ""
    yield "| a song | tokens a lesson | s a step | tokens/s | Tflop/s | of the peak | GiB held | GiB planned |"
    yield "|---|---|---|---|---|---|---|---|"
    for seconds in options.seconds:
        songs = Songs(processor, seconds, config.max_turns)
        step_s, held = measure(config, processor, shape, songs, options.steps)
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
            f"| {seconds:g} s | {length:,} | {step_s:.2f} | {config.batch_size * length / step_s:,.0f} | {done:.3g} | "
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
