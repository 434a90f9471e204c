"""Every benchmark of the paper's table, one file each: BENCHMARKS maps names to definitions."""

from dataclasses import replace
from pathlib import Path

from music_flamingo.core.errors import UserError
from music_flamingo.evaluation.benchmarks import (
    gtzan,
    medley_solos,
    mmar,
    mmau,
    mmau_pro,
    muchomusic,
    musdb18_lyrics,
    music_avqa,
    music_instruct,
    musiccaps,
    nsynth,
    opencpop,
    rul_muchomusic,
    songcaps,
)
from music_flamingo.evaluation.benchmarks.base import Benchmark, BenchmarkItem, BenchmarkMetric, Grade, JudgeTask

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        mmau.MINI,
        mmau.FULL,
        mmau_pro.CLOSED,
        mmau_pro.OPEN,
        muchomusic.BENCHMARK,
        rul_muchomusic.BENCHMARK,
        rul_muchomusic.LEFT_OUT,
        mmar.BENCHMARK,
        music_instruct.LONG,
        music_instruct.SHORT,
        music_avqa.AUDIO,
        music_avqa.ALL,
        songcaps.BENCHMARK,
        nsynth.SOURCE,
        nsynth.INSTRUMENT,
        gtzan.BENCHMARK,
        medley_solos.BENCHMARK,
        musiccaps.BENCHMARK,
        opencpop.BENCHMARK,
        musdb18_lyrics.BENCHMARK,
    )
}


def find(name: str) -> Benchmark:
    """The benchmark of that name. Raises UserError listing all of them."""
    if name not in BENCHMARKS:
        raise UserError(f"there is no benchmark `{name}`. Benchmarks: {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]


def items_of(benchmark: Benchmark, folder: Path) -> list[BenchmarkItem]:
    """The items of the published files, each under an id of its own: one that comes again gets `#2`, `#3`.

    Raises UserError where there are none.
    """
    items = benchmark.items(folder)
    if not items:
        raise UserError(f"{folder} holds no item of {benchmark.name}: is it the published file? ({benchmark.source})")
    taken = {item.id for item in items}
    seen: set[str] = set()
    named = []
    for item in items:
        name, number = item.id, 2
        while name in seen or (name != item.id and name in taken):
            name, number = f"{item.id}#{number}", number + 1
        seen.add(name)
        named.append(item if name == item.id else replace(item, id=name))
    return named


def listing() -> str:
    """All benchmarks as text: what each is, where its files come from, its licence and its scores."""
    lines = []
    for b in BENCHMARKS.values():
        counts = " or ".join(map(str, b.counts)) or "as published"
        lines += [f"{b.name}: {b.title}, {counts} items", f"  files    {b.source}", f"  licence  {b.licence}"]
        lines += [f"  {m.name:8s} {m.rule}" for m in b.measures]
    return "\n".join(lines)


__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "BenchmarkItem",
    "BenchmarkMetric",
    "Grade",
    "JudgeTask",
    "find",
    "items_of",
    "listing",
]
