"""How long scoring takes: no model, no judge, only grades, groups, intervals and files.

    python benchmarks/scoring.py              100,000 predictions over all kinds of benchmark

Predictions are drawn by seed: letters, sentences, echoed options, thoughts, nothing, other languages; transcripts with
errors. Bar: under 60 s and 2 GB. Writes a dated table to benchmarks/results.
"""

import argparse
import os
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from published import publish

from music_flamingo import __version__
from music_flamingo.evaluation.benchmarks import BENCHMARKS, Benchmark, BenchmarkItem
from music_flamingo.evaluation.grading import ItemAnswer, grade_all
from music_flamingo.evaluation.judges import prompts_of
from music_flamingo.evaluation.outcome import EvaluationRun, Outcome, outcome_of, write_outcome

MAX_S, MAX_GB = 60.0, 2.0
SHARES = {
    "mmau_music_mini": 0.15,
    "mmar_music": 0.1,
    "muchomusic": 0.15,
    "rul_muchomusic": 0.15,
    "music_avqa": 0.1,
    "nsynth_instrument": 0.1,
    "gtzan": 0.1,
    "opencpop": 0.05,
    "musdb18_lyrics": 0.02,
    "musiccaps": 0.08,
}
WORDS = (
    *("slow", "fast", "harp", "violin", "drums", "minor", "major", "chords", "melody", "sings", "night", "love"),
    *("rain", "river", "road", "home", "light", "never"),
)
CHINESE = "我把一切都给你风吹过山岗月亮照着河流明天我们再唱一首歌"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=int, default=100_000)
    arguments = parser.parse_args()
    lines = ["| benchmark | predictions | s | strict or judged, % or points |", "|---|---:|---:|---:|"]
    started, cpu_started = time.perf_counter(), time.process_time()
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, share in SHARES.items():
            count = round(share * arguments.predictions)
            before = time.perf_counter()
            outcome = score(BENCHMARKS[name], count, Path(folder) / name)
            total += count
            lines.append(f"| {name} | {count} | {time.perf_counter() - before:.1f} | {_shown(outcome)} |")
            print(lines[-1], flush=True)
    spent_s = time.perf_counter() - started
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    cpu_s = time.process_time() - cpu_started
    lines += [
        "",
        f"{total} predictions in {spent_s:.1f} s ({cpu_s:.1f} s of CPU time), {peak_gb:.2f} GB at most "
        f"(bar: {MAX_S:g} s, {MAX_GB:g} GB). Load average of the machine: {os.getloadavg()[0]:.1f}.",
    ]
    publish("scoring", "Scoring", lines, notes=["one thread"])
    sys.exit(spent_s > MAX_S or peak_gb > MAX_GB)


def score(benchmark: Benchmark, count: int, folder: Path) -> Outcome:
    """Draw `count` answers, then grade them and write everything that an evaluation writes."""
    rng = random.Random(f"{benchmark.name}:0")
    answered = [ItemAnswer(_item(benchmark, i, rng), "audio", "") for i in range(count)]
    answered = [ItemAnswer(a.item, a.condition, _output(benchmark, a.item, rng)) for a in answered]
    judge = [task.name for task in benchmark.judges]
    replies = {("audio", a.item.id): dict.fromkeys(judge, f'{{"score": {rng.randrange(12)}}}') for a in answered}
    graded = grade_all(benchmark, answered, replies if judge else {})
    outcome = outcome_of(benchmark, _run(benchmark, count), graded)
    write_outcome(folder, outcome, graded)
    return outcome


def _item(benchmark: Benchmark, number: int, rng: random.Random) -> BenchmarkItem:
    options = [" ".join(rng.sample(WORDS, rng.randrange(1, 4))) for _ in range(5 if "rul" in benchmark.name else 4)]
    place = rng.randrange(len(options))
    reference = options[place]
    if benchmark.name == "opencpop":
        reference = "".join(rng.choices(CHINESE, k=12))
    elif benchmark.name == "musdb18_lyrics":
        reference = " ".join(rng.choices(WORDS, k=200))
    elif benchmark.name == "music_avqa":
        reference = rng.choice(["yes", "no", "two", "violin", "acoustic_guitar"])
    closed = benchmark.task == "choice"
    order = [i + (i < place) for i in range(len(options))]
    order[place] = 0
    return BenchmarkItem(
        id=str(number),
        audio=(f"{number // 2}.wav",),
        question="What is heard?",
        options=tuple(options) if closed else (),
        reference=reference,
        answer_index=place if closed else None,
        groups=(("category", str(number % 3)), ("skill", str(number % 10))),
        order=tuple(order),
    )


def _output(benchmark: Benchmark, item: BenchmarkItem, rng: random.Random) -> str:
    said = rng.choice(item.options) if item.options else (item.reference or "")
    if benchmark.task == "transcript":
        said = "".join(c for c in said if rng.random() > 0.1)
    letter = rng.choice("ABCD")
    forms = (said, letter, f"({letter}) {said}", f"It is {said}.", f"The answer is {said}", f"[[{letter}]]", "",
             f"<think>{' '.join(rng.choices(WORDS, k=60))}</think><answer>{said}</answer>", "我听不出来。",
             " or ".join(item.options or (said, said)), f"<think>{said}")  # fmt: skip
    return rng.choice(forms)


def _run(benchmark: Benchmark, count: int) -> EvaluationRun:
    return EvaluationRun(
        benchmark=benchmark.name,
        model="drawn",
        model_digest="0" * 64,
        think=False,
        max_new_tokens=0,
        conditions=["audio"],
        seed=0,
        resamples=2000,
        limit=None,
        num_items=count,
        published_counts=[],
        num_without_recording=0,
        prompts=prompts_of(benchmark),
        package_version=__version__,
    )


def _shown(outcome: Outcome) -> str:
    row = next(r for r in outcome.rows if r.kind == "strict")
    if row.value is None:  # too many of the drawn replies are no score
        return "none"
    return f"{row.value:.1f} [{row.low:.1f}, {row.high:.1f}]"


if __name__ == "__main__":
    main()
