"""Held-out pieces by hand, a tiny real model and a release of it: shared by the tests of evaluation and serving."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from music_flamingo.audio.flac import encode_flac
from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.core.ports import Folder
from music_flamingo.core.record import Provenance
from music_flamingo.core.stage import PortType, Stage, StageConfig, execute
from music_flamingo.evaluation.summary import Corpus, Difference, Evaluation, write_evaluation
from music_flamingo.mir.licences import MADMOM
from music_flamingo.records import Audio, Facts, Score, Track, Truth

RATE_HZ = 16000
DURATION_S = 7.0
CORPUS = Corpus(train_tracks=8, train_works=4, test_tracks=8, test_works=4, works_by_tradition={"Ragtime": 4})

EVALUATE = {
    "families": ["drums", "mode", "tempo_class"],
    "caption_request": None,
    "per_family": 8,
    "batch_size": 8,
    "max_new_tokens": 6,
    "resamples": 200,
    "thinking": None,
    "seed": 1,
    "workers": 1,
}
RELEASE: dict[str, Any] = {
    "name": "music-flamingo",
    "gate": {"min_families": 1, "min_margin": 0.2, "min_works": 2},
    "families": ["drums"],
    "requests": {},
    "teacher": "scripted",
    "max_new_tokens": 8,
}


class Nothing(StageConfig):
    """No parameters; what is made by it was labelled by madmom's models."""

    uses: ClassVar = (MADMOM,)


def tone(seconds: float = DURATION_S, pitch_hz: float = 220.0) -> np.ndarray:
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * pitch_hz * time_s) * np.exp(-3 * (time_s % 0.5))).astype(np.float32)


def make_truth(work: int, performance: int = 0, **changes: Any) -> Truth:
    """Even works are in major with drums and slow, odd ones in minor without; performance 1 turns the drums round."""
    values = {
        "id": f"w{work}#{performance}",
        "work_id": f"w{work}",
        "tempo_bpm": (60.0, 100.0, 150.0)[work % 3],
        "beats_s": [0.5, 1.0],
        "downbeats_s": [0.5],
        "meter": "4/4",
        "beats_per_bar": 4,
        "key": "C major" if work % 2 == 0 else "A minor",
        "chords": [],
        "sections": [],
        "instruments": ["Acoustic Grand Piano"],
        "lead_family": "piano",
        "lead_envelope": "decaying",
        "has_drums": (work + performance) % 2 == 0,
        "texture": "chords",
    }
    return Truth.model_validate({**values, **changes})


def make_track(truth: Truth, split: str = "test") -> Track:
    pitch_hz = 150 + int(sha256_bytes(truth.id.encode())[:4], 16) % 400
    return Track(
        id=truth.id,
        work_id=truth.work_id,
        split=split,
        title=None,
        artist=None,
        tradition="Ragtime",
        language=None,
        lyrics=None,
        uri=f"score:{truth.id}",
        original=None,
        source_sha256="0" * 64,
        audio_sha256="0" * 64,
        duration_s=DURATION_S,
        original_rate_hz=RATE_HZ,
        num_channels=1,
        loudness=None,
        fingerprint=[],
        audio=Audio(bytes=encode_flac(tone(pitch_hz=pitch_hz)), path=f"{truth.id}.flac"),
        provenance=Provenance(made_by="ingest", tool="by hand", tool_version="1"),
    )


def give(data: Path, name: str, outputs: dict[str, PortType], write: Callable[..., None]) -> None:
    """Write ports by a stage of our own, so that they have manifests."""

    def run(config: Nothing, **ports: Any) -> dict[str, Any]:
        write(**ports)
        return {}

    execute(Stage(name, Nothing, {}, outputs, run), "{}", {}, {n: data / n for n in outputs})


def give_held_out(data: Path, truths: list[Truth], *, with_truth: bool = True, measured: Sequence[Facts] = ()) -> None:
    def write(tracks: Any, truth: Any, facts: Any) -> None:
        tracks.write_all([make_track(t) for t in truths], 3)
        truth.write_all(truths if with_truth else [], 50)
        facts.write_all(list(measured), 50)

    give(data, "ingest", {"tracks": Track, "truth": Truth, "facts": Facts}, write)


def give_model(data: Path, port: str, seed: int, **size: Any) -> None:
    give(data, port, {port: Folder}, lambda **ports: save_tiny(ports[port].root, seed, **size))


def save_tiny(folder: Path, seed: int = 0, **changes: Any) -> None:
    """A real MusicFlamingo with random weights: it says what it likes, always the same. `changes`: of its size."""
    from music_flamingo.model.files import save_model
    from music_flamingo.model.tiny import TinySize, build_model, build_processor, build_tokenizer

    size = TinySize(
        width=32,
        encoder_layers=1,
        language_layers=1,
        heads=2,
        key_value_heads=2,
        feed_forward=64,
        vocabulary=300,
        mel_bins=16,
        fft_samples=1024,
        hop_samples=320,
        window_s=6,
        max_audio_s=6,
        context_tokens=1024,
        init_std=0.08,
    ).model_copy(update=changes)
    words = ["major minor yes no slow medium fast <think>Drums are heard.</think><answer>yes</answer>"]
    processor = build_processor(build_tokenizer(words, size.vocabulary), size, RATE_HZ)
    save_model(build_model(processor, size, seed), processor, folder)


def score(condition: str, family: str, accuracy: float, model: str = "grpo", num_works: int = 20) -> Score:
    return Score(
        id=f"{model}/{condition}/{family}",
        model=model,
        condition=condition,
        family=family,
        num_items=90,
        num_works=num_works,
        accuracy=accuracy,
        low=accuracy - 0.05,
        high=accuracy + 0.05,
        unparsed=0.0,
    )


def difference(control: str, low: float, minus_model: str = "grpo") -> Difference:
    return Difference(
        model="grpo",
        minus_model=minus_model,
        minus_condition=control,
        family="all",
        difference=low + 0.1,
        low=low,
        high=low + 0.2,
    )


def heard_well(low_shuffled: float = 0.2, low_none: float = 0.2, drums: float = 0.9) -> tuple[list[Score], Evaluation]:
    """Scores of a model that hears drums: 0.9 against 0.5."""
    levels = {"audio": drums, "shuffled": 0.2, "none": 0.5}
    scores = [score(c, f, v) for c, v in levels.items() for f in ("drums", "all")]
    differences = [difference("shuffled", low_shuffled), difference("none", low_none)]
    chance = {"drums": 0.5, "all": 0.5}
    return scores, Evaluation(note="", chance=chance, differences=differences, corpus=CORPUS)


def make_release(data: Path, scores: list[Score], evaluation: Evaluation, **changes: Any) -> Path:
    """`data/release`, made by the real stage from a tiny model and these scores."""
    from music_flamingo.stages.release import STAGE

    def write(scores: Any, rows: tuple[list[Score], Evaluation] = (scores, evaluation)) -> None:
        scores.write(0, rows[0])
        write_evaluation(scores.root, rows[1])

    give(data, "evaluate", {"scores": Score}, write)
    if not (data / "grpo_model").exists():
        give_model(data, "grpo_model", seed=0)
    inputs = {name: data / name for name in STAGE.inputs}
    execute(STAGE, json.dumps({**RELEASE, **changes}), inputs, {"release": data / "release"})
    return data / "release"
