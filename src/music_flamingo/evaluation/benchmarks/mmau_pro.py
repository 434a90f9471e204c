"""MMAU-Pro (Kumar et al. 2025): closed questions about music, and the open questions of all its domains.

Closed, officially: the option whose NV-Embed-v2 embedding is nearest to the output's, so an embeddings endpoint is
needed; without one the official score is left out and says so. Open: a judge with four criteria, 1 to 5.
`overall` reads its reply as published, where what is not named counts 3; the prompt is this project's, so it is not
official. `strict` counts a reply that is not whole as unjudged.
"""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from music_flamingo.evaluation.benchmarks.base import (
    AudioIndex,
    Benchmark,
    BenchmarkItem,
    BenchmarkMetric,
    Grade,
    JudgeTask,
    Replies,
    options_of,
    require_fields,
    require_file,
    strict_choice,
)
from music_flamingo.scoring.official import MMAU_PRO_CRITERIA, mmau_pro_judged, mmau_pro_nearest

EMBEDDING = "embedding"
"""The reply of an embeddings endpoint: cosines of output and options, a JSON list."""
JUDGE = JudgeTask("mmau_pro", "judge_mmau_pro", 1, 5)
_FIELDS = ("id", "audio_path", "question", "answer", "choices", "category")


def read(folder: Path, category: str) -> list[BenchmarkItem]:
    """Read the questions of one category."""
    path = require_file(folder, "test.parquet")
    table = pq.read_table(path)
    require_fields(dict.fromkeys(table.column_names), _FIELDS, path)
    names = [n for n in (*_FIELDS, "sub-cat", "length_type") if n in table.column_names]
    audio = AudioIndex(folder)
    rows = table.select(names).to_pylist()
    return [_item(row, audio, path) for row in rows if row["category"] == category and _asked(row, category, path)]


def _asked(row: dict[str, Any], category: str, path: Path) -> bool:
    # the published script drops closed questions with fewer than two choices
    return category == "open" or len(options_of(row["choices"], str(row["id"]), path)) > 1


def _item(row: dict[str, Any], audio: AudioIndex, path: Path) -> BenchmarkItem:
    options = options_of(row["choices"], str(row["id"]), path) if row["category"] != "open" else ()
    paths = [row["audio_path"]] if isinstance(row["audio_path"], str) else list(row["audio_path"])
    return BenchmarkItem(
        id=str(row["id"]),
        audio=tuple(audio.find(path) for path in paths),
        question=row["question"],
        options=options,
        reference=row["answer"],
        # an answer that is none of the choices can never be right, by either score
        answer_index=options.index(row["answer"]) if row["answer"] in options else -1,
        groups=tuple((kind, str(row[name])) for kind, name in _GROUPS if row.get(name)),
        source_ids=tuple(Path(path).stem for path in paths),
    )


_GROUPS = (("category", "category"), ("skill", "sub-cat"), ("length", "length_type"))


def closed_official(item: BenchmarkItem, output: str, replies: Replies) -> Grade | None:
    """Grade a closed question by the option nearest to the output in embedding space."""
    if EMBEDDING not in replies:
        return None
    return Grade(float(item.options[mmau_pro_nearest(json.loads(replies[EMBEDDING]))] == item.reference))


def open_overall(item: BenchmarkItem, output: str, replies: Replies) -> Grade | None:
    """Grade an open question by the judge's overall rating; None without a reply."""
    return Grade(mmau_pro_judged(replies[JUDGE.name])["overall"]) if JUDGE.name in replies else None


def open_strict(item: BenchmarkItem, output: str, replies: Replies) -> Grade | None:
    """The mean of the four criteria, each found once and between 1 and 5; otherwise the reply is not counted."""
    if JUDGE.name not in replies:
        return None
    found = [re.findall(rf"^\W*{name}:\s*(\d+)\b", replies[JUDGE.name], re.I | re.M) for name in MMAU_PRO_CRITERIA]
    if any(len(numbers) != 1 or not 1 <= int(numbers[0]) <= 5 for numbers in found):
        return Grade(0.0, 0.0)
    return Grade(sum(int(numbers[0]) for numbers in found) / len(found))


_SOURCE = "Hugging Face gamma-lab-umd/MMAU-Pro, test.parquet and its audio folder; category = "
_CITATION = "Kumar et al., MMAU-Pro: A Challenging and Comprehensive Benchmark for Audio General Intelligence, 2025"
_LICENCE = "see the dataset's card; audio under the terms of its sources"

CLOSED = Benchmark(
    name="mmau_pro_music",
    title="MMAU-Pro-Music",
    task="choice",
    source=_SOURCE + "music",
    licence=_LICENCE,
    citation=_CITATION,
    counts=(),
    items=partial(read, category="music"),
    files=("test.parquet",),
    prompt_id="benchmark_choice",
    measures=(
        BenchmarkMetric(
            "official",
            "official",
            closed_official,
            "the option nearest to the output by NV-Embed-v2 embeddings (needs --embeddings)",
        ),
        strict_choice(),
    ),
    embeds_answers=True,
)
OPEN = Benchmark(
    name="mmau_pro_open",
    title="MMAU-Pro (open questions)",
    task="open",
    source=_SOURCE + "open",
    licence=_LICENCE,
    citation=_CITATION,
    counts=(),
    items=partial(read, category="open"),
    files=("test.parquet",),
    prompt_id="benchmark_open",
    measures=(
        BenchmarkMetric(
            "overall",
            "own",
            open_overall,
            "a judge's overall, 1 to 5, read as published (what it leaves out counts 3); our prompt, so not official",
            1.0,
        ),
        BenchmarkMetric(
            "strict", "strict", open_strict, "mean of the judge's four criteria, all of which must be read", 1.0
        ),
    ),
    judges=(JUDGE,),
)
