"""Music information retrieval: one Protocol per fact, one adapter file per tool.

Every tool reads the same decoded Signal and gives a record of `records.facts` with its name, version and confidence.
A tool that hears nothing to measure raises NothingFoundError; a tool that is not installed raises MissingToolError
and names the alternative.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from music_flamingo.audio.flac import MODEL_RATE_HZ
from music_flamingo.records import (
    Beats,
    Chords,
    Content,
    Dynamics,
    Genre,
    Instruments,
    Key,
    Lyrics,
    Sections,
    Segment,
    Sound,
    Tempo,
    Track,
    Vocals,
)

T = TypeVar("T")

RATE_HZ = 44100
"""The tools' common rate: madmom's nets and Chordino were made for it (at 22 kHz Chordino loses .09)."""


class NothingFoundError(ValueError):
    """The tool ran and heard nothing to measure: no beat in silence, no chord in a drum solo."""


@dataclass(frozen=True)
class Signal:
    """One recording, decoded once for all tools."""

    samples: np.ndarray
    """float32, mono, 44.1 kHz. Shape (n,)."""
    _made: dict[Callable[["Signal"], Any], Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.samples.dtype != np.float32 or self.samples.ndim != 1 or not len(self.samples):
            raise ValueError(
                f"a signal is float32 of shape (n,), not {self.samples.dtype} of shape {self.samples.shape}"
            )

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / RATE_HZ

    def shared(self, make: Callable[["Signal"], T]) -> T:
        """`make` of this signal, computed once for all tools: spectra that several of them look at."""
        if make not in self._made:
            self._made[make] = make(self)
        result: T = self._made[make]
        return result


def at_model_rate(signal: Signal) -> np.ndarray:
    """float32 mono at 16 kHz, for networks of speech and tags. Use it as `signal.shared(at_model_rate)`."""
    import soxr

    return np.asarray(soxr.resample(signal.samples, RATE_HZ, MODEL_RATE_HZ, quality="HQ"))


def to_signal(samples: np.ndarray, rate_hz: int) -> Signal:
    """Mono float32 samples of any rate as a Signal. An MP3 of 48 kHz is resampled, a CD is not."""
    if rate_hz != RATE_HZ:
        import soxr

        samples = soxr.resample(samples, rate_hz, RATE_HZ, quality="HQ").astype(np.float32, copy=False)
    return Signal(np.ascontiguousarray(samples))


@dataclass(frozen=True)
class Rhythm:
    """Beats with their places in the bar, and the tempo that follows from them."""

    beats: Beats
    tempo: Tempo


class ContentDetector(Protocol):
    """Says what a recording is of."""

    def detect(self, signal: Signal) -> Content:
        """Find music, singing and speech over time."""
        ...

    def sure_speech(self, signal: Signal) -> float:
        """Measure the share of the audible time in which somebody speaks beyond doubt, whatever else sounds."""
        ...


class BeatTracker(Protocol):
    """Estimates beats, meter and tempo."""

    def track(self, signal: Signal) -> Rhythm:
        """Track beats (s), positions in the bar, meter and tempo (BPM)."""


class KeyEstimator(Protocol):
    """Estimates the global key."""

    def estimate(self, signal: Signal) -> Key:
        """Estimate the key of the whole recording."""


class KeyFollower(Protocol):
    """Estimates local keys."""

    def follow(self, signal: Signal) -> list[Segment]:
        """Estimate the key over time, as labelled segments (s)."""


class ChordRecogniser(Protocol):
    """Estimates chords."""

    def recognise(self, signal: Signal) -> Chords:
        """Estimate chords as labelled segments (s)."""


class SectionFinder(Protocol):
    """Estimates the form."""

    def find(self, signal: Signal) -> Sections:
        """Segment the recording into labelled sections (s)."""


class SoundDescriber(Protocol):
    """Estimates drums, texture and articulation."""

    def describe(self, signal: Signal) -> Sound:
        """Describe drums, texture and envelope of the recording."""


class DynamicsMeter(Protocol):
    """Measures loudness over time."""

    def measure(self, signal: Signal) -> Dynamics:
        """Measure the range (dB) and trend of loudness."""


@dataclass(frozen=True)
class Tags:
    """What a tagger hears of players and style; None for what it does not know."""

    instruments: Instruments
    voice: Vocals | None
    genre: Genre | None


class MusicTagger(Protocol):
    """Estimates which instruments and voices sound, and in which style."""

    def tag(self, signal: Signal) -> Tags:
        """Tag instruments, voice and genre with their probabilities (0 to 1)."""
        ...


class LyricsSource(Protocol):
    """Gives the lyrics of a recording."""

    def read(self, track: Track, signal: Signal, has_voice: bool | None) -> Lyrics:
        """`has_voice` is what a tagger said; None where none was asked."""
        ...
