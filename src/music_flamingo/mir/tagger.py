"""Instruments, voice and genre by an audio-classification checkpoint in transformers (such as an Audio Spectrogram
Transformer, Gong et al. 2021), from a local folder. AudioSet's labels are known; a mapping file names others.

The recording is heard in windows of `window_s` every `hop_s`. An instrument is as likely as in its clearest window. A
voice is looked for in every segment of `hop_s`: its probability there is the mean of the windows over it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from music_flamingo.audio.flac import MODEL_RATE_HZ
from music_flamingo.core.errors import ConfigError
from music_flamingo.mir import Signal, Tags, at_model_rate
from music_flamingo.mir.audioset import GENRES, INSTRUMENTS, REGISTERS, VOICES, VoiceKind
from music_flamingo.mir.models import Device, folder_sha256
from music_flamingo.records import Genre, HeardTag, Instrument, Instruments, Segment, Vocals
from music_flamingo.records.heard import Register

Name = TypeVar("Name", bound=str)
SOUNDS = "sounds"
BATCH = 8
"""Windows a forward pass: changes memory, not results."""


@dataclass(frozen=True)
class TagRules:
    """Window and hop (s), and the least probabilities of instruments and genres, and of voice."""

    window_s: float
    hop_s: float
    min_probability: float
    """An instrument or a genre below this is not said."""
    min_voice_probability: float


class LabelNames(BaseModel):
    """Which of a model's labels mean what: the model's label -> the plain name."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    instruments: dict[str, str]
    voices: dict[str, VoiceKind]
    genres: dict[str, str] = Field(default_factory=dict)
    registers: dict[str, Register] = Field(default_factory=dict)
    """Labels of a woman's or a man's voice that sings."""

    @classmethod
    def read(cls, path: Path) -> "LabelNames":
        """From a YAML file with these fields. Raises ConfigError for any other."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text()))
        except (OSError, yaml.YAMLError, ValidationError) as error:
            raise ConfigError(
                f"{path}: no mapping of labels (instruments, voices, genres, registers): {error}"
            ) from error


AUDIOSET = LabelNames(instruments=INSTRUMENTS, voices=VOICES, genres=GENRES, registers=REGISTERS)


class AudioTagger:
    """Tags instruments, voice and genre by an audio-classification model."""

    def __init__(self, folder: Path, rules: TagRules, device: Device, names: LabelNames = AUDIOSET) -> None:
        self._version = folder_sha256(folder)[:12]
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

        self._extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        model = AutoModelForAudioClassification.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        self._model, self._rules = model.to(device).eval(), rules
        labels = {int(i): label for i, label in model.config.id2label.items()}
        self._instruments = columns(labels, names.instruments)
        self._voices = columns(labels, names.voices)
        self._genres, self._registers = columns(labels, names.genres), columns(labels, names.registers)
        if not self._instruments or not self._voices:
            known = "AudioSet" if names is AUDIOSET else "the mapping file"
            raise ConfigError(
                f"{folder} knows {len(self._instruments)} instruments and {len(self._voices)} voices of {known}: "
                "facts.instruments takes a model with AudioSet's labels, or a file that maps its labels "
                "(facts.instruments.labels). Choose another, or set it to null."
            )

    def tag(self, signal: Signal) -> Tags:
        """Tag the recording: instruments and genres by their highest and mean probability over all windows."""
        samples = signal.shared(at_model_rate)
        starts_s = window_starts(signal.duration_s, self._rules.window_s, self._rules.hop_s)
        probabilities = self._probabilities(samples, starts_s)
        instruments = [
            Instrument(
                name=name,
                probability=round(float(probabilities[:, ids].max()), 4),
                heard=self._where(probabilities[:, ids].max(axis=1), starts_s, signal.duration_s),
            )
            for name, ids in self._instruments.items()
        ]
        genres = [
            HeardTag(name=n, probability=round(float(probabilities[:, i].mean(axis=0).max()), 4))
            for n, i in self._genres.items()
        ]
        said = sorted((i for i in instruments if i.probability >= self._rules.min_probability), key=_falling)
        styles = sorted((g for g in genres if g.probability >= self._rules.min_probability), key=_falling)
        return Tags(
            Instruments(**self._stamp(mean_probability(said)), labels=said),
            self._voice(probabilities, starts_s, signal.duration_s),
            Genre(**self._stamp(mean_probability(styles)), labels=styles) if self._genres else None,
        )

    def _stamp(self, confidence: float) -> dict[str, Any]:
        return {"tool": self._model.config.model_type, "tool_version": self._version, "confidence": confidence}

    def _where(self, probabilities: np.ndarray, starts_s: list[float], duration_s: float) -> list[Segment]:
        """Where one label passes the threshold. Shape of `probabilities`: (windows,)."""
        cells = spread(probabilities[:, None], starts_s, self._rules.window_s, self._rules.hop_s, duration_s)[:, 0]
        return runs(
            [SOUNDS if p >= self._rules.min_probability else None for p in cells], self._rules.hop_s, duration_s
        )

    def _probabilities(self, samples: np.ndarray, starts_s: list[float]) -> np.ndarray:
        """Shape (windows, labels). AudioSet's labels do not exclude each other: a sigmoid each."""
        import torch

        size = round(self._rules.window_s * MODEL_RATE_HZ)
        begins = [round(s * MODEL_RATE_HZ) for s in starts_s]
        parts = [samples[b : b + size] for b in begins]
        made = []
        for start in range(0, len(parts), BATCH):
            inputs = self._extractor(parts[start : start + BATCH], sampling_rate=MODEL_RATE_HZ, return_tensors="pt")
            with torch.inference_mode():
                made.append(self._model(**inputs.to(self._model.device)).logits.float().sigmoid().cpu().numpy())
        return np.concatenate(made)

    def _voice(self, probabilities: np.ndarray, starts_s: list[float], duration_s: float) -> Vocals:
        """Shape of `probabilities`: (windows, labels)."""
        heard = {kind: probabilities[:, ids].max(axis=1) for kind, ids in self._voices.items()}
        kinds = sorted(heard)
        stacked = np.stack([heard[kind] for kind in kinds], axis=1)
        cells = spread(stacked, starts_s, self._rules.window_s, self._rules.hop_s, duration_s)
        least = self._rules.min_voice_probability
        best = [kinds[int(cell.argmax())] if cell.max() >= least else None for cell in cells]
        found = runs(best, self._rules.hop_s, duration_s)
        surest = float(cells.max())
        return Vocals(
            **self._stamp(round(surest if found else 1 - surest, 4)),
            present=bool(found),
            heard=found,
            register_heard=self._register(probabilities) if found else None,
        )

    def _register(self, probabilities: np.ndarray) -> Register | None:
        """A woman's or a man's voice, where one is likely and the other is not."""
        means = {name: float(probabilities[:, ids].max(axis=0).max()) for name, ids in self._registers.items()}
        likely: list[Register] = [name for name, p in means.items() if p >= self._rules.min_voice_probability]
        return likely[0] if len(likely) == 1 else None


def columns(labels: Mapping[int, str], names: Mapping[str, Name]) -> dict[Name, list[int]]:
    """Plain name -> the model's outputs that mean it."""
    found: dict[Name, list[int]] = {}
    for index, label in sorted(labels.items()):
        if label in names:
            found.setdefault(names[label], []).append(index)
    return found


def window_starts(duration_s: float, window_s: float, hop_s: float) -> list[float]:
    """Every `hop_s` until a window reaches the end: the last one lies at the end, whole where the sound allows it."""
    if not 0 < hop_s <= window_s:
        raise ValueError(f"windows of {window_s} s every {hop_s} s leave sound unheard: make hop_s shorter")
    starts_s: list[float] = []
    last_s = max(0.0, duration_s - window_s)
    while len(starts_s) * hop_s < last_s:
        starts_s.append(len(starts_s) * hop_s)
    return [*starts_s, last_s]


def spread(values: np.ndarray, starts_s: list[float], window_s: float, hop_s: float, duration_s: float) -> np.ndarray:
    """(windows, K) -> (segments of hop_s, K): the mean of the windows that hold the middle of the segment."""
    middles_s = np.minimum((np.arange(int(np.ceil(duration_s / hop_s))) + 0.5) * hop_s, duration_s)
    starts = np.array(starts_s)
    holds = (starts <= middles_s[:, None]) & (middles_s[:, None] <= starts + window_s)
    return holds @ values / holds.sum(axis=1, keepdims=True)


def runs(kinds: Sequence[str | None], hop_s: float, duration_s: float) -> list[Segment]:
    """Neighbouring segments of one kind as a segment."""
    segments, at = [], 0
    for kind, group in groupby(kinds):
        until = at + sum(1 for _ in group)
        if kind is not None:
            end_s = min(until * hop_s, duration_s)
            segments.append(Segment(start_s=round(at * hop_s, 3), end_s=round(end_s, 3), label=kind))
        at = until
    return segments


def mean_probability(labels: Sequence[HeardTag]) -> float:
    """How many of the labels are right, to be expected: the mean; 0 for none."""
    return round(sum(label.probability for label in labels) / len(labels), 4) if labels else 0.0


def _falling(tag: HeardTag) -> tuple[float, str]:
    return -tag.probability, tag.name
