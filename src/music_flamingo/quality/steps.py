"""Verify the steps of a chain of thought with the SFT model (paper, section on MF-Think).

A step is checked in one of two ways. Where it names a claim (`drums`: `yes`), its confidence is the model's probability
of that option in the claim's own question. Where it is in free words and `yes_no` is asked for, it is the model's
probability of yes when the sentence is put to it.

A step of evidence must reach `right_above`. The step that states the answer is held to the lower `answer_right_above`:
a question chosen because the model misses it has a doubtful answer by definition, and only an answer that the model all
but rules out is taken for a wrong label. It is the step that claims the question's own family, or else the last one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.quality.checks import CONTROL_TOKEN
from music_flamingo.quality.claims import reason_against_words
from music_flamingo.quality.metadata import mentions_metadata
from music_flamingo.records import Step

CheckBy = Literal["claims", "yes_no"]
"""`claims`: steps that name no claim stay unchecked; `yes_no`: these are put to the model as they stand."""


class StepLimits(BaseModel):
    """Probability thresholds and limits by which a step counts as right and a chain as kept."""

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
class OptionProbabilities:
    """What the model makes of one question: a probability for each option."""

    probabilities: Mapping[str, float]

    @property
    def best(self) -> str:
        """The most probable option; ties are broken by name."""
        return max(self.probabilities, key=lambda option: (self.probabilities[option], option))


def in_free_words(steps: Sequence[Step], heard: Mapping[str, OptionProbabilities]) -> list[str]:
    """The texts of the steps whose claim no question of `heard` can check, each once."""
    return list(dict.fromkeys(step.text for step in steps if step.family not in heard))


def judge(
    steps: Sequence[Step],
    family: str,
    heard: Mapping[str, OptionProbabilities],
    limits: StepLimits,
    affirmed: Mapping[str, float] | None = None,
) -> list[Step]:
    """The steps with verdict and confidence.

    `heard` are the track's questions by family, `affirmed` the probability of yes by text: a step in neither is
    unchecked.
    """
    concluding = _answer_step(steps, family, affirmed or {})
    judged = []
    for place, step in enumerate(steps):
        least = limits.answer_right_above if place == concluding else limits.right_above
        judged.append(_judge(step, heard, affirmed or {}, least))
    return judged


def _judge(step: Step, heard: Mapping[str, OptionProbabilities], affirmed: Mapping[str, float], least: float) -> Step:
    if step.family in heard:
        probability, checked_by = heard[step.family].probabilities.get(step.claim, 0.0), "claim"
    elif step.text in affirmed:
        probability, checked_by = affirmed[step.text], "yes_no"
    else:
        return step.model_copy(update={"verdict": "unchecked", "confidence": 0.0, "checked_by": None})
    verdict = "right" if probability >= least else "wrong"
    return step.model_copy(update={"verdict": verdict, "confidence": round(probability, 6), "checked_by": checked_by})


def _answer_step(steps: Sequence[Step], family: str, affirmed: Mapping[str, float]) -> int | None:
    """The place of the step that states the answer; None where no step does."""
    own = [place for place, step in enumerate(steps) if step.family == family]
    if own:
        return own[-1]
    return len(steps) - 1 if steps and steps[-1].text in affirmed else None


def reason_against_text(steps: Sequence[Step], limits: StepLimits, names: Iterable[str] = ()) -> str | None:
    """`no_steps`, `control_tokens`, `senseless_...`, `too_long`, `mentions_metadata`: reasons that need no listening.

    `names` are the track's title, artist and file name.
    """
    if not steps:
        return "no_steps"
    text = " ".join(step.text for step in steps)
    if CONTROL_TOKEN.search(text):
        return "control_tokens"
    if len(text.split()) >= limits.max_words:
        return "too_long"
    if reason := next(filter(None, (reason_against_words(step.text) for step in steps)), None):
        return reason
    return "mentions_metadata" if mentions_metadata(text, names) else None


def reason_to_discard(steps: Sequence[Step], family: str, limits: StepLimits) -> str | None:
    """`too_many_wrong_steps`, `answer_contradicted`; None for a chain that is right or can be mended."""
    wrong = [place for place, step in enumerate(steps) if step.verdict == "wrong"]
    if len(wrong) > limits.max_wrong_fraction * len(steps):
        return "too_many_wrong_steps"
    affirmed = {step.text: step.confidence for step in steps if step.checked_by == "yes_no"}
    return "answer_contradicted" if _answer_step(steps, family, affirmed) in wrong else None
