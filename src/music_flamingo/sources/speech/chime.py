"""CHiME-5 and -6: dinner parties of four people. `transcriptions/<split>/<session>.json`, `audio/<split>/*.wav`.

A transcript is a list of `{start_time, end_time, words, speaker, session_id}`. Times are `H:MM:SS.ss`, or seconds, or
(CHiME-5, whose devices run apart) one for each device under its name. Marks such as `[laughs]` are no words.
"""

import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from music_flamingo.audio.decode import DecodeLimits
from music_flamingo.core.ranges import Positive
from music_flamingo.records.track import Split
from music_flamingo.sources.speech import SpeechSettings, SpokenUtterance
from music_flamingo.sources.speech.reading import files_sha256, read_segment, require_folder, require_found
from music_flamingo.sources.speech.sessions import Session, TranscriptLine, cut

LICENCE = "CC-BY-SA-4.0"
SPLITS: dict[str, Split] = {"train": "train", "dev": "dev", "eval": "test"}
_MARK = re.compile(r"\[[^\]]*\]")


class ChimeConfig(SpeechSettings):
    """CHiME on disk: folder, recording device, longest utterance (s)."""

    kind: Literal["chime"]
    path: str
    """The corpus's folder, with `transcriptions/` and `audio/`."""
    device: str
    """Which recording is heard: `U01.CH1` (an array's channel) or `P05` (a speaker's own microphones)."""
    max_segment_s: Positive
    """The longest segment between two pauses; what has no pause for longer is quarantined as too_long."""

    def open(self, limits: DecodeLimits) -> "ChimeSource":
        """Make the source."""
        return ChimeSource(self, require_folder(self.path, self.kind))

    def listing_sha256(self) -> str:
        """SHA-256 over all transcripts."""
        return files_sha256(_transcripts(require_folder(self.path, self.kind)))


def _transcripts(root: Path) -> list[Path]:
    return sorted(path for name in SPLITS for path in (root / "transcriptions" / name).glob("*.json"))


class ChimeSource:
    """Units are transcripts, as paths below `transcriptions/`."""

    tool = "chime"

    def __init__(self, config: ChimeConfig, root: Path) -> None:
        self.config = config
        self.root = root

    def tool_version(self) -> str:
        """Version of libsndfile."""
        import soundfile

        return f"libsndfile {soundfile.__libsndfile_version__}"

    def units(self) -> Sequence[str]:
        """Paths of the transcripts, one a session."""
        found = [str(path.relative_to(self.root / "transcriptions")) for path in _transcripts(self.root)]
        return require_found(found, self.root, "transcriptions/train/*.json")

    def utterances(self, unit: str) -> Iterator[SpokenUtterance]:
        """Utterances of one session."""
        split, session = Path(unit).parts[0], Path(unit).stem
        audio = self.root / "audio" / split / f"{session}_{self.config.device}.wav"
        about = Session(session, "en", SPLITS[split], LICENCE, partial(_read, audio))
        return cut(about, partial(self._lines, unit), self.config.max_segment_s)

    def _lines(self, unit: str) -> list[TranscriptLine]:
        entries: list[dict[str, Any]] = json.loads((self.root / "transcriptions" / unit).read_text())
        clock = self.config.device.split(".")[0]
        return [
            TranscriptLine(
                e["speaker"], _seconds(e["start_time"], clock), _seconds(e["end_time"], clock), _words(e["words"])
            )
            for e in entries
        ]


def _read(audio: Path, start_s: float, end_s: float) -> np.ndarray:
    return read_segment(audio, start_s, end_s)


def _words(text: str) -> str:
    return " ".join(_MARK.sub(" ", text).split())


def _seconds(time: str | float | dict[str, str], clock: str) -> float:
    """`0:01:15.92`, 75.92, or one of them for each device."""
    if isinstance(time, dict):
        return _seconds(time.get(clock) or time["original"], clock)
    total = 0.0
    for part in str(time).split(":"):
        total = 60 * total + float(part)
    return round(total, 6)
