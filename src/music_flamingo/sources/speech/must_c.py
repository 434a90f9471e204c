"""MuST-C: TED talks as whole WAVs, with a YAML that gives the time of each line of text.

`<path>/data/<split>/wav/*.wav`, `txt/<split>.yaml` (a list of `{duration, offset, speaker_id, wav}`), and
`txt/<split>.<language>`, whose n-th line is what is said in the n-th segment.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from music_flamingo.audio.decode import DecodeLimits
from music_flamingo.core.errors import UserError
from music_flamingo.core.lines import lines_of
from music_flamingo.records import SpokenSegment
from music_flamingo.records.track import Split
from music_flamingo.sources.speech import BAD_TIMES, SpeechSettings, SpokenUtterance
from music_flamingo.sources.speech.reading import files_sha256, inside, read_segment, require_folder, require_found

LICENCE = "CC-BY-NC-ND-4.0"
SPLITS: dict[str, Split] = {"train": "train", "dev": "dev", "tst-COMMON": "test", "tst-HE": "test"}


class MustCConfig(SpeechSettings):
    """MuST-C on disk: folder and language."""

    kind: Literal["must_c"]
    path: str
    """The folder of a language pair, which holds `data/`."""
    language: str
    """Of what is said: `en`."""

    def open(self, limits: DecodeLimits) -> "MustCSource":
        """Make the source."""
        return MustCSource(self, require_folder(self.path, self.kind))

    def listing_sha256(self) -> str:
        """SHA-256 over all tables."""
        return files_sha256(_tables(require_folder(self.path, self.kind)))


def _tables(root: Path) -> list[Path]:
    """The YAML of each split there is."""
    paths = [root / "data" / name / "txt" / f"{name}.yaml" for name in SPLITS]
    return [path for path in paths if path.is_file()]


class MustCSource:
    """Units are JSON texts: a talk with its segments."""

    tool = "must_c"

    def __init__(self, config: MustCConfig, root: Path) -> None:
        self.config = config
        self.root = root

    def tool_version(self) -> str:
        """Version of libsndfile."""
        import soundfile

        return f"libsndfile {soundfile.__libsndfile_version__}"

    def units(self) -> Sequence[str]:
        """Talks with their segments, as JSON."""
        talks = [talk for table in _tables(self.root) for talk in self._talks(table)]
        return require_found(talks, self.root, "data/train/txt/train.yaml")

    def _talks(self, table: Path) -> Iterator[str]:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        entries = yaml.load(table.read_text(), Loader=loader)
        lines = lines_of(table.with_suffix(f".{self.config.language}").read_text())
        if len(entries) != len(lines):
            raise UserError(
                f"{table} has {len(entries)} segments, its text {len(lines)} lines. Take both of one release."
            )
        talks: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for entry, text in zip(entries, lines, strict=True):
            kept = {name: entry[name] for name in ("offset", "duration", "speaker_id")}
            talks[entry["wav"]].append({**kept, "text": text.strip()})
        for wav, segments in talks.items():
            yield json.dumps({"split": table.stem, "wav": wav, "segments": segments}, ensure_ascii=False)

    def utterances(self, unit: str) -> Iterator[SpokenUtterance]:
        """Utterances of one talk, one a segment."""
        talk = json.loads(unit)
        for number, segment in enumerate(talk["segments"]):
            yield self._said(talk, f"{Path(talk['wav']).stem}-{number:04d}", segment)

    def _said(self, talk: dict[str, Any], name: str, segment: dict[str, Any]) -> SpokenUtterance:
        start_s, duration_s = float(segment["offset"]), float(segment["duration"])
        problem: str | None = None
        words: tuple[SpokenSegment, ...] = ()
        if start_s < 0 or duration_s <= 0:
            problem = f"{BAD_TIMES}:{start_s} for {duration_s}"
        elif segment["text"]:
            words = (_segment(segment["speaker_id"], duration_s, segment["text"]),)
        return SpokenUtterance(
            id=f"{talk['split']}-{name}",
            language=self.config.language,
            split=SPLITS[talk["split"]],
            words=words,
            read=partial(self._read, talk["split"], talk["wav"], start_s, start_s + duration_s),
            licence=LICENCE,
            problem=problem,
        )

    def _read(self, split: str, wav: str, start_s: float, end_s: float) -> np.ndarray:
        return read_segment(inside(self.root / "data" / split / "wav", wav), start_s, end_s)


def _segment(speaker: str, duration_s: float, text: str) -> SpokenSegment:
    return SpokenSegment(speaker=speaker, start_s=0.0, end_s=duration_s, text=text)
