"""RUL-MuchoMusic: MuChoMusic's questions with distractors that text alone cannot rule out (Zang et al. 2025).

Five options, the one-shot form. The authors ask for a noise control with every score.
"""

from pathlib import Path

from music_flamingo.evaluation.benchmarks.base import (
    AudioIndex,
    Benchmark,
    BenchmarkItem,
    BenchmarkMetric,
    Grade,
    Replies,
    permuted,
    read_json,
    require_fields,
    require_file,
    strict_choice,
)
from music_flamingo.scoring.official import rul_right
from music_flamingo.scoring.wrappings import without_thoughts

ORDER_SEED = 0


def read(folder: Path) -> list[BenchmarkItem]:
    """Read the questions with their distractors."""
    path = require_file(folder, "RUL-MuchoMusic.json")
    audio = AudioIndex(folder)
    items = []
    for item_id, row in read_json(path).items():
        require_fields(row, ("question", "correct_answer", "distractors"), path)
        item = BenchmarkItem(
            id=item_id,
            audio=(audio.find(f"audio/{item_id}.mp3"),),
            question=row["question"],
            options=(row["correct_answer"], *row["distractors"]),
            reference=row["correct_answer"],
            answer_index=0,
            source_ids=(item_id,),
            unit=str(row.get("caption") or item_id),
        )
        items.append(permuted(item, ORDER_SEED, "rul_muchomusic"))
    return items


def official(item: BenchmarkItem, output: str, replies: Replies) -> Grade:
    """Grade by RUL-MuchoMusic's published rule."""
    return Grade(float(rul_right(without_thoughts(output), item.reference or "", item.options)))


BENCHMARK = Benchmark(
    name="rul_muchomusic",
    title="RUL-MuchoMusic",
    task="choice",
    source="github.com/yongyizang/AreYouReallyListening, RUL-MuchoMusic.json; audio/<id>.mp3",
    licence="MIT (questions and code)",
    citation="Zang et al., Are You Really Listening? Boosting Perceptual Awareness in Music-QA Benchmarks, ISMIR 2025",
    counts=(1187,),
    items=read,
    prompt_id="benchmark_brackets",
    measures=(
        BenchmarkMetric(
            "official",
            "official",
            official,
            "the authors' example: last [[X]], else a phrase, else a named letter, else an option inside the text",
        ),
        strict_choice(),
    ),
)
