"""MUSIC-AVQA (Li et al. 2022): questions about musical performances with 42 possible answers.

A model without eyes can answer those of the type Audio (1,623 of 9,185): `music_avqa`. `music_avqa_all` asks them all,
as some papers do. Which of the two the paper reports is not published.
"""

import json
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
    plain_match,
    read_json,
    require_fields,
    require_file,
    rows_in,
)
from music_flamingo.scoring.choices import parse_choice

INSTRUMENTS = (
    *("accordion", "acoustic_guitar", "bagpipe", "banjo", "bassoon", "cello", "clarinet", "congas", "drum"),
    *("electric_bass", "erhu", "flute", "guzheng", "piano", "pipa", "saxophone", "suona", "trumpet", "tuba"),
    *("ukulele", "violin", "xylophone"),
)
ANSWERS = (
    *("yes", "no", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("more than ten", "left", "middle", "right", "indoor", "outdoor", "simultaneously"),
    *INSTRUMENTS,
)
_NAMES = tuple(answer.replace("_", " ") for answer in ANSWERS)
SLOT = "<Object>"
_FIELDS = ("video_id", "question_id", "type", "question_content", "templ_values", "anser")


def read(folder: Path, audio_only: bool) -> list[BenchmarkItem]:
    """Read the test questions, all of them or those of type Audio."""
    path = require_file(folder, "avqa-test.json", "data/json/avqa-test.json")
    audio = AudioIndex(folder)
    items = [_item(row, audio, path) for row in rows_in(read_json(path), path)]
    return [item for item in items if not audio_only or ("category", "Audio") in item.groups]


def _item(row: dict[str, Any], audio: AudioIndex, path: Path) -> BenchmarkItem:
    require_fields(row, _FIELDS, path)
    category, skill = json.loads(row["type"])
    return BenchmarkItem(
        id=str(row["question_id"]),
        audio=(audio.find(f"audio/{row['video_id']}.wav"),),
        question=fill(row["question_content"], json.loads(row["templ_values"]), path),
        reference=row["anser"],  # sic
        groups=(("category", category), ("skill", f"{category} {skill}")),
        source_ids=(row["video_id"],),
    )


def fill(question: str, values: list[str], path: Path) -> str:
    """`Is the <Object> louder than the <Object>?` with its slots filled in order. Values without a slot are unused."""
    for value in values:
        question = question.replace(SLOT, value.replace("_", " "), 1)
    if SLOT in question:
        raise UserError(f"{path}: the question {question!r} has more slots than values.")
    return question.replace("？", "?")


def strict(item: BenchmarkItem, output: str, replies: Replies) -> Grade:
    """Grade strictly: exactly one of the 42 answers must be named."""
    chosen = parse_choice(output, _NAMES, lettered=False)
    return Grade(float(chosen is not None and ANSWERS[chosen] == item.reference))


def _benchmark(name: str, title: str, audio_only: bool, count: int) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        task="open",
        source="github.com/GeWu-Lab/MUSIC-AVQA, data/json/avqa-test.json; sound of the videos as audio/<video_id>.wav",
        licence="CC BY-NC 4.0",
        citation="Li et al., Learning to Answer Questions in Dynamic Audio-Visual Scenarios, CVPR 2022",
        counts=(count,),
        items=partial(read, audio_only=audio_only),
        files=("avqa-test.json", "data/json/avqa-test.json"),
        prompt_id="benchmark_short",
        measures=(
            plain_match({}),
            BenchmarkMetric("strict", "strict", strict, "the one of the 42 answers that the output names"),
        ),
    )


AUDIO = _benchmark("music_avqa", "Music AVQA (audio questions)", True, 1623)
ALL = _benchmark("music_avqa_all", "Music AVQA (all questions)", False, 9185)
