"""Rollout: the G answers sampled for one prompt at one step of GRPO, with rewards and advantages."""

from music_flamingo.core.record import Record, RecordPart

ROLLOUTS_NAME = "rollouts.jsonl"
"""In the folder of GRPO's model: a Rollout a line."""


class SampledAnswer(RecordPart):
    """One sampled answer: text, length in tokens, reward by part, and advantage."""

    text: str
    """The model's words, marks of the chat included; the mark that ends the turn is not."""
    num_tokens: int
    format: float | None
    accuracy: float | None
    structured: float | None
    faithful: float | None = None
    timed: float | None = None
    repeated: float | None = None
    """Each part times its weight; None where it does not apply."""
    reward: float | None
    """Their sum, None where no part applies."""
    advantage: float


class Rollout(Record):
    """`id` is `step/example`."""

    step: int
    example_id: str
    track_id: str
    family: str
    question: str
    reference: str
    answers: list[SampledAnswer]

    @property
    def spread(self) -> float:
        """Between the best and the worst reward; a group without spread teaches nothing."""
        rewards = [answer.reward for answer in self.answers if answer.reward is not None]
        return max(rewards) - min(rewards) if rewards else 0.0

    @property
    def has_spread(self) -> bool:
        """Whether its answers earned differently, beyond the rounding of a sum."""
        return self.spread >= 1e-6
