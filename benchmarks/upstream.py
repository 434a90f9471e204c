"""The published tools one after another, each as its own documentation runs it: own decoding, own spectra, own decoder.

`measure(path)` gives the same facts as the facts stage, so that the two can be scored alike.
"""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from music_flamingo.mir.chordino import PARAMETERS, PLUGIN, Chordino, to_mir_eval, to_segments
from music_flamingo.mir.keys import pitch_class, spell_tonic, split_label
from music_flamingo.records import Beats, Chords, Facts, Key, Sections, Segment, Tempo

RATE_HZ = 44100
STAMP = {"tool": "upstream", "tool_version": "", "confidence": 1.0}
SECONDS_PER_SECTION = 15.0


class Upstream:
    """Holds the loaded tools; `cpu_s` sums what each took."""

    def __init__(self) -> None:
        from madmom.features.beats import DBNBeatTrackingProcessor, RNNBeatProcessor
        from madmom.features.downbeats import DBNDownBeatTrackingProcessor, RNNDownBeatProcessor
        from madmom.features.key import CNNKeyRecognitionProcessor

        Chordino()  # tells vamp where the plugin lies
        self._beat_nets, self._beat_network = RNNBeatProcessor(), DBNBeatTrackingProcessor(fps=100)
        self._bar_nets = RNNDownBeatProcessor()
        self._bar_network = DBNDownBeatTrackingProcessor(beats_per_bar=[2, 3, 4], fps=100)
        self._key_net = CNNKeyRecognitionProcessor()
        self.cpu_s: dict[str, float] = {}

    def measure(self, path: Path, track_id: str, work_id: str, duration_s: float) -> Facts:
        beats = self._timed("beats", lambda: self._beat_network(self._beat_nets(str(path))))
        bars = self._timed("downbeats", lambda: self._bar_network(self._bar_nets(str(path))))
        bpm = self._timed("tempo", lambda: rhythm_extractor(path))
        key = self._timed("key", lambda: self._key(path))
        chords = self._timed("chords", lambda: chordino(path))
        sections = self._timed("sections", lambda: agglomerative(path))
        self._timed("loudness", lambda: loudness(path))
        del beats, bpm  # their cost counts; the score takes the better of the two trackers, the bars
        times = [float(t) for t in bars[:, 0]]
        return Facts(
            id=track_id, work_id=work_id, duration_s=duration_s,
            tempo=Tempo(**STAMP, bpm=60 / float(np.median(np.diff(times)))),
            beats=Beats(
                **STAMP, beats_s=times, positions=[int(p) for p in bars[:, 1]], beats_per_bar=int(bars[:, 1].max())
            ),
            key=key, chords=chords, sections=sections, dynamics=None, sound=None, lyrics=None, problems=[],
        )  # fmt: skip

    def bar_tempo(self, path: Path) -> float | None:
        """The tempo of madmom's downbeat chain alone; None where it finds no two beats."""
        bars = self._bar_network(self._bar_nets(str(path)))
        return 60 / float(np.median(np.diff(bars[:, 0]))) if len(bars) > 1 else None

    def madmom_key(self, path: Path) -> str:
        """The label of madmom's key network alone."""
        from madmom.features.key import key_prediction_to_label

        return str(key_prediction_to_label(self._key_net(str(path))))

    def _key(self, path: Path) -> Key:
        """The vote of the default's three tools: essentia's braw and shaath, madmom's net."""
        from essentia.standard import KeyExtractor, MonoLoader

        votes = []
        for profile in ("braw", "shaath"):
            name, scale, _ = KeyExtractor(profileType=profile)(MonoLoader(filename=str(path), sampleRate=RATE_HZ)())
            votes.append(_key(f"{name} {scale}"))
        votes.append(_key(self.madmom_key(path)))
        labels = [vote.label for vote in votes]
        return max(votes, key=lambda vote: labels.count(vote.label))  # the first of equals

    def _timed(self, name: str, work: Callable[[], Any]) -> Any:
        started = time.process_time()
        result = work()
        self.cpu_s[name] = self.cpu_s.get(name, 0.0) + time.process_time() - started
        return result


def _key(label: str) -> Key:
    tonic, mode = split_label(label)
    return Key(**STAMP, tonic=spell_tonic(pitch_class(tonic), mode), mode=mode)


def rhythm_extractor(path: Path) -> float:
    from essentia.standard import MonoLoader, RhythmExtractor2013

    return float(RhythmExtractor2013(method="multifeature")(MonoLoader(filename=str(path), sampleRate=RATE_HZ)())[0])


def chordino(path: Path) -> Chords:
    """As chord-extractor does it: librosa decodes, vamp's host feeds the plugin; at 44.1 kHz, its better rate."""
    import librosa
    import vamp

    samples, rate_hz = librosa.load(path, sr=RATE_HZ, mono=True)
    found = vamp.collect(samples, rate_hz, PLUGIN, "simplechord", PARAMETERS)["list"]
    changes = [(float(chord["timestamp"]), to_mir_eval(chord["label"])) for chord in found]
    return Chords(**STAMP, segments=to_segments(changes, len(samples) / rate_hz))


def agglomerative(path: Path) -> Sections:
    """librosa's own recipe: constant-Q chroma and MFCC, clustered in time; the number of sections by the length."""
    import librosa

    samples, rate_hz = librosa.load(path, sr=22050, mono=True)
    chroma = librosa.feature.chroma_cqt(y=samples, sr=rate_hz)
    timbre = librosa.feature.mfcc(y=samples, sr=rate_hz)
    features = np.vstack([librosa.util.normalize(x, axis=1) for x in (chroma, timbre)])
    count = max(2, round(len(samples) / rate_hz / SECONDS_PER_SECTION))
    starts = librosa.frames_to_time(librosa.segment.agglomerative(features, count), sr=rate_hz)
    times = [*(float(t) for t in starts), len(samples) / rate_hz]
    return Sections(
        **STAMP,
        segments=[Segment(start_s=a, end_s=b, label=str(i)) for i, (a, b) in enumerate(pairwise(times))],
    )


def loudness(path: Path) -> float:
    from essentia.standard import AudioLoader, LoudnessEBUR128

    return float(LoudnessEBUR128(sampleRate=RATE_HZ)(AudioLoader(filename=str(path))()[0])[2])
