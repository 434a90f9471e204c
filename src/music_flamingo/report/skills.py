"""Tables of MF-Skills: counts by skill and type, lengths of texts, counts by prompt."""

from dataclasses import dataclass
from typing import get_args

from music_flamingo.products.cards.figures import ExampleFigures, examples
from music_flamingo.products.cards.tables import Spread
from music_flamingo.records.example import QuestionType, Skill
from music_flamingo.report.run import ReportInputs


@dataclass(frozen=True)
class SkillRow:
    """Counts of one skill by type."""

    skill: str
    counts: tuple[int, ...]
    """In the order of the table's types."""
    total: int


@dataclass(frozen=True)
class PromptRow:
    """Kept and rejected examples of one prompt and teacher."""

    kind: str
    model: str
    prompt: str
    sha256: str
    kept: int
    rejected: int


@dataclass(frozen=True)
class SkillsTables:
    """All tables of the page on MF-Skills."""

    types: tuple[str, ...]
    rows: tuple[SkillRow, ...]
    totals: SkillRow
    words: tuple[tuple[str, Spread], ...]
    prompts: tuple[PromptRow, ...]


def skills_tables(run: ReportInputs) -> SkillsTables:
    """Compute the tables from the kept and rejected examples."""
    kept, rejected = examples(run.skills.shards), examples(run.rejects.shards)
    types = tuple(t for t in get_args(QuestionType) if any(kind == t for _, kind in kept.skill_type))
    rows = tuple(_row(kept, skill, types) for skill in get_args(Skill) if any(s == skill for s, _ in kept.skill_type))
    sums = tuple(sum(row.counts[k] for row in rows) for k in range(len(types)))
    return SkillsTables(
        types=types,
        rows=rows,
        totals=SkillRow("all", sums, kept.rows),
        words=tuple((name, Spread.of(counts)) for name, counts in sorted(kept.words.items())),
        prompts=_prompts(kept, rejected),
    )


def _row(kept: ExampleFigures, skill: str, types: tuple[str, ...]) -> SkillRow:
    counts = tuple(kept.skill_type[skill, kind] for kind in types)
    return SkillRow(skill, counts, sum(counts))


def _prompts(kept: ExampleFigures, rejected: ExampleFigures) -> tuple[PromptRow, ...]:
    stamps = sorted({*kept.teachers, *rejected.teachers})
    return tuple(
        PromptRow(kind, model, prompt, sha256, kept.teachers[stamp], rejected.teachers[stamp])
        for stamp in stamps
        for kind, model, _, prompt, sha256 in [stamp]
    )
