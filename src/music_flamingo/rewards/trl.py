"""Reward functions for TRL: one weighted value per output, None where a part does not apply.

TRL hands over token ids and the dataset's columns; `row` says which task an output is about. The ids are read here
and not by TRL, whose text hides chat marks: an answer that goes on into another turn must not look like a clean one.
"""

from collections.abc import Callable, Sequence

from music_flamingo.rewards.judge import PARTS, Rules, Task, part_of

RewardFunction = Callable[..., list[float | None]]
Reader = Callable[[Sequence[int]], str]
"""Token ids of an output -> its words, marks of the chat included, without the one mark that ends it."""


def reward_functions(tasks: Sequence[Task], rules: Rules, read: Reader) -> list[RewardFunction]:
    """One function a part, in the order of PARTS; TRL names its metrics after them."""
    return [_function(part, tasks, rules, read) for part in PARTS]


def _function(part: str, tasks: Sequence[Task], rules: Rules, read: Reader) -> RewardFunction:
    def reward(completion_ids: Sequence[Sequence[int]], row: Sequence[int], **columns: object) -> list[float | None]:
        rewards = []
        for ids, index in zip(completion_ids, row, strict=True):
            value = part_of(part, read(ids), tasks[index], rules)
            rewards.append(None if value is None else rules.weight(tasks[index], part) * value)
        return rewards

    reward.__name__ = part
    return reward
