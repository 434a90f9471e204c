"""Sample GRPO rollouts, early and late: best and worst answers of the groups with the widest reward range."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from music_flamingo.core.errors import CorruptDataError
from music_flamingo.core.lines import lines_of
from music_flamingo.records.rollout import Rollout, SampledAnswer

GROUPS_PER_STEP = 3
LONGEST_TEXT = 600
"""Characters of an answer that are shown; the rest is said to be cut."""


@dataclass(frozen=True)
class Shown:
    """One answer: text, rewards by part, advantage."""

    text: str
    parts: str
    """`2.0 = 1.0 format + 1.0 accuracy`."""
    advantage: float


@dataclass(frozen=True)
class ShownGroup:
    """A question of a step with its shown answers."""

    step: int
    question: str
    reference: str
    shown: tuple[Shown, ...]
    """The best answer and the worst."""


def drawn(path: Path) -> list[ShownGroup]:
    """Groups of the first and of the last step kept; none where no roll-outs were kept."""
    steps = sorted({r.step for r in read(path)})
    chosen: list[ShownGroup] = []
    for step in dict.fromkeys([*steps[:1], *steps[-1:]]):
        here = (r for r in read(path) if r.step == step and r.spread > 0)
        chosen += [_group(r) for r in heapq.nlargest(GROUPS_PER_STEP, here, key=lambda r: (r.spread, r.id))]
    return chosen


def read(path: Path) -> Iterator[Rollout]:
    """Raises CorruptDataError naming the line that is no roll-out."""
    lines: Sequence[str] = lines_of(path.read_text(encoding="utf-8")) if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        try:
            yield Rollout.model_validate_json(line)
        except ValueError as error:
            raise CorruptDataError(f"{path}, line {number}: not a roll-out ({error}). Run `grpo` again.") from error


def _group(rollout: Rollout) -> ShownGroup:
    judged = [answer for answer in rollout.answers if answer.reward is not None]
    ends = (max(judged, key=_reward), min(judged, key=_reward))
    return ShownGroup(rollout.step, rollout.question, rollout.reference, tuple(_shown(a) for a in ends))


def _reward(answer: SampledAnswer) -> float:
    return answer.reward or 0.0


def _shown(answer: SampledAnswer) -> Shown:
    parts = {"format": answer.format, "accuracy": answer.accuracy, "structured": answer.structured}
    sum_of = " + ".join(f"{value:g} {name}" for name, value in parts.items() if value is not None)
    cut = " ... (cut here)" if len(answer.text) > LONGEST_TEXT else ""
    return Shown(answer.text[:LONGEST_TEXT] + cut, f"{_reward(answer):g} = {sum_of}", answer.advantage)
