"""Are the steps of a chain right? Judged by what the model after SFT hears (paper, section on MF-Think).

A step's confidence is the model's probability of the claimed option in the claim's own question. A step of evidence
must reach `right_above`. The step that states the answer is held to the lower `answer_right_above`: a question chosen
because the model misses it has a doubtful answer by definition, and only an answer that the model all but rules out
is taken for a wrong label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.records import Step


class StepLimits(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    right_above: float = Field(ge=0, le=1)
    """A claim is right from this probability on."""
    answer_right_above: float = Field(ge=0, le=1)
    """The answer of the question itself is right from this probability on."""
    restate_above: float = Field(ge=0, le=1)
    """From this probability on the model may overrule a tool that is less sure than it."""
    max_wrong_fraction: float = Field(ge=0, le=1)
    """A chain with more wrong steps than this is discarded (paper: 0.30)."""
    max_words: int = Field(ge=1)
    """A chain may not be longer (paper: 250)."""


@dataclass(frozen=True)
class Heard:
    """What the model makes of one question: a probability for each option."""

    probabilities: Mapping[str, float]

    @property
    def best(self) -> str:
        return max(self.probabilities, key=lambda option: (self.probabilities[option], option))


def judge(steps: Sequence[Step], family: str, heard: Mapping[str, Heard], limits: StepLimits) -> list[Step]:
    """The steps with verdict and confidence. A step that claims nothing audible stays unchecked."""
    return [_judge(step, family, heard, limits) for step in steps]


def _judge(step: Step, family: str, heard: Mapping[str, Heard], limits: StepLimits) -> Step:
    if step.family not in heard:
        return step.model_copy(update={"verdict": "unchecked", "confidence": 0.0})
    probability = heard[step.family].probabilities.get(step.claim, 0.0)
    least = limits.answer_right_above if step.family == family else limits.right_above
    verdict = "right" if probability >= least else "wrong"
    return step.model_copy(update={"verdict": verdict, "confidence": round(probability, 6)})


def reason_to_discard(steps: Sequence[Step], family: str, limits: StepLimits) -> str | None:
    """`too_long`, `too_many_wrong_steps`, `answer_contradicted`; None for a chain that is right or can be mended."""
    if sum(len(step.text.split()) for step in steps) >= limits.max_words:
        return "too_long"
    wrong = [step for step in steps if step.verdict == "wrong"]
    if len(wrong) > limits.max_wrong_fraction * len(steps):
        return "too_many_wrong_steps"
    return "answer_contradicted" if any(step.family == family for step in wrong) else None
