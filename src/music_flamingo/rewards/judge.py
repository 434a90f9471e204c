"""Total reward of one output: the parts that apply to its task, and their weighted sum.

Questions earn format + accuracy, captions format + structured (paper). On request composite questions also earn for
chains whose answer follows from their checks and thoughts for seconds that hold, and any answer loses for what it
repeats. A part that does not apply, that has no weight or whose reference cannot be compared with is None: it is left
out of the sum and of every mean.
"""

from dataclasses import dataclass

from music_flamingo.records.chain import HeardClaim
from music_flamingo.records.example import Category
from music_flamingo.rewards.accuracy import accuracy_reward
from music_flamingo.rewards.faithful import faithful_reward
from music_flamingo.rewards.format import format_reward
from music_flamingo.rewards.repeated import repeated_reward
from music_flamingo.rewards.structured import StructuredForm, structured_reward
from music_flamingo.rewards.timed import timed_reward
from music_flamingo.scoring.answers import AnswerKind

PARTS = ("format", "accuracy", "structured", "faithful", "timed", "repeated")


@dataclass(frozen=True)
class Task:
    """What an output is compared with."""

    family: str
    is_caption: bool
    kind: AnswerKind
    reference: str
    options: tuple[str, ...]
    structured: tuple[Category, ...]
    question: str = ""
    """Its words: a composite question is read back from them."""
    heard: tuple[HeardClaim, ...] = ()
    """What was measured when: what the seconds of a thought are held against."""


@dataclass(frozen=True)
class Rules:
    """Weights of the reward's parts by task, the form of structured truth, and the limit of thinking in words."""

    weights: dict[str, dict[str, float]]
    """`question` and `caption` -> part -> weight; a part without a weight does not count."""
    structured_form: StructuredForm
    max_think_words: int | None

    def weight(self, task: Task, part: str) -> float:
        """Weight of a reward part for this task; 0.0 where the part does not apply."""
        return self.weights["caption" if task.is_caption else "question"].get(part, 0.0)


Parts = dict[str, float | None]
"""Part -> its reward before the weight, None where it does not apply."""


def parts_of(output: str, task: Task, rules: Rules) -> Parts:
    """Every part's reward. Never raises, whatever a model says."""
    return {part: part_of(part, output, task, rules) for part in PARTS}


def total(parts: Parts, task: Task, rules: Rules) -> float | None:
    """The weighted sum of the parts that apply; None where none does."""
    applying = [rules.weight(task, part) * value for part, value in parts.items() if value is not None]
    return sum(applying) if applying else None


def can_be_scored(task: Task, rules: Rules) -> bool:
    """False where no part will ever apply, so that a group about it could teach nothing."""
    return total(parts_of("", task, rules), task, rules) is not None


def part_of(part: str, output: str, task: Task, rules: Rules) -> float | None:
    """One part's reward before its weight; None where the part does not apply or has no weight."""
    if not rules.weight(task, part):
        return None
    if part == "format":
        return format_reward(output, rules.max_think_words)
    if part == "accuracy" and not task.is_caption:
        return accuracy_reward(output, task.kind, task.reference, task.options)
    if part == "structured" and task.is_caption:
        return structured_reward(output, task.structured, rules.structured_form)
    if part == "faithful" and not task.is_caption:
        return faithful_reward(output, task.family, task.question)
    if part == "repeated":
        return repeated_reward(output)
    if part == "timed" and not task.is_caption:
        return timed_reward(output, task.heard)
    return None
