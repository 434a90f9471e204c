"""The card of MF-Think: chains of thought, why each was chosen, results of the step checks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from music_flamingo.core.licences import Licence
from music_flamingo.core.ports import Table, Writer
from music_flamingo.core.shards import shard_paths, write_atomic
from music_flamingo.products.cards.croissant import write_croissant
from music_flamingo.products.cards.figures import count_words, grouped, reasons, stamps
from music_flamingo.products.cards.front_matter import CARD_NAME, SPLITS, front_matter
from music_flamingo.products.cards.parts import (
    card,
    made_section,
    reasons_section,
    teachers_section,
    words_section,
)
from music_flamingo.products.cards.tables import crossed, table
from music_flamingo.records import Chain, Example

TAGS = ("music", "audio", "chain-of-thought", "question-answering")
LOADING = """```python
from datasets import load_dataset

think = load_dataset("data/think")["train"]

from music_flamingo.products.joined import joined

for row in joined("data", "think", "train"):
    row["audio"]["array"], row["question"], row["thinking"], row["answer"]
```"""
LIMITS = (
    "The steps were checked by this run's own model after SFT, which mishears: `confidence` is its probability.",
    "A chain that holds can still give a wrong reason for a right answer.",
)


@dataclass
class ChainFigures:
    """Counts of the chains by family, difficulty, verdict, teacher and length."""

    rows: int = 0
    family_split: Counter[tuple[str, str]] = field(default_factory=Counter)
    difficulty: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    rewritten: int = 0
    """Chains with at least one rewritten step."""
    teachers: Counter[tuple[str, ...]] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    words: dict[str, Counter[int]] = field(default_factory=dict)


def count_chains(shards: Iterable[Path]) -> ChainFigures:
    """Count chains over shards, by columns."""
    found = ChainFigures()
    names = ["status", "family", "split", "difficulty", "thinking", "answer", "steps", "teacher"]
    for path in shards:
        rows = pq.read_table(path, columns=names)
        found.rows += len(rows)
        found.reasons.update(reasons(rows["status"]))
        found.teachers.update(stamps(rows["teacher"]))
        for group in grouped(rows.select(["family", "split"])):
            found.family_split[group["family"], group["split"]] += group["count_all"]
        found.difficulty.update(rows["difficulty"].to_pylist())
        for steps in rows["steps"].to_pylist():
            found.verdicts.update(step["verdict"] for step in steps)
            found.rewritten += any(step["rewritten_from"] is not None for step in steps)
        for name in ("thinking", "answer"):
            count_words(found.words, name, rows[name])
        count_words(found.words, "step", pc.struct_field(pc.list_flatten(rows["steps"]), "text"))
    return found


def write_think_card(
    think: Writer[Chain],
    think_rejects: Writer[Chain],
    skills: Table[Example],
    config: Mapping[str, Any],
    licences: Sequence[Licence],
) -> None:
    """Write README.md and croissant.json next to the finished shards."""
    kept, dropped = (count_chains(shard_paths(w.root)) for w in (think, think_rejects))
    families = sorted({family for family, _ in kept.family_split})
    body = [
        "## Families and splits",
        "",
        *crossed(kept.family_split, families, SPLITS),
        "",
        "## What became of the chains",
        "",
        *table(["path", "chains"], _paths(kept, dropped)),
        "",
        *table(["chosen because", "chains kept"], sorted(kept.difficulty.items())),
        "",
        *table(["verdict on a kept step", "steps"], sorted(kept.verdicts.items())),
        "",
        *words_section(kept.words),
        *reasons_section(dropped.reasons, dropped.rows, "think_rejects"),
        *teachers_section(kept.teachers),
        *made_section([skills.manifest], ("reason", config)),
    ]
    lead = f"{kept.rows} chains of thought: a row is a question of MF-Skills with its reasoning and its answer."
    head = front_matter("MF-Think", Chain, kept.rows, TAGS)
    write_atomic(think.root / CARD_NAME, head + card("MF-Think", lead, LOADING, body, LIMITS, licences))
    write_croissant(think.root, "MF-Think", lead, Chain, licences)


def _paths(kept: ChainFigures, dropped: ChainFigures) -> list[tuple[str, int]]:
    return [
        ("kept as written", kept.rows - kept.rewritten),
        ("kept with steps rewritten", kept.rewritten),
        ("discarded", dropped.rows),
    ]
