"""Key and chords by madmom's convolutional networks, on the shared spectrum.

Korzeniowski and Widmer: Genre-Agnostic Key Classification with Convolutional Neural Networks (ISMIR 2018); A Fully
Convolutional Deep Auditory Model for Musical Chord Recognition (MLSP 2016). The models are CC BY-NC-SA 4.0.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from music_flamingo.mir import NothingFoundError, Signal
from music_flamingo.mir.chordino import to_segments
from music_flamingo.mir.keys import pitch_class, spell_tonic, split_label
from music_flamingo.mir.madmom_nets import filter_bank, load_nets, madmom_version
from music_flamingo.mir.tonal import FRAME_SIZE, FRAMES_PER_S, NUM_BINS, tonal
from music_flamingo.mir.tuning import in_tune, named_surely
from music_flamingo.records import Chords, Key

BANDS_PER_OCTAVE = 24
KEY_RANGE_HZ, CHORD_RANGE_HZ = (65, 2100), (60, 2600)
KEY_STEP = 2
"""The key's net sees every second frame: five a second."""
SILENT_BELOW = 1e-4


@dataclass
class MadmomKey:
    """The confidence is the net's probability of the key."""

    _version: str = field(init=False)
    _net: Any = field(init=False, repr=False)
    _bank: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._version = madmom_version("facts.key", "facts.key to {kind: librosa}")
        from madmom.models import KEY_CNN

        self._net = load_nets(KEY_CNN)
        self._bank = filter_bank(FRAME_SIZE, BANDS_PER_OCTAVE, *KEY_RANGE_HZ)[:NUM_BINS]

    def estimate(self, signal: Signal) -> Key:
        """Raises NothingFoundError in silence."""
        from madmom.features.key import KEY_LABELS

        require_sound(signal)
        heard = signal.shared(tonal)
        spectra = in_tune(heard.magnitudes[::KEY_STEP], heard.tuning_cents)
        odds = np.asarray(self._net(np.log10(spectra @ self._bank + 1))).ravel()
        probabilities = np.exp(odds - odds.max())
        probabilities /= probabilities.sum()
        tonic, mode = split_label(KEY_LABELS[int(probabilities.argmax())])
        return Key(
            tool="madmom:cnn",
            tool_version=self._version,
            confidence=round(float(probabilities.max()) * named_surely(heard.tuning_cents), 4),
            tonic=spell_tonic(pitch_class(tonic), mode),
            mode=mode,
        )


@dataclass
class MadmomChords:
    """Major and minor triads. The confidence is the mean share of the frames' best class that the chosen ones reach."""

    _version: str = field(init=False)
    _net: Any = field(init=False, repr=False)
    _field: Any = field(init=False, repr=False)
    _bank: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._version = madmom_version("facts.chords", "facts.chords.kind to `librosa`")
        from madmom.ml.crf import ConditionalRandomField
        from madmom.models import CHORDS_CFCRF, CHORDS_CNN_FEAT

        self._net = load_nets(CHORDS_CNN_FEAT)
        self._field = ConditionalRandomField.load(CHORDS_CFCRF[0])
        self._bank = filter_bank(FRAME_SIZE, BANDS_PER_OCTAVE, *CHORD_RANGE_HZ)[:NUM_BINS]

    def recognise(self, signal: Signal) -> Chords:
        """Raises NothingFoundError where no chord is heard."""
        from madmom.features.chords import majmin_targets_to_chord_labels

        require_sound(signal)
        features = self.features(signal)
        chosen = np.asarray(self._field(features)).astype(int)
        labels = majmin_targets_to_chord_labels(chosen, FRAMES_PER_S)
        segments = to_segments([(float(start), str(label)) for start, _, label in labels], signal.duration_s)
        if all(segment.label == "N" for segment in segments):
            raise NothingFoundError("madmom hears no chord")
        return Chords(
            tool="madmom:cnn+crf",
            tool_version=self._version,
            confidence=round(self._certainty(features, chosen), 4),
            segments=segments,
        )

    def features(self, signal: Signal) -> np.ndarray:
        """What the random field decodes. Shape (T, 128)."""
        heard = signal.shared(tonal)
        spectrum = np.log10(in_tune(heard.magnitudes, heard.tuning_cents) @ self._bank + 1)
        padded = np.pad(spectrum, ((REACH, REACH), (0, 0)))
        maps = np.asarray(self._net(padded))  # (T + 2, bands, 128)
        means = maps.mean(axis=1)
        return (means[:-2] + means[1:-1] + means[2:]) / 3

    def _certainty(self, features: np.ndarray, chosen: np.ndarray) -> float:
        """Mean probability of the chosen classes, each frame for itself."""
        odds = features @ self._field.W + self._field.c
        probabilities = np.exp(odds - odds.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return float(probabilities[np.arange(len(chosen)), chosen].mean())


REACH = 11
"""Frames of silence that the chords' net is given on both sides: as many as it looks around itself."""


def require_sound(signal: Signal) -> None:
    """Raise NothingFoundError where the recording is silent."""
    if float(np.abs(signal.samples).max()) < SILENT_BELOW:
        raise NothingFoundError("the recording is silent")
