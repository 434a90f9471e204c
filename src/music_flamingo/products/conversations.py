"""MF-Skills and MF-Think as conversations: in the published layout, in ms-swift's and in LLaMA-Factory's.

A file for each data set and split, written line by line. Sound lies next to them in `audio`, as the model's 16 kHz
copies, or stays where the originals lie. Each question is an entry of its own; a chain asks to think, in the words of
the published think variant, and answers in tags. What a layout has no field for stays behind: seconds, structured
truth, provenance, verdicts.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

import pyarrow.parquet as pq

from music_flamingo.audio.originals import place_of_original
from music_flamingo.core.errors import MissingInputError, UserError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.core.shards import shard_index, shard_path, write_atomic
from music_flamingo.records import Chain, Example, Track
from music_flamingo.sources.about import slug
from music_flamingo.sources.conversations.wording import (
    SpokenTurn,
    UnreadableTurnError,
    read_turn,
    written_answer,
    written_question,
)

ConversationForm = Literal["conversations", "ms-swift", "llama-factory"]
SoundFiles = Literal["copies", "originals"]
AUDIO = "<audio>"
"""Where the sound stands, for ms-swift and LLaMA-Factory."""
NOT_EXPRESSIBLE = "not_expressible"
"""A question that would be read back as another one: its words look like options of a choice."""


@dataclass
class ExportedConversations:
    """What was written: entries by file, and what was left out by reason."""

    files: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


def published_entry(name: str, sound: str, duration_s: float, turn: SpokenTurn) -> dict[str, Any]:
    """An entry of the published layout."""
    asked = written_question(turn, think=turn.thinking is not None)
    spoken = [{"from": "human", "value": asked}, {"from": "gpt", "value": written_answer(turn)}]
    return {"id": name, "sound": sound, "duration": duration_s, "conversations": spoken}


def swift_entry(name: str, sound: str, duration_s: float, turn: SpokenTurn) -> dict[str, Any]:
    """A line of ms-swift's standard format: messages and audios."""
    asked = written_question(turn, think=turn.thinking is not None, sound=AUDIO)
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": written_answer(turn)}]
    return {"messages": messages, "audios": [sound]}


def factory_entry(name: str, sound: str, duration_s: float, turn: SpokenTurn) -> dict[str, Any]:
    """An entry of LLaMA-Factory's sharegpt format: conversations and audios."""
    asked = written_question(turn, think=turn.thinking is not None, sound=AUDIO)
    spoken = [{"from": "human", "value": asked}, {"from": "gpt", "value": written_answer(turn)}]
    return {"conversations": spoken, "audios": [sound]}


ENTRIES: dict[ConversationForm, Callable[[str, str, float, SpokenTurn], dict[str, Any]]] = {
    "conversations": published_entry,
    "ms-swift": swift_entry,
    "llama-factory": factory_entry,
}


def export_conversations(
    data: Path, folder: Path, form: ConversationForm, sound: SoundFiles = "copies"
) -> ExportedConversations:
    """Write MF-Skills, and MF-Think where it is there, into an empty folder.

    Raises MissingInputError before `validate` has run, UserError for a folder that holds something.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} holds files already. Give a folder that is empty, or is not there yet.")
    tracks = Table(data / "tracks", Track, read_manifest(data / "tracks"))
    ports: dict[str, Table[Any]] = {"skills": Table(data / "skills", Example, read_manifest(data / "skills"))}
    if (data / "think/_manifest.json").exists():
        ports["think"] = Table(data / "think", Chain, read_manifest(data / "think"))
    done = ExportedConversations()
    with ExitStack() as stack:
        files = _Files(folder, form, stack)
        for shard in map(shard_index, tracks.shards):
            sounds = _Sounds(tracks, shard, data / "originals", folder, sound)
            for port, table in ports.items():
                if shard in map(shard_index, table.shards):
                    _export_shard(table.read_shard(shard), port, sounds, files, ENTRIES[form], done)
            sounds.write()
    if form == "llama-factory":
        write_atomic(folder / "dataset_info.json", json.dumps(_dataset_info(done.files), indent=2) + "\n")
    return done


def turn_of(record: Example | Chain) -> SpokenTurn:
    """The question of a record with its answer, and with its thought where it is a chain."""
    thinking = record.thinking if isinstance(record, Chain) else None
    return SpokenTurn(record.question, tuple(record.options), record.answer, thinking)


def is_expressible(turn: SpokenTurn) -> bool:
    """Whether the layout's words are read back as this turn."""
    try:
        read = read_turn(written_question(turn, think=turn.thinking is not None), written_answer(turn))
    except UnreadableTurnError:
        return False
    return read == turn


def _export_shard(
    records: Sequence[Example | Chain],
    port: str,
    sounds: "_Sounds",
    files: "_Files",
    entry: Callable[[str, str, float, SpokenTurn], dict[str, Any]],
    done: ExportedConversations,
) -> None:
    for record in records:
        turn = turn_of(record)
        if not record.is_ok or not is_expressible(turn):
            done.left_out[NOT_EXPRESSIBLE if record.is_ok else record.status.split(":")[1]] += 1
            continue
        place, duration_s = sounds.place_of(record.track_id)
        name = files.add(port, record.split, entry(record.id, place, duration_s, turn))
        done.files[name] += 1


class _Sounds:
    """Where the sound of a shard's tracks lies, as its entries say it; copies are written once they are asked for."""

    def __init__(self, tracks: Table[Track], shard: int, originals: Path, folder: Path, sound: SoundFiles) -> None:
        columns = ["id", "duration_s", "original", "status"]
        rows = pq.read_table(shard_path(tracks.root, shard), columns=columns).to_pylist()
        self._rows = {row["id"]: row for row in rows}
        self._path, self._folder = shard_path(tracks.root, shard), folder
        self._originals, self._sound = originals, sound
        self._wanted: set[str] = set()

    def place_of(self, track_id: str) -> tuple[str, float]:
        row = self._rows[track_id]
        if self._sound == "originals":
            if row["original"] is None:
                raise MissingInputError(f"track {track_id} has no original recording ({row['status']}).")
            return str(place_of_original(row["original"], self._originals)), row["duration_s"]
        self._wanted.add(track_id)
        return f"audio/{slug(track_id)}.flac", row["duration_s"]

    def write(self) -> None:
        """The copies that the shard's entries name, a row group of the shard at a time."""
        if not self._wanted:
            return
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(batch_size=16, columns=["id", "audio"]):
                for row in batch.to_pylist():
                    if row["id"] in self._wanted:
                        write_atomic(self._folder / "audio" / f"{slug(row['id'])}.flac", row["audio"]["bytes"])


class _Files:
    """The open files of an export: a JSON array or JSON lines for each port and split."""

    def __init__(self, folder: Path, form: ConversationForm, stack: ExitStack) -> None:
        self._folder, self._lines, self._stack = folder, form == "ms-swift", stack
        self._open: dict[str, TextIO] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, port: str, split: str, entry: dict[str, Any]) -> str:
        """Write one entry; gives the name of its file."""
        name = f"{port}_{split}.{'jsonl' if self._lines else 'json'}"
        text = json.dumps(entry, ensure_ascii=False)
        if name not in self._open:
            self._open[name] = self._stack.enter_context((self._folder / name).open("w", encoding="utf-8"))
            if not self._lines:
                self._stack.callback(self._open[name].write, "\n]\n")
            self._open[name].write(text if self._lines else f"[\n{text}")
        else:
            self._open[name].write(f"\n{text}" if self._lines else f",\n{text}")
        return name


def _dataset_info(files: Counter[str]) -> dict[str, Any]:
    """What dataset_info.json says of each file: its name there, its form and columns."""
    columns = {"messages": "conversations", "audios": "audios"}
    return {
        f"music_flamingo_{Path(file).stem}": {"file_name": file, "formatting": "sharegpt", "columns": columns}
        for file in sorted(files)
    }
