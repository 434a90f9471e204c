"""SongCaps: captions of whole songs, judged for coverage and correctness, 1 to 10, and by listeners (`mf ratings`).

The paper's own songs are not public. The format is this project's: songcaps.jsonl with {id, audio, reference} a line,
`audio` a path relative to the file; optional `category` (a culture or genre).
"""

from pathlib import Path

from music_flamingo.evaluation.benchmarks.base import (
    AudioIndex,
    Benchmark,
    BenchmarkItem,
    JudgeTask,
    read_json_lines,
    require_fields,
    require_file,
)
from music_flamingo.evaluation.benchmarks.judged import judged

QUESTION = (
    "Describe this song in full: tempo, key and meter, instruments and production, voices and what they sing about, "
    "its form section by section, its harmony, and its mood."
)
COVERAGE = JudgeTask("coverage", "judge_coverage", 1, 10)
CORRECTNESS = JudgeTask("correctness", "judge_correctness", 1, 10)


def read(folder: Path) -> list[BenchmarkItem]:
    """Read the songs with their reference captions."""
    path = require_file(folder, "songcaps.jsonl")
    audio, items = AudioIndex(folder), []
    for row in read_json_lines(path):
        require_fields(row, ("id", "audio", "reference"), path)
        items.append(
            BenchmarkItem(
                id=str(row["id"]),
                audio=(audio.find(row["audio"]),),
                question=QUESTION,
                reference=row["reference"],
                groups=(("category", row["category"]),) if row.get("category") else (),
                source_ids=(str(row["id"]), Path(row["audio"]).stem),
            )
        )
    return items


BENCHMARK = Benchmark(
    name="songcaps",
    title="SongCaps",
    task="caption",
    source="your own: songcaps.jsonl with {id, audio, reference} a line (the paper's songs are not public)",
    licence="that of your songs",
    citation="the format of this project",
    counts=(),
    items=read,
    files=("songcaps.jsonl",),
    prompt_id="benchmark_open",
    measures=(judged(COVERAGE), judged(CORRECTNESS)),
    judges=(COVERAGE, CORRECTNESS),
)
