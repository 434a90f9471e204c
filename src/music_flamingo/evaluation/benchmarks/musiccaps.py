"""MusicCaps, evaluation part: 2,858 clips of 10 s described by musicians (Agostinelli et al. 2023), by a judge."""

from pathlib import Path

from music_flamingo.evaluation.benchmarks.base import (
    AudioIndex,
    Benchmark,
    BenchmarkItem,
    is_true,
    read_csv,
    require_fields,
    require_file,
)
from music_flamingo.evaluation.benchmarks.judged import judged
from music_flamingo.evaluation.benchmarks.music_instruct import JUDGE, JUDGE_1_5

QUESTION = "Describe this music in detail: genre, instruments, voices, tempo, mood, and how it is recorded."


def read(folder: Path) -> list[BenchmarkItem]:
    """Read the clips of the evaluation part with their captions."""
    path = require_file(folder, "musiccaps-public.csv", "musiccaps.csv")
    audio, items = AudioIndex(folder), []
    for row in read_csv(path):
        require_fields(row, ("ytid", "start_s", "end_s", "caption", "is_audioset_eval"), path)
        if not is_true(row["is_audioset_eval"]):
            continue
        ytid, start, end = row["ytid"], row["start_s"], row["end_s"]
        items.append(
            BenchmarkItem(
                id=ytid,
                audio=(audio.find(f"audio/{ytid}.wav", f"[{ytid}]-[{start}-{end}]", f"{ytid}_{start}_{end}"),),
                question=QUESTION,
                reference=row["caption"],
                groups=(("balanced", str(is_true(row.get("is_balanced_subset", "")))),),
                source_ids=(ytid,),
            )
        )
    return items


BENCHMARK = Benchmark(
    name="musiccaps",
    title="MusicCaps",
    task="caption",
    source="Hugging Face google/MusicCaps, musiccaps-public.csv; is_audioset_eval; clips as audio/<ytid>.wav",
    licence="CC BY-SA 4.0 (captions); audio under the terms of its sources",
    citation="Agostinelli et al., MusicLM: Generating Music From Text, 2023",
    counts=(2858,),
    items=read,
    files=("musiccaps-public.csv", "musiccaps.csv"),
    prompt_id="benchmark_open",
    measures=(judged(JUDGE), judged(JUDGE_1_5)),
    judges=(JUDGE, JUDGE_1_5),
)
