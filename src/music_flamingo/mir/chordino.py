"""Chords by Chordino (Mauch and Dixon: Approximate Note Transcription for the Improved Identification of Difficult
Chords, ISMIR 2010), a Vamp plugin that the package chord-extractor carries for Linux. GPL-2.0.
"""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from music_flamingo.core.errors import MissingToolError
from music_flamingo.mir import RATE_HZ, NothingFoundError, Signal
from music_flamingo.mir.keys import pitch_class
from music_flamingo.records import Chords, Segment

PLUGIN = "nnls-chroma:chordino"
PARAMETERS = {"useNNLS": 1, "rollon": 1, "tuningmode": 0, "whitening": 1, "s": 0.7, "boostn": 0.1}
"""The plugin's defaults, but for a bass noise threshold of 1 %."""
QUALITIES = {
    "": "maj",
    "m": "min",
    "6": "maj6",
    "7": "7",
    "maj7": "maj7",
    "m7": "min7",
    "m6": "min6",
    "dim": "dim",
    "dim7": "dim7",
    "m7b5": "hdim7",
    "aug": "aug",
}
"""Chordino's chord types in mir_eval's terms."""
NUM_CHORDS = 122
DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "#5", "6", "b7", "7")
"""Of the bass note, by semitones above the root."""
_LABEL = re.compile(r"([A-G][b#]?)([a-z0-9]*)(?:/([A-G][b#]?))?")


@dataclass
class Chordino:
    _vamp: Any = field(init=False, repr=False)
    _version: str = field(init=False)

    def __post_init__(self) -> None:
        spec = find_spec("chord_extractor")
        folder = Path(spec.origin).parent / "_lib" if spec and spec.origin else None
        try:
            import vamp
            import vampyhost
        except ImportError as error:
            raise _missing("the package vamp is not installed") from error
        if folder is not None:
            os.environ["VAMP_PATH"] = str(folder)  # read when a plugin is first looked for
        if PLUGIN not in vamp.list_plugins():
            raise _missing(f"there is no plugin {PLUGIN} (VAMP_PATH={os.environ.get('VAMP_PATH', '')})")
        plugin = vampyhost.load_plugin(PLUGIN, RATE_HZ, vampyhost.ADAPT_NONE)
        self._vamp, self._version = vamp, str(plugin.info["pluginVersion"])

    def recognise(self, signal: Signal) -> Chords:
        """Raises NothingFoundError where no chord is heard anywhere."""
        steps = self._vamp.process_audio_multiple_outputs(
            signal.samples, RATE_HZ, PLUGIN, ["simplechord", "loglikelihood"], PARAMETERS
        )
        changes: list[tuple[float, str]] = []
        log_likelihoods: list[float] = []
        for step in steps:
            for output, feature in step.items():
                if output == "simplechord":
                    changes.append((float(feature["timestamp"]), to_mir_eval(feature["label"])))
                else:
                    log_likelihoods.append(float(feature["values"][0]))
        segments = to_segments(changes, signal.duration_s)
        if all(segment.label == "N" for segment in segments):
            raise NothingFoundError("Chordino hears no chord")
        return Chords(
            tool="chordino",
            tool_version=self._version,
            confidence=round(certainty(log_likelihoods), 4),
            segments=segments,
        )


def certainty(log_likelihoods: Sequence[float]) -> float:
    """1 for a sure choice, 0 for a guess among all chords.

    On rendered 12 s clips its rank correlation with the accuracy is .7.
    """
    return max(0.0, min(1.0, 1 + sum(log_likelihoods) / max(len(log_likelihoods), 1) / math.log(NUM_CHORDS)))


def to_mir_eval(label: str) -> str:
    """`Am7/G` -> `A:min7/b7`. Raises ValueError for a label that Chordino does not write."""
    if label == "N":
        return "N"
    match = _LABEL.fullmatch(label)
    if match is None or match[2] not in QUALITIES:
        raise ValueError(f"not a chord label of Chordino: {label!r}")
    root, quality, bass = match[1], QUALITIES[match[2]], match[3]
    if bass is None:
        return f"{root}:{quality}"
    degree = DEGREES[(pitch_class(bass) - pitch_class(root)) % 12]
    return f"{root}:{quality}" if degree == "1" else f"{root}:{quality}/{degree}"


def to_segments(changes: Sequence[tuple[float, str]], duration_s: float) -> list[Segment]:
    """Chord changes as segments without holes from 0 s to the end; equal neighbours are one."""
    segments: list[Segment] = []
    starts = [0.0, *(time_s for time_s, _ in changes)]
    labels = ["N", *(label for _, label in changes)]
    for start_s, end_s, label in zip(starts, [*starts[1:], duration_s], labels, strict=True):
        start_s, end_s = round(start_s, 4), round(min(end_s, duration_s), 4)
        if end_s <= start_s:
            continue
        if segments and segments[-1].label == label:
            segments[-1] = Segment(start_s=segments[-1].start_s, end_s=end_s, label=label)
        else:
            segments.append(Segment(start_s=start_s, end_s=end_s, label=label))
    return segments


def _missing(what: str) -> MissingToolError:
    return MissingToolError(
        f"facts.chords is `chordino`: {what}. Install with: pip install --no-build-isolation vamp && "
        "pip install --no-deps chord-extractor (Linux x86-64). Or set facts.chords.kind to `librosa`."
    )
