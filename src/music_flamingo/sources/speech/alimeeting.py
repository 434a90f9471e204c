"""AliMeeting: Mandarin meetings, an eight-channel array on the table, a Praat TextGrid with a tier for each speaker.

`.../{Train,Eval,Test}_Ali*/.../textgrid_dir/<session>.TextGrid` and, next to it, `audio_dir/<session>_*.wav`.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from music_flamingo.audio.decode import BadAudioError, DecodeLimits, QuarantineReason
from music_flamingo.core.ranges import CountOrNone, Positive
from music_flamingo.records.track import Split
from music_flamingo.sources.speech import SpeechSettings, SpokenUtterance
from music_flamingo.sources.speech.reading import files_sha256, read_segment, require_folder, require_found
from music_flamingo.sources.speech.sessions import Session, TranscriptLine, cut
from music_flamingo.sources.speech.text_grid import read_text_grid

LICENCE = "CC-BY-SA-4.0"
SPLITS: dict[str, Split] = {"train": "train", "eval": "dev", "test": "test"}
_SPLIT = re.compile(r"^(train|eval|test)_ali", re.IGNORECASE)


class AliMeetingConfig(SpeechSettings):
    """AliMeeting on disk: folder, array channel, longest utterance (s)."""

    kind: Literal["alimeeting"]
    path: str
    """A folder with `Train_Ali_far/`, `Eval_Ali/Eval_Ali_far/` ... at any depth."""
    channel: CountOrNone
    """Of the array, counted from 0."""
    max_segment_s: Positive
    """The longest segment between two pauses; what has no pause for longer is quarantined as too_long."""

    def open(self, limits: DecodeLimits) -> "AliMeetingSource":
        """Make the source."""
        return AliMeetingSource(self, require_folder(self.path, self.kind))

    def listing_sha256(self) -> str:
        """SHA-256 over all TextGrids."""
        return files_sha256(_grids(require_folder(self.path, self.kind)))


def _grids(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("textgrid_dir/*.TextGrid") if _split(path, root) is not None)


def _split(path: Path, root: Path) -> Split | None:
    for part in path.relative_to(root.parent).parts:
        if found := _SPLIT.match(part):
            return SPLITS[found[1].lower()]
    return None


class AliMeetingSource:
    """Units are TextGrids, as paths below the folder."""

    tool = "alimeeting"

    def __init__(self, config: AliMeetingConfig, root: Path) -> None:
        self.config = config
        self.root = root

    def tool_version(self) -> str:
        """Version of libsndfile."""
        import soundfile

        return f"libsndfile {soundfile.__libsndfile_version__}"

    def units(self) -> Sequence[str]:
        """Paths of the TextGrids, one a meeting."""
        found = [str(path.relative_to(self.root)) for path in _grids(self.root)]
        return require_found(found, self.root, "Train_Ali_far/textgrid_dir/*.TextGrid")

    def utterances(self, unit: str) -> Iterator[SpokenUtterance]:
        """Utterances of one meeting."""
        grid = self.root / unit
        split = _split(grid, self.root)
        assert split is not None, "only folders of a split are listed"
        session = Session(grid.stem, "zh", split, LICENCE, partial(self._read, grid))
        return cut(session, partial(_lines, grid), self.config.max_segment_s)

    def _read(self, grid: Path, start_s: float, end_s: float) -> np.ndarray:
        recordings = sorted((grid.parent.parent / "audio_dir").glob(f"{grid.stem}_*.wav"))
        if not recordings:
            raise BadAudioError(QuarantineReason.UNREADABLE, f"no audio_dir/{grid.stem}_*.wav next to {grid.parent}")
        return read_segment(recordings[0], start_s, end_s, [self.config.channel])


def _lines(grid: Path) -> list[TranscriptLine]:
    return [
        TranscriptLine(tier, interval.start_s, interval.end_s, interval.text.strip())
        for tier, intervals in read_text_grid(grid).items()
        for interval in intervals
    ]
