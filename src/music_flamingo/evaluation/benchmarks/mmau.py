"""MMAU, music: multiple choice over 10 skills (Sakshi et al. 2024; version v05.15.25 of the questions).

`mmau_music_mini` has answers. `mmau_music_full` has none: it writes the submission that the benchmark's server scores.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from music_flamingo.core.errors import UserError
from music_flamingo.evaluation.benchmarks.base import (
    AudioIndex,
    Benchmark,
    BenchmarkItem,
    BenchmarkMetric,
    Grade,
    Replies,
    index_of,
    options_of,
    read_json,
    require_fields,
    require_file,
    rows_in,
    strict_choice,
    text_or_none,
)
from music_flamingo.scoring.official import mmau_right
from music_flamingo.scoring.wrappings import without_thoughts

FILES = {"mini": "mmau-test-mini.json", "full": "mmau-test.json"}
_FIELDS = ("id", "audio_id", "question", "choices", "task", "category", "sub-category", "difficulty")


def read(folder: Path, part: str) -> list[BenchmarkItem]:
    """Read the music questions of one part of MMAU."""
    path = require_file(folder, FILES[part])
    audio = AudioIndex(folder)
    return [_item(row, audio, path) for row in rows_in(read_json(path), path) if row.get("task") == "music"]


def _item(row: dict[str, Any], audio: AudioIndex, path: Path) -> BenchmarkItem:
    require_fields(row, _FIELDS, path)
    answer = text_or_none(row.get("answer"))
    options = options_of(row["choices"], str(row["id"]), path)
    if not options:
        raise UserError(f"{path}, item {row['id']} has no choices: a question of MMAU has some. Fetch the file again.")
    return BenchmarkItem(
        id=str(row["id"]),
        audio=(audio.find(str(row["audio_id"]), str(row["id"])),),
        question=row["question"],
        options=options,
        reference=answer,
        answer_index=None if answer is None else index_of(answer, options, str(row["id"])),
        groups=(
            ("category", row["category"]),
            ("skill", row["sub-category"]),
            ("difficulty", row["difficulty"]),
        ),
        source_ids=(str(row["id"]),),
    )


def official(item: BenchmarkItem, output: str, replies: Replies) -> Grade | None:
    """Grade by MMAU's published rule; None where the answer is not public."""
    if item.reference is None:
        return None
    return Grade(float(mmau_right(without_thoughts(output), item.reference, item.options)))


OFFICIAL = BenchmarkMetric(
    "official",
    "official",
    official,
    "MMAU's evaluation.py: every word of the answer occurs and no word that only wrong options have",
)


def submission(folder: Path, items: Sequence[BenchmarkItem], outputs: Mapping[str, str]) -> object:
    """The published file's music questions with the model's words, under the name that the scorer's code reads
    (`model_output`) and the one that its README gives (`model_prediction`)."""
    path = require_file(folder, FILES["full"])
    rows = [row for row in rows_in(read_json(path), path) if str(row["id"]) in outputs]
    return [
        {
            **row,
            "model_output": without_thoughts(outputs[str(row["id"])]),
            "model_prediction": without_thoughts(outputs[str(row["id"])]),
        }
        for row in rows
    ]


def _benchmark(part: str, title: str, counts: tuple[int, ...]) -> Benchmark:
    return Benchmark(
        name=f"mmau_music_{part}",
        title=title,
        task="choice",
        source=f"github.com/Sakshi113/MMAU, {FILES[part]} and its audio folder; task = music",
        licence="Apache-2.0 (questions); audio under the terms of its sources",
        citation="Sakshi et al., MMAU: A Massive Multi-Task Audio Understanding and Reasoning Benchmark, 2024",
        counts=counts,
        items=partial(read, part=part),
        files=(FILES[part],),
        prompt_id="benchmark_choice",
        measures=(OFFICIAL, strict_choice()),
        submission=submission if part == "full" else None,
    )


MINI = _benchmark("mini", "MMAU-Music (mini)", (334,))
FULL = _benchmark("full", "MMAU-Music (full)", ())
