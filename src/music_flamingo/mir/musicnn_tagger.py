"""Instruments, voice and genre by musicnn's networks (mir.musicnn_net).

Genres and voices are the networks' own tags. Instruments are families that this project fitted on the layers before the
tags (instrument_model.json, benchmarks/calibrate_instruments.py): the tags know no trumpet, saxophone or organ.

W windows of 3 s.
"""

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from music_flamingo.audio.flac import MODEL_RATE_HZ
from music_flamingo.mir import Signal, Tags, at_model_rate
from music_flamingo.mir.musicnn_net import HOP_SIZE, WINDOW_FRAMES, WINDOW_SAMPLES, load_net, log_mel, musicnn_version
from music_flamingo.mir.tagger import SOUNDS, mean_probability, runs
from music_flamingo.records import Genre, HeardTag, Instrument, Instruments, Vocals
from music_flamingo.records.heard import Register

MODEL = Path(__file__).with_name("instrument_model.json")
BATCH = 16
NETS = ("MTT", "MSD")
STEP_SAMPLES = WINDOW_FRAMES * HOP_SIZE

GENRES: dict[str, str] = {
    "MTT classical": "classical", "MTT techno": "techno", "MTT ambient": "ambient", "MTT opera": "opera",
    "MTT indian": "indian", "MTT new age": "new age", "MTT country": "country", "MTT metal": "metal",
    "MTT rock": "rock", "MTT electronic": "electronic", "MSD rock": "rock", "MSD electronic": "electronic",
    "MSD jazz": "jazz", "MSD metal": "metal", "MSD soul": "soul", "MSD folk": "folk", "MSD punk": "punk",
    "MSD blues": "blues", "MSD ambient": "ambient", "MSD Hip-Hop": "hip hop", "MSD country": "country",
    "MSD funk": "funk", "MSD heavy metal": "metal", "MSD House": "house", "MSD rnb": "r&b",
}  # fmt: skip
"""Network and tag -> the style it names. Tags of mood, decade and market (`pop`, `indie`, `oldies`) are left out."""
HALF_SURE_GENRE, GENRE_SLOPE = 0.35, 6.0
"""A tag's mean at which the style is as likely as not, and how fast that grows: networks for tagging are shy."""
FEMALE = ("female", "woman", "female vocal", "female voice")
MALE = ("male", "man", "male vocal", "male voice")
VOICES = ("vocal", "vocals", "singing", "voice", "choir", "choral", "opera", *FEMALE, *MALE)
HALF_SURE_VOICE, VOICE_SLOPE = 0.2, 20.0
CLEARER, LEAST_REGISTER = 2.0, 0.15
"""A register is said where its tags are twice as high as the other's, and reach this."""


@dataclass(frozen=True)
class InstrumentModel:
    """Logistic regressions: the log odds of each family are `bias + weights @ (layers - mean) / scale`."""

    version: str
    names: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    """Shape (names, layers)."""
    bias: np.ndarray

    def log_odds(self, layers: np.ndarray) -> np.ndarray:
        """(W, layers) -> (W, names)."""
        return self.bias + np.clip((layers - self.mean) / self.scale, -4, 4) @ self.weights.T


@dataclass
class MusicnnTagger:
    """Hears one window of `every` that follow each other; names what is at least `min_probability` likely."""

    every: int
    min_probability: float
    _version: str = field(init=False)

    def __post_init__(self) -> None:
        self._version = musicnn_version()
        self._nets = [load_net(name) for name in NETS]
        self._model = load_instrument_model()

    def tag(self, signal: Signal) -> Tags:
        """Tag the recording: an instrument and a style by their mean over the windows."""
        samples = signal.shared(at_model_rate)
        last = max(0, len(samples) - WINDOW_SAMPLES)
        starts = list(range(0, last + 1, STEP_SAMPLES * self.every))
        tags, hidden = self._heard(samples, starts)
        return Tags(
            self._instruments(np.concatenate([tags, hidden], axis=1), signal.duration_s),
            self._voice(self._by_name(tags), signal.duration_s),
            self._genre(self._by_name(tags)),
        )

    def _heard(self, samples: np.ndarray, starts: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """(tags (W, 100), layers before them (W, 400))."""
        tags, hidden = [], []
        for at in range(0, len(starts), BATCH):
            mel = log_mel(samples, starts[at : at + BATCH])
            found = [net(mel) for net in self._nets]
            tags.append(np.concatenate([t for t, _ in found], axis=1))
            hidden.append(np.concatenate([h for _, h in found], axis=1))
        return np.concatenate(tags), np.concatenate(hidden)

    def _by_name(self, tags: np.ndarray) -> dict[str, np.ndarray]:
        """`MTT piano` -> its probability in each window."""
        names = [f"{name} {label}" for name, net in zip(NETS, self._nets, strict=True) for label in net.labels]
        return dict(zip(names, tags.T, strict=True))

    @property
    def _step_s(self) -> float:
        return STEP_SAMPLES * self.every / MODEL_RATE_HZ

    def _stamp(self, confidence: float) -> dict[str, Any]:
        return {"tool": "musicnn", "tool_version": self._version, "confidence": round(confidence, 4)}

    def _instruments(self, layers: np.ndarray, duration_s: float) -> Instruments:
        odds = self._model.log_odds(layers)
        whole = 1 / (1 + np.exp(-odds.mean(axis=0)))
        said = []
        for column in np.argsort(-whole, kind="stable"):
            if whole[column] >= self.min_probability:
                sounds = [SOUNDS if o > 0 else None for o in odds[:, column]]
                heard = runs(sounds, self._step_s, duration_s)
                name, probability = self._model.names[column], round(float(whole[column]), 4)
                said.append(Instrument(name=name, probability=probability, heard=heard))
        return Instruments(**self._stamp(mean_probability(said)), labels=said)

    def _genre(self, tags: dict[str, np.ndarray]) -> Genre:
        means: dict[str, float] = {}
        for tag, style in GENRES.items():
            means[style] = max(means.get(style, 0.0), float(tags[tag].mean()))
        likely = {style: _sure(mean, HALF_SURE_GENRE, GENRE_SLOPE) for style, mean in means.items()}
        ranked = sorted(likely.items(), key=lambda pair: (-pair[1], pair[0]))
        said = [HeardTag(name=style, probability=p) for style, p in ranked if p >= self.min_probability]
        return Genre(**self._stamp(mean_probability(said)), labels=said)

    def _voice(self, tags: dict[str, np.ndarray], duration_s: float) -> Vocals:
        by_window = np.max([tags[f"MTT {name}"] for name in VOICES], axis=0)
        likely = _sure(float(by_window.mean()), HALF_SURE_VOICE, VOICE_SLOPE)
        kinds = ["singing" if p >= HALF_SURE_VOICE else None for p in by_window]
        return Vocals(
            **self._stamp(max(likely, 1 - likely)),
            present=likely >= 0.5,
            heard=runs(kinds, self._step_s, duration_s) if likely >= 0.5 else [],
            register_heard=_register(tags) if likely >= 0.5 else None,
        )


def _register(tags: dict[str, np.ndarray]) -> Register | None:
    female, male = (max(float(tags[f"MTT {name}"].mean()) for name in names) for names in (FEMALE, MALE))
    if max(female, male) < LEAST_REGISTER or max(female, male) < CLEARER * min(female, male):
        return None
    return "female" if female > male else "male"


def _sure(value: float, half_sure: float, slope: float) -> float:
    return round(float(1 / (1 + np.exp(-slope * (value - half_sure)))), 4)


@lru_cache(maxsize=1)
def load_instrument_model() -> InstrumentModel:
    """Load the fitted families, once a process."""
    stored = json.loads(MODEL.read_text())
    arrays = {name: np.array(stored[name], np.float32) for name in ("mean", "scale", "weights", "bias")}
    return InstrumentModel(stored["version"], tuple(stored["names"]), **arrays)
