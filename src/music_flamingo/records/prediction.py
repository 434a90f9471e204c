"""Prediction: what a model answered, and how it was scored. Score: one cell of the results table."""

from typing import Literal

from music_flamingo.core.record import Record

Condition = Literal["audio", "shuffled", "noise", "none"]
"""The true audio; another track's audio with another answer; noise as long; no audio (silence)."""

Drawn = Literal["greedy", "sampled"]
"""The likeliest words, or words drawn at temperature 1, as GRPO draws them."""


class Prediction(Record):
    """One model's answer to one question under one condition, parsed and graded."""

    model: str
    """`sft`, `warmup`, `grpo`; in the exam of composite questions also `direct` and `longer` (controls) and `single`
    (the SFT model on the questions that they are made of)."""
    condition: Condition
    track_id: str
    """The track that the question and its reference are about."""
    work_id: str
    heard_track_id: str | None = None
    """The track that was played: another one under `shuffled`, None for noise and silence."""
    family: str
    question: str
    options: list[str]
    reference: str
    output: str
    """The model's words, untouched."""
    answer: str | None
    """What the parser took from them; None when nothing could be parsed."""
    correct: bool
    drawn: Drawn = "greedy"


class Score(Record):
    """Accuracy (0 to 1) with its 95 % interval for one model, condition and family."""

    model: str
    condition: Condition
    family: str
    num_items: int
    num_works: int
    accuracy: float
    """0 to 1; an unparsed answer is wrong."""
    low: float
    high: float
    """95 % bootstrap interval, resampling works."""
    unparsed: float
    """Fraction of outputs that gave no answer."""
