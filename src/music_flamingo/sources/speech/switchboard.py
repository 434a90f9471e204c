"""Switchboard: telephone calls of two, a channel each, with the ISIP transcripts of 1998 to 2003.

`sw0<call>.sph` (or .wav) and `sw<call>{A,B}-ms98-a-trans.text` at any depth; a transcript's line is
`sw2001A-ms98-a-0002 0.977625 11.561375 hi um yeah [laughter-yes]`. The two channels are mixed: the call is heard.
Of the transcript's marks, `[silence]`, `[noise]`, `<b_aside>` are no words; `[laughter-yes]` is `yes`, `[splace/space]`
is `space`, `{alrighty}` is `alrighty`, `because_1` is `because`, `th[ey]-` is `th-`.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from music_flamingo.audio.decode import BadAudioError, DecodeLimits, QuarantineReason
from music_flamingo.core.lines import lines_of
from music_flamingo.core.ranges import Positive
from music_flamingo.records.track import Split
from music_flamingo.sources.speech import SpeechSettings, SpokenUtterance
from music_flamingo.sources.speech.reading import files_sha256, read_segment, require_folder, require_found
from music_flamingo.sources.speech.sessions import Session, TranscriptLine, cut

LICENCE = "LDC-User-Agreement"
_TRANSCRIPT = re.compile(r"^sw(\d{4})([AB])-ms98-a-trans\.text$")
_REWRITES = (
    (re.compile(r"<[^>]*>"), " "),
    (re.compile(r"\[laughter-([^\]]+)\]"), r"\1"),
    (re.compile(r"\[[^\]/\s]+/([^\]]+)\]"), r"\1"),
    (re.compile(r"(?<=\S)\[[^\]]*\](?=-)|(?<=-)\[[^\]]*\](?=\S)"), ""),
    (re.compile(r"\[[^\]]*\]"), " "),
    (re.compile(r"[{}]"), ""),
    (re.compile(r"_1\b"), ""),
)


class SwitchboardConfig(SpeechSettings):
    """Switchboard on disk: folder, split, longest utterance (s)."""

    kind: Literal["switchboard"]
    path: str
    """A folder with recordings and transcripts, at any depth."""
    split: Split
    """Switchboard has no splits of its own."""
    max_segment_s: Positive
    """The longest segment between two pauses; what has no pause for longer is quarantined as too_long."""

    def open(self, limits: DecodeLimits) -> "SwitchboardSource":
        """Make the source."""
        return SwitchboardSource(self, require_folder(self.path, self.kind))

    def listing_sha256(self) -> str:
        """SHA-256 over all transcripts."""
        return files_sha256(p for pair in _transcripts(require_folder(self.path, self.kind)).values() for p in pair)


def _transcripts(root: Path) -> dict[str, list[Path]]:
    """Call -> its transcripts, of A and of B."""
    calls: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("sw*-trans.text")):
        if found := _TRANSCRIPT.match(path.name):
            calls.setdefault(found[1], []).append(path)
    return calls


class SwitchboardSource:
    """Units are the numbers of calls."""

    tool = "switchboard"

    def __init__(self, config: SwitchboardConfig, root: Path) -> None:
        self.config = config
        self.root = root
        self._calls = _transcripts(root)
        self._recordings = {path.stem.removeprefix("sw").lstrip("0"): path for path in sorted(_recordings(root))}

    def tool_version(self) -> str:
        """Version of libsndfile."""
        import soundfile

        return f"libsndfile {soundfile.__libsndfile_version__}"

    def units(self) -> Sequence[str]:
        """Numbers of the calls."""
        return require_found(sorted(self._calls), self.root, "sw2001A-ms98-a-trans.text")

    def utterances(self, unit: str) -> Iterator[SpokenUtterance]:
        """Utterances of one call, both channels."""
        session = Session(f"sw{unit}", "en", self.config.split, LICENCE, partial(self._read, unit))
        return cut(session, partial(_lines, self._calls[unit]), self.config.max_segment_s)

    def _read(self, call: str, start_s: float, end_s: float) -> np.ndarray:
        if call not in self._recordings:
            raise BadAudioError(QuarantineReason.UNREADABLE, f"{self.root} holds no sw0{call}.sph")
        return read_segment(self._recordings[call], start_s, end_s)


def _recordings(root: Path) -> list[Path]:
    return [path for path in root.rglob("sw*") if path.suffix.lower() in (".sph", ".wav")]


def _lines(transcripts: Sequence[Path]) -> list[TranscriptLine]:
    lines = []
    for path in transcripts:
        speaker = path.name[:7]
        for row in lines_of(path.read_text()):
            _, start_s, end_s, text = row.split(maxsplit=3)
            lines.append(TranscriptLine(speaker, float(start_s), float(end_s), words(text)))
    return lines


def words(text: str) -> str:
    """A line of an ISIP transcript without its marks."""
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())
