"""MMAR, music: deep reasoning over real recordings (Ma et al. 2025), multiple choice, graded as MMAU is.

Seven of its 206 music questions have options whose words are the same in another order: the official score takes
either for right, the strict one only the right one.
"""

from pathlib import Path

from music_flamingo.evaluation.benchmarks.base import (
    AudioIndex,
    Benchmark,
    BenchmarkItem,
    index_of,
    options_of,
    read_json,
    read_json_lines,
    require_fields,
    require_file,
    rows_in,
    strict_choice,
)
from music_flamingo.evaluation.benchmarks.mmau import OFFICIAL

_FIELDS = ("id", "audio_path", "question", "choices", "answer", "modality", "category", "sub-category")


def read(folder: Path) -> list[BenchmarkItem]:
    """Read the questions about music."""
    path = require_file(folder, "MMAR-meta.jsonl", "MMAR-meta.json")
    audio = AudioIndex(folder)
    items = []
    rows = read_json_lines(path) if path.suffix == ".jsonl" else rows_in(read_json(path), path)
    for number, row in enumerate(rows):
        require_fields(row, _FIELDS, path)
        if row["modality"] != "music":
            continue
        name, options = str(row["id"]), options_of(row["choices"], str(row["id"]), path)
        items.append(
            BenchmarkItem(
                id=f"{name}#{number}",  # a clip can be asked about twice
                audio=(audio.find(row["audio_path"], name),),
                question=row["question"],
                options=options,
                reference=str(row["answer"]),
                answer_index=index_of(str(row["answer"]), options, name),
                groups=(("category", row["category"]), ("skill", row["sub-category"])),
                source_ids=(name, name.split("_00-")[0]),
            )
        )
    return items


BENCHMARK = Benchmark(
    name="mmar_music",
    title="MMAR (music)",
    task="choice",
    source="github.com/ddlBoJack/MMAR, MMAR-meta.jsonl and audio/; modality = music",
    licence="none stated in the repository that was read; audio under the terms of its sources",
    citation="Ma et al., MMAR: A Challenging Benchmark for Deep Reasoning in Speech, Audio, Music, and Their Mix, 2025",
    counts=(206,),
    items=read,
    files=("MMAR-meta.jsonl", "MMAR-meta.json"),
    prompt_id="benchmark_choice",
    measures=(OFFICIAL, strict_choice()),
)
