"""Outcomes of the chains of thought: kept as written, kept with rewritten steps, or rejected by reason."""

from collections import Counter
from dataclasses import dataclass

from music_flamingo.core.record import QUARANTINED
from music_flamingo.records import Chain
from music_flamingo.report.charts import Bar, bars
from music_flamingo.report.flow import ReasonCount, reasons_of
from music_flamingo.report.ribbons import Ribbons, ribbons
from music_flamingo.report.run import ReportInputs, first_of_each


@dataclass(frozen=True)
class ChainGroup:
    """A reject reason with its count and some chains."""

    reason: ReasonCount
    examples: tuple[Chain, ...]


@dataclass(frozen=True)
class Chains:
    """What became of the chains, and of their steps."""

    paths: Ribbons
    """From why they were chosen to how they ended."""
    steps: tuple[Bar, ...]
    checked_by: tuple[Bar, ...]
    num_kept: int
    num_discarded: int
    discarded: tuple[ChainGroup, ...]
    rewritten: tuple[Chain, ...]


CHOSEN = {"model_missed": "the model missed it", "teacher_choice": "the teacher's choice"}
RIGHT_AT_FIRST, REWRITTEN = "right at first", "rewritten and right"
CHECKED = {"claim": "by its own question", "yes_no": "by yes or no", None: "not checked"}


def chains(run: ReportInputs, per_reason: int) -> Chains:
    """Summarise the chains with up to `per_reason` examples of each reject reason."""
    verdicts: Counter[str] = Counter()
    checked: Counter[str] = Counter()
    ends: Counter[tuple[str, str]] = Counter()
    rewritten: list[Chain] = []
    for chain in (*run.think.ok(), *run.think_rejects):
        verdicts.update(step.verdict for step in chain.steps)
        checked.update(CHECKED[step.checked_by] for step in chain.steps)
        ends[CHOSEN[chain.difficulty], _end(chain)] += 1
        if _end(chain) == REWRITTEN and len(rewritten) < per_reason:
            rewritten.append(chain)
    examples = first_of_each(run.think_rejects, per_reason)
    num_kept = sum(count for (_, end), count in ends.items() if end in (RIGHT_AT_FIRST, REWRITTEN))
    return Chains(
        paths=_drawn(ends),
        steps=bars({v: verdicts[v] for v in ("right", "wrong", "unchecked")}),
        checked_by=bars({label: checked[label] for label in CHECKED.values()}),
        num_kept=num_kept,
        num_discarded=ends.total() - num_kept,
        discarded=tuple(ChainGroup(r, tuple(examples.get(r.name, []))) for r in reasons_of(run.think_rejects.manifest)),
        rewritten=tuple(rewritten),
    )


def _end(chain: Chain) -> str:
    if not chain.is_ok:
        return chain.status.removeprefix(QUARANTINED).replace("_", " ")
    return REWRITTEN if any(step.rewritten_from is not None for step in chain.steps) else RIGHT_AT_FIRST


def _drawn(ends: Counter[tuple[str, str]]) -> Ribbons:
    """The kept above, then the reasons, the commonest first."""
    reasons: Counter[str] = Counter()
    for (_, end), count in ends.items():
        if end not in (RIGHT_AT_FIRST, REWRITTEN):
            reasons[end] += count
    order = [RIGHT_AT_FIRST, REWRITTEN, *sorted(reasons, key=lambda end: (-reasons[end], end))]
    tones = {end: "good" if end in (RIGHT_AT_FIRST, REWRITTEN) else "bad" for end in order}
    return ribbons({(chosen, end): ends[chosen, end] for end in order for chosen in CHOSEN.values()}, tones)
