"""Rollout statistics: mean rewards by part and family for the log, and the answers for reading.

The records of a step are one file in the trainer's folder, so that an interrupted run writes each again or keeps it.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from music_flamingo.core.lines import lines_of
from music_flamingo.core.shards import write_atomic
from music_flamingo.records.rollout import ROLLOUTS_NAME, Rollout, SampledAnswer
from music_flamingo.training.data.items import TrainingItem

FOLDER = "rollouts"


@dataclass(frozen=True)
class RolloutBatch:
    """One draw, of all ranks: G answers to each question, question by question."""

    items: Sequence[TrainingItem]
    said: Sequence[Sequence[int]]
    """Token ids of each answer."""
    parts: Mapping[str, Sequence[float | None]]
    """Part of the reward -> what each answer earned; None where the part does not apply."""
    advantages: Sequence[float]


def rollouts_of(drawn: RolloutBatch, step: int, read: Callable[[Sequence[int]], str]) -> list[Rollout]:
    """A record for each question."""
    size = len(drawn.said) // len(drawn.items)
    return [
        Rollout(
            id=f"{step}/{item.id}",
            step=step,
            example_id=item.id,
            track_id=item.track_id,
            family=item.family,
            question=item.prompt,
            reference=item.reference,
            answers=[_answer(drawn, i, read) for i in range(n * size, (n + 1) * size)],
        )
        for n, item in enumerate(drawn.items)
    ]


def _answer(drawn: RolloutBatch, at: int, read: Callable[[Sequence[int]], str]) -> SampledAnswer:
    parts = {part: values[at] for part, values in drawn.parts.items()}
    applying = [value for value in parts.values() if value is not None]
    return SampledAnswer(
        text=read(drawn.said[at]),
        num_tokens=len(drawn.said[at]),
        reward=sum(applying) if applying else None,
        advantage=drawn.advantages[at],
        **parts,
    )


def measures(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """`group_std`: mean spread within the groups; `right/FAMILY`: mean of accuracy or structured reward."""
    right: defaultdict[str, list[float]] = defaultdict(list)
    spreads = []
    for rollout in rollouts:
        rewards = [answer.reward for answer in rollout.answers if answer.reward is not None]
        if len(rewards) > 1:
            spreads.append(statistics.stdev(rewards))
        for answer in rollout.answers:
            right[rollout.family] += [v for v in (answer.accuracy, answer.structured) if v is not None]
    by_family = {f"right/{family}": statistics.mean(values) for family, values in sorted(right.items()) if values}
    return {**({"group_std": statistics.mean(spreads)} if spreads else {}), **by_family}


def is_kept(step: int, every: int) -> bool:
    """The first step and every `every`-th; none with 0."""
    return every > 0 and (step == 1 or step % every == 0)


def keep(work: Path, step: int, rollouts: Iterable[Rollout]) -> None:
    """Write the rollouts of one step as JSON lines into the trainer's folder, atomically."""
    folder = work / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / f"step-{step:06d}.jsonl", "".join(r.model_dump_json() + "\n" for r in rollouts))


def collect(work: Path, out: Path) -> int:
    """All kept steps in one file; gives the number of roll-outs."""
    steps = sorted((work / FOLDER).glob("step-*.jsonl"))
    lines = [line for path in steps for line in lines_of(path.read_text(encoding="utf-8"))]
    write_atomic(out / ROLLOUTS_NAME, "".join(line + "\n" for line in lines))
    return len(lines)
