"""A model small enough for tests, tracks that differ in one audible way, and the items about them."""

import random
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from music_flamingo import stages
from music_flamingo.audio.flac import encode_flac
from music_flamingo.core.manifest import Manifest
from music_flamingo.core.record import Provenance
from music_flamingo.model.context import Hearing
from music_flamingo.model.size import TinySize
from music_flamingo.model.tiny import build_model, build_processor, build_tokenizer
from music_flamingo.records import Audio, Category, Chain, Example, SpokenSegment, TeacherStamp, Track, Utterance
from music_flamingo.training.data.audio import RecordingIndex
from music_flamingo.training.data.item_store import ItemStore
from music_flamingo.training.data.items import TrainingItem, curriculum
from music_flamingo.training.data.mixture import divided, mixed, words_of
from music_flamingo.training.data.samples import WindowRule
from music_flamingo.training.data.schedule import TrainingSchedule
from support.songs import make_track, run_stage, write_port

RATE_HZ = 16000
SIZE = TinySize(
    width=32,
    encoder_layers=1,
    language_layers=1,
    heads=4,
    key_value_heads=2,
    feed_forward=64,
    vocabulary=512,
    mel_bins=32,
    fft_samples=1024,
    hop_samples=320,
    window_s=2,
    max_audio_s=4,
    context_tokens=1024,
    init_std=0.08,
)
QUESTION = "Is the tone low or high?"
OPTIONS = ("low", "high")
CORPUS = (
    QUESTION,
    "low",
    "high",
    " low",
    " high",
    "<think>It is low.</think><answer>low</answer>",
    "user assistant",
) * 3


@cache
def processor():
    return build_processor(build_tokenizer(CORPUS, SIZE.vocabulary), SIZE, RATE_HZ)


def model(seed: int = 1):
    return build_model(processor(), SIZE, seed)


def hearing() -> Hearing:
    return Hearing.of(processor(), model().config)


def tone(hertz: float, seconds: float, seed: int = 0) -> np.ndarray:
    """A tone in a little noise."""
    noise = np.random.default_rng(seed).normal(0, 0.01, round(seconds * RATE_HZ))
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(len(noise)) / RATE_HZ) + noise).astype(np.float32)


SECONDS = 3.0


def tracks(count: int = 8, seconds: float = SECONDS) -> list[Track]:
    """Even ones are low, odd ones high."""
    made = []
    for i in range(count):
        samples = tone(200 + 20 * i if i % 2 == 0 else 3000 + 100 * i, seconds, seed=i)
        # only what training reads
        made.append(Track.model_construct(id=f"t{i}", audio=Audio(bytes=encode_flac(samples), path=f"t{i}.flac")))
    return made


def item(track: Track, family: str = "tone", think: bool = False) -> TrainingItem:
    answer = OPTIONS[int(track.id[1:]) % 2]
    return TrainingItem(
        id=f"{track.id}/{family}",
        track_id=track.id,
        family=family,
        question=QUESTION,
        prompt=f"{QUESTION}{' Think.' if think else ''}",
        target=f"<think>It is {answer}.</think><answer>{answer}</answer>" if think else answer,
        reference=answer,
        options=OPTIONS,
        structured=(),
        is_caption=False,
        kind="choice",
    )


def taught(of: list[Track], think: bool = False):
    return curriculum([item(t, think=think) for t in of], {"tone": 1.0}, "sft")


def plan_lessons(
    items: Sequence[TrainingItem],
    num_samples: Mapping[str, int],
    heard: Hearing,
    windows: WindowRule,
    *,
    num_lessons: int,
    max_turns: int,
    seed: int,
    weights: Mapping[str, float] | None = None,
) -> TrainingSchedule:
    """Lessons of one source, as a supervised run plans them."""
    item_store = ItemStore.write([items], dict.fromkeys({i.family for i in items}, 1.0), "sft")
    names = sorted(num_samples)
    listing = RecordingIndex(
        pa.array(names, pa.large_string()),
        np.array([num_samples[name] for name in names]),
        np.array([(weights or {}).get(name, 1.0) for name in names]),
    )
    rngs = [random.Random(seed)]
    plan = TrainingSchedule(
        divided(item_store, listing, heard, windows, words_of(processor(), item_store), rngs, max_turns), item_store
    )
    for _ in islice(mixed(plan, rngs, [1.0]), num_lessons):
        pass
    return plan


def generator(seed: int = 0) -> random.Random:
    return random.Random(seed)


def utterances(count: int = 8, held_out: int = 4) -> list[Utterance]:
    """`low` or `high`, said as a tone; the last ones are held out."""
    made = []
    for i, track in enumerate(tracks(count + held_out, 1.5)):
        word = OPTIONS[i % 2]
        segment = SpokenSegment(speaker="s", start_s=0.0, end_s=1.5, text=word, phonemes=" ".join(word))
        made.append(
            Utterance(
                id=f"tones/{i:02d}",
                corpus="tones",
                language="en",
                licence=None,
                split="train" if i < count else "dev",
                audio=track.audio,
                duration_s=1.5,
                segments=[segment],
                is_sung=False,
                request=None,
                provenance=Provenance(made_by="test", tool="test", tool_version="1"),
            )
        )
    return made


def write_ports(data: Path, count: int = 8) -> None:
    """The ports `skills`, `think`, `tracks` and `speech`: a question, a caption and a chain about each track."""
    stamp = TeacherStamp(kind="scripted", model="test", revision="1", prompt_id="none", prompt_sha256="0" * 64)
    common = {"split": "train", "question": QUESTION, "options": list(OPTIONS), "teacher": stamp}
    full, examples, chains = [], [], []
    for track in tracks(count):
        answer = OPTIONS[int(track.id[1:]) % 2]
        full.append(make_track(track.id, f"work-{track.id}", audio=track.audio, duration_s=SECONDS))
        about = {**common, "track_id": track.id, "work_id": f"work-{track.id}"}
        plain = {"skill": "attribute", "type": "multiple_choice", "family": "tone", "answer": answer}
        empty = {"rationale": "", "references": [], "structured": []}
        examples.append(Example.model_validate({**about, **plain, **empty, "id": f"{track.id}/tone"}))
        words = {"question": "Describe it.", "options": [], "answer": f"A {answer} tone.", "skill": "caption"}
        truth = [Category(name="theory", values=[answer])]
        examples.append(
            Example.model_validate(
                {
                    **about,
                    **empty,
                    **words,
                    "type": "caption",
                    "family": "words",
                    "structured": truth,
                    "id": f"{track.id}/words",
                }
            )
        )
        thought = {"steps": [], "thinking": f"It is {answer}.", "difficulty": "teacher_choice"}
        tone_chain = {"family": "tone", "answer": answer, "example_id": f"{track.id}/tone", "id": f"{track.id}/tone"}
        chains.append(Chain.model_validate({**about, **thought, **tone_chain}))
    write_port(data / "tracks", Track, [full])
    write_port(data / "skills", Example, [examples])
    write_port(data / "think", Chain, [chains])
    write_port(data / "speech", Utterance, [utterances(count)])


OPTIMISER = {
    "learning_rate": 0.003,
    "schedule": {"kind": "constant", "warmup_steps": 2},
    "weight_decay": 0.0,
    "beta2": 0.98,
    "max_grad_norm": 1.0,
    "accumulation": 1,
}
WINDOWS = {"rule": "random", "per_track": 2, "max_s": 2.0}
TRACKING: dict = {"tensorboard": None, "mlflow": None}
HARDWARE = {"device": "cpu", "precision": "fp32", "gradient_checkpointing": False, "parallel": {"kind": "single"}}
ADAPTERS = {
    "kind": "lora",
    "rank": 4,
    "alpha": 8,
    "dropout": 0.0,
    "targets": r".*language_model.*\.[qkvo]_proj",
    "train_projector": True,
    "train_marks": False,
    "keep": "merged",
}
SCALE = {"tuning": {"kind": "full", "trains": "all"}, "hardware": HARDWARE}
CONTEXT = {"on_overflow": "window_by_references", "whole_above": 0.95}
TEACHING = {
    **SCALE,
    "seed": 3,
    "threads": 1,
    "families": {"tone": 1.0, "words": 0.5},
    "steps": 8,
    "batch_size": 4,
    "mixture": {"temperature": 1.0, "sources": {"skills": 1.0, "speech": 0.0}},
    "speech_tasks": {"asr": 1.0, "phonemes": 1.0},
    "context": CONTEXT,
    "fill": None,
    "packing": False,
    "max_turns": 2,
    "turns": "isolated",
    "branch_weight": 5.0,
    "windows": WINDOWS,
    "optimiser": OPTIMISER,
    "checkpoint_every": 3,
    "tracking": TRACKING,
}
EXAM = {"split": "dev", "per_task": 4, "batch_size": 4}
CONFIGS: dict[str, dict] = {
    "backbone": {
        "model": {"kind": "scratch", "seed": 1, "sample_rate_hz": RATE_HZ, "size": SIZE.model_dump()},
        "seed": 2,
        "threads": 1,
        "speech": {"phases": [], "turns": "conversation", "exam": EXAM, "checkpoint_every": 3},
        "hardware": HARDWARE,
        "tracking": TRACKING,
    },
    "sft": TEACHING,
    "warmup": {
        **TEACHING,
        "mixture": {"temperature": 1.0, "sources": {"think": 1.0, "speech": 0.0}},
        "caption_families": ["words"],
        "controls": None,
    },
    "grpo": {
        **SCALE,
        "seed": 4,
        "threads": 1,
        "families": {"tone": 2.0, "words": 1.0},
        "steps": 6,
        "prompts_per_step": 3,
        "num_generations": 4,
        "candidates": 1.5,
        "ask_first": "think",
        "beta": 0.05,
        "epsilon": 0.2,
        "exploration": {"redraws": 0, "no_spread": "keep", "epsilon_high": None, "entropy_floor": None},
        "objective": {"mean_over": "answers", "overlong": "keep"},
        "updates_per_draw": 1,
        "temperature": 1.0,
        "max_completion_tokens": 16,
        "max_think_words": 250,
        "reward_weights": {
            "question": {"format": 1.0, "accuracy": 1.0, "faithful": 0.0, "timed": 0.0, "repeated": 0.0},
            "caption": {"format": 1.0, "structured": 1.0, "repeated": 0.0},
        },
        "structured_form": "matched_categories",
        "scale_rewards": "group",
        "windows": WINDOWS,
        "context": CONTEXT,
        "optimiser": OPTIMISER,
        "batch_size": 8,
        "checkpoint_every": 2,
        "tracking": TRACKING,
        "rollouts_every": 2,
        "generation": {"kind": "transformers"},
    },
}


def run(stage_name: str, data: Path, **changes: object) -> dict[str, Manifest]:
    """The stage with its ports in `data`; gives the outputs' manifests."""
    return run_stage(stages.load(stage_name), {**CONFIGS[stage_name], **changes}, data)
