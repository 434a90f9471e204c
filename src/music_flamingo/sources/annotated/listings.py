"""Listings of tags and captions: MTG-Jamendo's TSV (Bogdanov et al. 2019) and MusicCaps' CSV (Agostinelli et al. 2023).

A tag says that somebody hears something; a tag that is missing says nothing. Moods have no fact and are counted.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_file
from music_flamingo.sources.annotated import AnnotatedRecording

JAMENDO_COLUMNS = ("TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS")
MUSICCAPS_COLUMNS = ("ytid", "start_s", "end_s", "caption", "is_audioset_eval")
FACT_OF = {"genre": "genre", "instrument": "instruments"}
IN_WORDS = {
    "acousticbassguitar": "acoustic bass guitar", "acousticguitar": "acoustic guitar",
    "classicalguitar": "classical guitar",
    "doublebass": "double bass", "drummachine": "drum machine", "electricguitar": "electric guitar",
    "electricpiano": "electric piano", "pipeorgan": "pipe organ", "hiphop": "hip hop", "newage": "new age",
    "chillout": "chill-out", "easylistening": "easy listening", "rnb": "r&b", "rocknroll": "rock and roll",
    "drumnbass": "drum and bass", "triphop": "trip hop", "heavymetal": "heavy metal", "hardrock": "hard rock",
    "punkrock": "punk rock", "poprock": "pop rock", "popfolk": "pop folk", "acidjazz": "acid jazz",
    "deephouse": "deep house", "worldfusion": "world fusion", "progressive": "progressive",
}  # fmt: skip
"""MTG-Jamendo writes names of two words as one; others are words already."""
VOICE = "voice"


def read_jamendo(path: Path, confidence: float) -> Iterator[AnnotatedRecording]:
    """Read a listing of MTG-Jamendo: genres and instruments as facts. Tags end the row, each in a column of its own."""
    origin = {"tool": f"MTG-Jamendo ({path.name})", "tool_version": sha256_file(path)[:12], "confidence": confidence}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="," if path.suffix == ".csv" else "\t", quoting=csv.QUOTE_NONE)
        header = next(rows, [])
        if tuple(header[: len(JAMENDO_COLUMNS)]) != JAMENDO_COLUMNS:
            raise UserError(f"{path} is no listing of MTG-Jamendo: its columns are {', '.join(JAMENDO_COLUMNS)}.")
        for number, row in enumerate(rows, start=2):
            if len(row) < len(JAMENDO_COLUMNS):
                raise UserError(f"{path}, line {number}: {len(row)} columns, not {len(JAMENDO_COLUMNS)} or more.")
            yield _of_jamendo(row, origin, confidence)


def _of_jamendo(row: list[str], origin: dict[str, Any], confidence: float) -> AnnotatedRecording:
    track_id, _, _, place, duration_s, *tags = row
    named: dict[str, list[str]] = {"genre": [], "instruments": []}
    unread = []
    for tag in filter(None, tags):
        kind, _, name = tag.partition("---")
        if kind in FACT_OF and name:
            named[FACT_OF[kind]].append(IN_WORDS.get(name, name))
        else:
            unread.append(f"{kind}: no fact of this project")
    facts: dict[str, Any] = {"duration_s": float(duration_s)}
    for fact, names in named.items():
        if heard := sorted(set(names) - {VOICE}):
            labels = [{"name": name, "probability": confidence} for name in heard]
            facts[fact] = {**origin, "labels": labels}
    if VOICE in named["instruments"]:
        facts["voice"] = {**origin, "present": True, "heard": []}
    low = place.removesuffix(".mp3") + ".low.mp3"  # as the copies of low quality are called
    return AnnotatedRecording((track_id, place, low, Path(place).name, Path(low).name), facts, (), tuple(unread))


def read_musiccaps(path: Path, confidence: float) -> Iterator[AnnotatedRecording]:
    """Read MusicCaps' captions of clips of 10 s. Its evaluation part is left out, so that nothing is trained on it.

    A caption has no confidence: `confidence` is that of other readers' facts.
    """
    revision = sha256_file(path)[:12]
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        missing = [name for name in MUSICCAPS_COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise UserError(f"{path} is no listing of MusicCaps: it lacks the columns {', '.join(missing)}.")
        for row in rows:
            yield _of_musiccaps(row, revision)


def _of_musiccaps(row: dict[str, str], revision: str) -> AnnotatedRecording:
    ytid, start, end = row["ytid"], row["start_s"], row["end_s"]
    names = (ytid, f"[{ytid}]-[{start}-{end}]", f"{ytid}_{start}_{end}")
    if row["is_audioset_eval"].strip().casefold() in ("true", "1"):
        return AnnotatedRecording(names, unread=("captions of the evaluation part",))
    length_s = float(end) - float(start)
    model = f"MusicCaps, author {row['author_id']}" if row.get("author_id") else "MusicCaps"
    teacher = {"kind": "people", "model": model, "revision": revision, "prompt_id": "", "prompt_sha256": ""}
    caption = {"start_s": 0.0, "end_s": length_s, "text": row["caption"].strip(), "teacher": teacher}
    return AnnotatedRecording(names, captions=(caption,))
