"""Published tools, each alone, on the tempo and key of one recording: what one gets who installed just that tool.

madmom's own networks and decoders and essentia are those of upstream.py; librosa and sonara by their documentation's
first example. A tool that is not installed is left out. `cpu_s` sums what each took.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from upstream import RATE_HZ, Upstream, rhythm_extractor

from music_flamingo.scoring.normalise import same_answer
from music_flamingo.scoring.tempo import same_tempo

SONARA_RATE_HZ = 22050
TEMPO, KEY = "tempo", "key"


class Judges:
    """Holds the tools; `right` and `known` count by (set, tool, what)."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self.cpu_s: dict[str, float] = {}
        self.audio_s = 0.0
        self.right: dict[tuple[str, str, str], int] = {}
        self.known: dict[tuple[str, str, str], int] = {}
        self.tools: dict[str, Callable[[Path], dict[str, Any]]] = {
            "madmom (networks and bar tracking; key network)": self._madmom,
            "essentia (RhythmExtractor2013, KeyExtractor)": essentia,
            "librosa (beat_track)": librosa_beats,
        }
        if find_spec("sonara"):
            self.tools["sonara (analyze_signal)"] = sonara

    def hear(self, group: str, path: Path, duration_s: float, bpm: float | None, key: str | None) -> None:
        """Ask every tool; what is not known of a recording is not counted."""
        self.audio_s += duration_s
        for name, tool in self.tools.items():
            started = time.process_time()
            found = tool(path)
            self.cpu_s[name] = self.cpu_s.get(name, 0.0) + time.process_time() - started
            self.count(group, name, found.get(TEMPO), found.get(KEY), bpm, key)

    def count(self, group: str, name: str, tempo: Any, label: Any, bpm: float | None, key: str | None) -> None:
        """Count one answer; a tool that has no key is asked for none, and one that says nothing is wrong."""
        if bpm:
            self._add((group, name, TEMPO), tempo is not None and same_tempo(float(tempo), bpm))
        if key and label is not False:
            self._add((group, name, KEY), label is not None and same_answer(str(label), key))

    def _add(self, place: tuple[str, str, str], is_right: bool) -> None:
        self.known[place] = self.known.get(place, 0) + 1
        self.right[place] = self.right.get(place, 0) + is_right

    def _madmom(self, path: Path) -> dict[str, Any]:
        return {TEMPO: self._upstream.bar_tempo(path), KEY: self._upstream.madmom_key(path)}

    def table(self, groups: tuple[str, ...]) -> list[str]:
        """A row a tool; ours are counted by the caller under their own names."""
        heads = [f"{what}, {group}" for group in groups for what in (TEMPO, KEY)]
        lines = [f"| | {' | '.join(heads)} | CPU-seconds a minute |", f"|---|{'---|' * (len(heads) + 1)}"]
        for name in dict.fromkeys(tool for _, tool, _ in self.known):
            cells = [self._cell((group, name, what)) for group in groups for what in (TEMPO, KEY)]
            spent = f"{self.cpu_s[name] / self.audio_s * 60:.2f}" if name in self.cpu_s else ""
            lines.append(f"| {name} | {' | '.join(cells)} | {spent} |")
        return lines

    def _cell(self, place: tuple[str, str, str]) -> str:
        return f"{self.right[place]} of {self.known[place]}" if place in self.known else ""


def essentia(path: Path) -> dict[str, Any]:
    from essentia.standard import KeyExtractor, MonoLoader

    name, scale, _ = KeyExtractor()(MonoLoader(filename=str(path), sampleRate=RATE_HZ)())
    return {TEMPO: rhythm_extractor(path), KEY: f"{name} {scale}"}


def librosa_beats(path: Path) -> dict[str, Any]:
    import librosa

    samples, rate_hz = librosa.load(path)
    tempo, _ = librosa.beat.beat_track(y=samples, sr=rate_hz)
    return {TEMPO: float(np.atleast_1d(tempo)[0]), KEY: False}


def sonara(path: Path) -> dict[str, Any]:
    import librosa
    import sonara as tool  # type: ignore[import-not-found,unused-ignore]

    samples, _ = librosa.load(path, sr=SONARA_RATE_HZ)
    found = tool.analyze_signal(np.ascontiguousarray(samples, np.float32), sr=SONARA_RATE_HZ, mode="playlist")
    key = found.get("key")
    return {TEMPO: found.get("bpm"), KEY: key if isinstance(key, str) else None}
