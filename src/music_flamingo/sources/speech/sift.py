"""Amazon's SIFT-50M: requests about a clip with their answers, in JSON lines; the clips come from other corpora.

`<path>/{train,dev,EvalSIFT}/<category>/.../<language>/*.jsonl`, each line `{id, messages, task, data_source}`; a
message's `content` is a list of `{text, audio_path}`, one of which is set. `audio_path` names a file whose folder is a
placeholder: it is looked for by its name in the folder `audio`, where the clips of Multilingual LibriSpeech, Common
Voice and VCTK were put. Lines with one clip and a spoken-about answer are taken; those that compare two clips, or ask
for speech, are quarantined as `not_one_recording`.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from music_flamingo.audio.decode import BadAudioError, DecodeLimits, QuarantineReason, decode_model_copy
from music_flamingo.records.track import Split
from music_flamingo.sources.speech import SpeechSettings, SpokenUtterance, Whole
from music_flamingo.sources.speech.reading import files_sha256, require_folder, require_found

LICENCE = "CDLA-Sharing-1.0"
SPLITS: dict[str, Split] = {"train": "train", "dev": "dev", "EvalSIFT": "test"}
NOT_ONE_RECORDING = "not_one_recording"


class SiftConfig(SpeechSettings):
    """SIFT-50M on disk: folder of tables, folder of clips."""

    kind: Literal["sift"]
    path: str
    """The corpus's folder, with `train/`, `dev/` and `EvalSIFT/`."""
    audio: str
    """A folder with the clips, by their names, at any depth."""

    def open(self, limits: DecodeLimits) -> "SiftSource":
        """Make the source."""
        root, audio = require_folder(self.path, self.kind), require_folder(self.audio, self.kind)
        return SiftSource(root, audio, limits)

    def listing_sha256(self) -> str:
        """SHA-256 over all tables."""
        return files_sha256(_tables(require_folder(self.path, self.kind)))


def _tables(root: Path) -> list[Path]:
    return sorted(path for name in SPLITS for path in (root / name).rglob("*.jsonl"))


class SiftSource:
    """Units are JSON texts: a line, the clip it names, and where it stands."""

    tool = "sift"

    def __init__(self, root: Path, audio: Path, limits: DecodeLimits) -> None:
        self.root = root
        self.audio = audio
        self.limits = limits

    def tool_version(self) -> str:
        """Version of PyAV."""
        return f"av {version('av')}"

    def units(self) -> Sequence[str]:
        """Rows with an existing clip, as JSON."""
        clips = {
            path.name: str(path.relative_to(self.audio)) for path in sorted(self.audio.rglob("*")) if path.is_file()
        }
        units = []
        for table in _tables(self.root):
            with table.open(encoding="utf-8") as file:
                for number, line in enumerate(file, start=1):
                    asked = _asked(line)
                    clip = clips.get(Path(asked["audio"]).name) if asked else None
                    place = {"table": str(table.relative_to(self.root)), "line": number, "clip": clip}
                    units.append(json.dumps({**place, "asked": asked}, ensure_ascii=False))
        return require_found(units, self.root, "train/**/*.jsonl")

    def utterances(self, unit: str) -> Iterator[SpokenUtterance]:
        """The request and answer of one row."""
        row = json.loads(unit)
        table, asked = Path(row["table"]), row["asked"]
        yield SpokenUtterance(
            id=f"{'-'.join(table.with_suffix('').parts)}-{row['line']}",
            language=table.parent.name,
            split=SPLITS[table.parts[0]],
            words=Whole(asked["source"], asked["answer"]) if asked else (),
            read=partial(self._read, row["clip"], asked["audio"] if asked else ""),
            licence=LICENCE,
            request=asked["request"] if asked else None,
            problem=None if asked else NOT_ONE_RECORDING,
        )

    def _read(self, clip: str | None, named: str) -> np.ndarray:
        if clip is None:
            raise BadAudioError(QuarantineReason.UNREADABLE, f"{self.audio} holds no {Path(named).name}")
        return decode_model_copy(self.audio / clip, self.limits)


def _asked(line: str) -> dict[str, str] | None:
    """The clip, the request and the answer of a line; None where it is not one of each."""
    try:
        row = json.loads(line)
        by_role = {m["role"]: m["content"] for m in row["messages"]}
        parts: list[dict[str, Any]] = by_role["user"]
        clips = [p["audio_path"] for p in parts if p.get("audio_path")]
        texts = [p["text"] for p in parts if p.get("text")]
        answers = [p.get("text") for p in by_role["assistant"]]
        source = str(row.get("data_source", ""))
    except (ValueError, KeyError, TypeError):
        return None
    if len(clips) != 1 or len(texts) != 1 or len(answers) != 1 or not answers[0] or len(row["messages"]) != 2:
        return None
    return {"audio": clips[0], "request": texts[0], "answer": answers[0], "source": source}
