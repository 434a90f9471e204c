"""The card of MF-Skills: how many questions and captions of each kind, by whom, from what, under what terms."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from music_flamingo.core.licences import Licence
from music_flamingo.core.ports import Table, Writer
from music_flamingo.core.shards import shard_paths, write_atomic
from music_flamingo.products.cards import figures
from music_flamingo.products.cards.croissant import write_croissant
from music_flamingo.products.cards.front_matter import CARD_NAME, SPLITS, front_matter
from music_flamingo.products.cards.parts import (
    card,
    made_section,
    music_section,
    reasons_section,
    teachers_section,
    tools_section,
    words_section,
)
from music_flamingo.products.cards.tables import crossed
from music_flamingo.records import Example, Facts, Track
from music_flamingo.records.example import QuestionType, Skill
from music_flamingo.sources.licences import CORPUS

TAGS = ("music", "audio", "question-answering", "music-theory")
LOADING = """```python
from datasets import load_dataset

skills = load_dataset("data/skills")["train"]              # questions and captions about training works
held_out = load_dataset("data/skills", "test")["test"]     # also: "dev"
rows = load_dataset("data/skills", "all")["rows"]          # every split, told apart by the column `split`
```

The audio lies in `data/tracks` under `track_id`; `music_flamingo.products.joined` joins the two while reading:

```python
from music_flamingo.products.joined import joined

for row in joined("data", "skills", "train"):
    row["audio"]["array"], row["audio"]["sampling_rate"], row["question"], row["answer"]
```"""
LIMITS = (
    "Facts are measured by tools and can be wrong; each carries its confidence, and what lies below the thresholds "
    "of `validate` was rejected.",
    "Questions follow fixed families: many ask the same of different recordings.",
    "Balance over regions, traditions and languages is that of the source: see the tables before you train.",
)


def write_skills_card(
    skills: Writer[Example],
    rejects: Writer[Example],
    inputs: tuple[Table[Track], Table[Facts], Table[Example]],
    config: Mapping[str, Any],
    licences: Sequence[Licence],
) -> None:
    """Write README.md and croissant.json next to the finished shards; `inputs` are tracks, facts and candidates."""
    tracks, facts, _ = inputs
    kept, refused = (figures.examples(shard_paths(w.root)) for w in (skills, rejects))
    manifests = [table.manifest for table in inputs]
    body = [
        *_kinds(kept),
        *words_section(kept.words),
        *reasons_section(refused.reasons, refused.rows, "rejects"),
        *teachers_section(kept.teachers),
        *music_section(figures.tracks(tracks.shards)),
        *tools_section(figures.tools(facts.shards)),
        *made_section(manifests, ("validate", config)),
    ]
    lead = f"{kept.rows} questions and captions about {kept.tracks} recordings: a row is one question with its answer."
    head = front_matter("MF-Skills", Example, kept.rows, TAGS)
    write_atomic(skills.root / CARD_NAME, head + card("MF-Skills", lead, LOADING, body, _limits(licences), licences))
    write_croissant(skills.root, "MF-Skills", lead, Example, licences)


def _limits(licences: Sequence[Licence]) -> tuple[str, ...]:
    """Those of rendered scores only where scores were rendered."""
    rendered = "Rendered scores are cleaner than recordings and carry no singing."
    return (*LIMITS, rendered) if CORPUS in licences else LIMITS


def _kinds(kept: figures.ExampleFigures) -> list[str]:
    families = sorted({family for family, _ in kept.family_split})
    return [
        "## Skills and types",
        "",
        *crossed(kept.skill_type, get_args(Skill), get_args(QuestionType)),
        "",
        "## Families and splits",
        "",
        *crossed(kept.family_split, families, SPLITS),
        "",
    ]
