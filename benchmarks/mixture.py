"""Planning a run over a million samples in three sources: seconds, memory, shares held, nothing twice in an epoch.

    python benchmarks/mixture.py

Made-up questions about made-up recordings of 30 s to 30 min (speech: 2 to 20 s), windows of up to 15 min, a context of
24k, the published grid of 40 ms a token; no audio and no weights. Every source is drawn through one epoch at least.
Writes a dated table.
"""

import argparse
import random
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
from published import publish

from music_flamingo.core.hashing import sha256_json
from music_flamingo.model.context import MARKS, Hearing
from music_flamingo.model.size import TinySize
from music_flamingo.model.tiny import build_processor, build_tokenizer
from music_flamingo.training.data.audio import RecordingIndex
from music_flamingo.training.data.item_store import ItemStore
from music_flamingo.training.data.items import TrainingItem
from music_flamingo.training.data.mixture import TokenCounts, divided, mixed, shares, words_of
from music_flamingo.training.data.packing import Rows, filled
from music_flamingo.training.data.samples import WindowRule
from music_flamingo.training.data.schedule import TrainingSchedule

RATE_HZ = 16000
HEARING = Hearing(RATE_HZ, 160, 30.0, 1200.0, 24_576)
RULE = WindowRule("random", 900 * RATE_HZ, per_track=1)
MAX_TURNS, STRETCH = 4, 1000
SIZE = TinySize(
    width=32, encoder_layers=1, language_layers=1, heads=2, key_value_heads=2, feed_forward=64, vocabulary=512,
    mel_bins=32, fft_samples=400, hop_samples=160, window_s=30, max_audio_s=900, context_tokens=24_576, init_std=0.02,
)  # fmt: skip
QUESTION = "What happens between {start} and {end} seconds of this recording, and what is heard besides?"
ANSWER = "A {word} enters, then the drums rest for two bars and the harmony moves to the relative minor."
WORDS = ("guitar", "violin", "voice", "piano", "bass", "flute", "organ")


@dataclass(frozen=True)
class Made:
    """A source: of `samples` questions, a tenth name seconds."""

    name: str
    weight: float
    samples: int
    per_recording: int
    shortest_s: float
    longest_s: float
    is_about_all: bool = False

    @property
    def num_recordings(self) -> int:
        return -(-self.samples // self.per_recording)

    def lengths_s(self) -> np.ndarray:
        """Log-uniform: as many in each octave."""
        draws = np.random.default_rng(self.num_recordings).random(self.num_recordings)
        return self.shortest_s * (self.longest_s / self.shortest_s) ** draws

    def items(self) -> Iterator[TrainingItem]:
        lengths_s, rng = self.lengths_s(), random.Random(self.samples)
        for number in range(self.samples):
            recording = number // self.per_recording
            start_s = rng.random() * (lengths_s[recording] - 2)
            answer = ANSWER.format(word=rng.choice(WORDS))
            question = QUESTION.format(start=round(start_s), end=round(start_s) + 2)
            yield TrainingItem(
                id=f"{self.name}/{number:07d}",
                track_id=f"{self.name}/{recording:07d}",
                family=self.name,
                question=question,
                prompt=question,
                target=answer,
                reference=answer,
                options=(),
                structured=(),
                is_caption=False,
                spans_s=((start_s, start_s + 2),) if number % 10 == 0 and not self.is_about_all else (),
                is_about_all=self.is_about_all,
            )


def sources(scale: float) -> list[Made]:
    return [
        Made("skills", 1.0, round(700_000 * scale), 3, 30.0, 1800.0),
        Made("think", 3.0, round(100_000 * scale), 2, 30.0, 1800.0),
        Made("speech", 0.5, round(200_000 * scale), 2, 2.0, 20.0, is_about_all=True),
    ]


def listing(made: list[Made]) -> RecordingIndex:
    ids = [f"{s.name}/{n:07d}" for s in sorted(made, key=lambda s: s.name) for n in range(s.num_recordings)]
    lengths_s = np.concatenate([s.lengths_s() for s in sorted(made, key=lambda s: s.name)])
    return RecordingIndex(
        pa.array(ids, pa.large_string()), np.rint(lengths_s * RATE_HZ).astype(np.int64), np.ones(len(ids))
    )


class Clock:
    """Seconds and peak memory of each part."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self._last = time.monotonic()

    def __call__(self, what: str) -> None:
        now = time.monotonic()
        peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        self.rows.append(f"| {what} | {now - self._last:.1f} | {peak_gib:.2f} |")
        print(self.rows[-1], flush=True)
        self._last = time.monotonic()


def plan_of(made: list[Made], item_store: ItemStore, words: TokenCounts, clock: Clock | None) -> TrainingSchedule:
    """Lessons until each source has come to the end of its first epoch."""
    rngs = [random.Random(1) for _ in made]
    tables = divided(item_store, listing(made), HEARING, RULE, words, rngs, MAX_TURNS)
    if clock:
        clock("samples: windows by references, context, reasons")
    plan = TrainingSchedule(tables, item_store)
    parts = shares([u.num_samples for u in tables], [s.weight for s in made], 1.0, "bench")
    left = [u.num_samples for u in tables]
    for number in mixed(plan, rngs, parts):
        left[plan.source[number]] -= len(plan.rows_of(number))
        if max(left) <= 0:
            break
    if clock:
        clock(f"{len(plan):,} lessons drawn")
    return plan


def furthest_off(plan: TrainingSchedule, parts: list[float]) -> float:
    """Of any stretch: the most lessons by which a source misses its share."""
    of = np.frombuffer(plan.source, np.uint8)
    off = 0.0
    for number, part in enumerate(parts):
        counts = np.cumsum(of == number)
        in_stretch = counts[STRETCH:] - counts[:-STRETCH]
        off = max(off, float(np.abs(in_stretch - STRETCH * part).max()))
    return off


def twice(plan: TrainingSchedule, source: int) -> int:
    """Samples that came again before the source's epoch was over."""
    order = np.flatnonzero(np.frombuffer(plan.source, np.uint8) == source)
    asked = np.concatenate([plan.rows_of(int(n)) for n in order])
    size = plan.tables[source].num_samples
    return sum(len(e) - len(np.unique(e)) for e in (asked[i : i + size] for i in range(0, len(asked), size)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=2_000, help="rows of 24k tokens that are filled")
    arguments = parser.parse_args()
    made = sources(arguments.samples / 1_000_000)
    processor = build_processor(build_tokenizer([QUESTION, ANSWER, *WORDS] * 3, SIZE.vocabulary), SIZE, RATE_HZ)
    clock = Clock()
    clock("libraries")
    item_store = ItemStore.write([s.items() for s in made], {s.name: 1.0 for s in made}, "bench")
    clock(f"{len(item_store):,} samples made and written, {item_store.table.nbytes / 2**20:.0f} MiB")
    words = words_of(processor, item_store)
    plan = plan_of(made, item_store, words, clock)
    parts = shares([u.num_samples for u in plan.tables], [s.weight for s in made], 1.0, "bench")
    rows = Rows(plan, HEARING.context_tokens)

    def tokens(number: int) -> int:
        window = plan.window_of(number)
        return HEARING.audio_tokens(window.end - window.start) + MARKS + words.of_lesson(plan.rows_of(number), False)

    for row in islice(filled(iter(range(len(plan))), tokens, HEARING.context_tokens, 64), arguments.rows):
        rows.add(*row)
    clock(f"{len(rows):,} rows filled, {len(rows.lessons):,} lessons")
    again = plan_of(made, item_store, words, None)
    same = all(getattr(plan, name) == getattr(again, name) for name in ("source", "unit", "window", "rows"))
    table = [
        "| part | seconds | peak memory so far (GiB) |",
        "|---|---|---|",
        *clock.rows,
        "",
        "| source | weight | samples | part of the lessons: wanted | held | epochs | twice in an epoch | windows by "
        "references | quarantined |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for number, (source, table) in enumerate(zip(made, plan.tables, strict=True)):
        held = plan.num_lessons_by_source[number] / len(plan)
        epochs = plan.num_asked_by_source[number] / table.num_samples
        own, set_aside = sum(table.own_windows.values()), dict(table.set_aside) or 0
        table.append(
            f"| {source.name} | {source.weight} | {table.num_samples:,} | {parts[number]:.4f} | {held:.4f} "
            f"| {epochs:.2f} | {twice(plan, number)} | {own:,} | {set_aside} |"
        )
    table += [
        "",
        f"In any {STRETCH} lessons in a row no source misses its share by more than {furthest_off(plan, parts):.1f}. "
        f"Drawn a second time: {'the same' if same else 'ANOTHER'} order. "
        f"Rows of {HEARING.context_tokens:,} tokens: {rows.waste:.2%} empty, {rows.lessons_per_row:.1f} lessons each.",
    ]
    notes = [f"digest of the first rows: {sha256_json(rows.lessons[:1000].tolist())[:12]}", "one process"]
    publish("mixture", f"A plan over {len(item_store):,} samples", table, ("pyarrow", "numpy"), notes)


if __name__ == "__main__":
    main()
