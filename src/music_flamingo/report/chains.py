"""What became of the chains of thought: kept as written, kept with steps rewritten, discarded under a reason."""

from collections import Counter
from dataclasses import dataclass

from music_flamingo.records import Chain
from music_flamingo.report.charts import Bar, bars
from music_flamingo.report.flow import Reason, reasons_of
from music_flamingo.report.run import Run, first_of_each


@dataclass(frozen=True)
class ChainGroup:
    reason: Reason
    examples: tuple[Chain, ...]


@dataclass(frozen=True)
class Chains:
    """What became of the chains, and of their steps."""

    paths: tuple[Bar, ...]
    steps: tuple[Bar, ...]
    num_kept: int
    num_discarded: int
    difficulty: tuple[Bar, ...]
    discarded: tuple[ChainGroup, ...]
    rewritten: tuple[Chain, ...]


def chains(run: Run, per_reason: int) -> Chains:
    whole = edited = discarded = 0
    verdicts: Counter[str] = Counter()
    difficulty: Counter[str] = Counter()
    rewritten: list[Chain] = []
    for chain in run.think.ok():
        has_edit = any(step.rewritten_from is not None for step in chain.steps)
        edited, whole = edited + has_edit, whole + (not has_edit)
        if has_edit and len(rewritten) < per_reason:
            rewritten.append(chain)
        difficulty[chain.difficulty] += 1
        verdicts.update(step.verdict for step in chain.steps)
    for chain in run.think_rejects:
        discarded += 1
        verdicts.update(step.verdict for step in chain.steps)
    examples = first_of_each(run.think_rejects, per_reason)
    return Chains(
        paths=bars({"kept as written": whole, "kept, with steps rewritten": edited, "discarded": discarded}),
        steps=bars({v: verdicts[v] for v in ("right", "wrong", "unchecked")}),
        num_kept=whole + edited,
        num_discarded=discarded,
        difficulty=bars(
            {
                "the fine-tuned model missed it": difficulty["model_missed"],
                "the teacher finds it worth explaining": difficulty["teacher_choice"],
            }
        ),
        discarded=tuple(ChainGroup(r, tuple(examples.get(r.name, []))) for r in reasons_of(run.think_rejects.manifest)),
        rewritten=tuple(rewritten),
    )
