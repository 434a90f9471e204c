"""Aggregate predictions into scores by model, condition and family, with differences and intervals.

`all` is the mean over families of questions, each counting the same (captions stand apart). Differences are paired:
the same questions, resampled together. They are written next to the scores (`evaluation.json`), so that a release is
judged by them and not by whether two intervals happen to overlap.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from music_flamingo.core.errors import MissingInputError
from music_flamingo.core.record import RecordPart
from music_flamingo.core.shards import write_atomic
from music_flamingo.evaluation.intervals import accuracy_interval, difference_interval, marks_of
from music_flamingo.evaluation.items import SEPARATOR
from music_flamingo.evaluation.thinking import ThinkingResults
from music_flamingo.records import Prediction, Score
from music_flamingo.records.prediction import Condition
from music_flamingo.scoring.families import SHORT_CAPTION

ALL = "all"
CONDITIONS: tuple[Condition, ...] = ("audio", "shuffled", "noise", "none")
CONTROLS: tuple[Condition, ...] = ("shuffled", "none")
"""Of every model; the release's gate stands on them."""
MODELS = ("sft", "warmup", "grpo")
EVALUATION_FILE = "evaluation.json"
NO_TRUTH = "no truth: evaluation skipped"

Answers = Mapping[tuple[str, Condition], Sequence[Prediction]]
"""(model, condition) -> its predictions, the same questions in the same order in each."""


class Difference(RecordPart):
    """Balanced accuracy of `model` with the true audio, less that of `minus_model` under `minus_condition`."""

    model: str
    minus_model: str
    minus_condition: Condition
    family: str
    difference: float
    low: float
    high: float


class Corpus(RecordPart):
    """What the models learned from and were asked about, counted."""

    train_tracks: int
    train_works: int
    test_tracks: int
    test_works: int
    works_by_tradition: dict[str, int]


class Evaluation(RecordPart):
    """What the scores table alone does not say."""

    note: str
    """Empty, or why there are no scores."""
    chance: dict[str, float]
    """Family -> what guessing scores."""
    differences: list[Difference]
    corpus: Corpus
    graded_by: Literal["truth", "facts"] = "truth"
    """`facts`: the source knows no truth, and answers were held against what tools measured on held-out recordings:
    agreement with the tools, no accuracy."""
    thinking: ThinkingResults | None = None
    """Of composite questions, where they were asked."""


def score_all(answers: Answers, resamples: int, seed: int) -> list[Score]:
    """A score for every model and condition: each family, then `all`."""
    return [
        _score(model, condition, family, _of_family(predictions, family), resamples, seed)
        for (model, condition), predictions in answers.items()
        for family in _families(predictions)
    ]


def chance_of(predictions: Sequence[Prediction]) -> dict[str, float]:
    """What the same words every time score in each family, by the answers that were asked for; `all` is their mean."""
    answers: dict[str, set[str]] = {}
    for prediction in predictions:
        answers.setdefault(prediction.family, set()).add(prediction.reference)
    chance = {family: _num_asked(family, found) / len(found) for family, found in answers.items()}
    questions = [value for family, value in chance.items() if family != SHORT_CAPTION]
    return {**chance, ALL: sum(questions) / len(questions)} if questions else chance


def _num_asked(family: str, references: Iterable[str]) -> int:
    """How many things an answer is judged on: one, or a caption's categories."""
    return len({r.partition(SEPARATOR)[0] for r in references}) if family == SHORT_CAPTION else 1


def differences(answers: Answers, resamples: int, seed: int) -> list[Difference]:
    """Each model against its controls, and each against every earlier stage of training, family by family."""
    models = list(dict.fromkeys(model for model, _ in answers))
    controls = [c for c in CONDITIONS if c != "audio"]
    pairs: list[tuple[str, str, Condition]]
    pairs = [(model, model, control) for model in models for control in controls if (model, control) in answers]
    pairs += [(later, earlier, "audio") for i, later in enumerate(models) for earlier in models[:i]]
    return [
        _difference(answers, model, minus_model, minus_condition, family, resamples, seed)
        for model, minus_model, minus_condition in pairs
        for family in _families(answers[model, "audio"])
    ]


def read_evaluation(scores: Path) -> Evaluation:
    """The summary next to the scores. Raises MissingInputError when there is none."""
    path = scores / EVALUATION_FILE
    if not path.is_file():
        raise MissingInputError(f"{path} is missing: delete {scores} and rerun the stage `evaluate`.")
    return Evaluation.model_validate_json(path.read_text())


def write_evaluation(scores: Path, evaluation: Evaluation) -> None:
    """Write the evaluation's summary into the scores port."""
    write_atomic(scores / EVALUATION_FILE, evaluation.model_dump_json(indent=1) + "\n")


def _score(
    model: str, condition: Condition, family: str, predictions: Sequence[Prediction], resamples: int, seed: int
) -> Score:
    interval = accuracy_interval(marks_of(predictions), resamples, seed)
    return Score(
        id=f"{model}/{condition}/{family}",
        model=model,
        condition=condition,
        family=family,
        num_items=len(predictions),
        num_works=len({p.work_id for p in predictions}),
        accuracy=interval.value,
        low=interval.low,
        high=interval.high,
        unparsed=sum(p.answer is None for p in predictions) / len(predictions),
    )


def _difference(
    answers: Answers,
    model: str,
    minus_model: str,
    minus_condition: Condition,
    family: str,
    resamples: int,
    seed: int,
) -> Difference:
    ours = marks_of(_of_family(answers[model, "audio"], family))
    theirs = marks_of(_of_family(answers[minus_model, minus_condition], family))
    interval = difference_interval(ours, theirs, resamples, seed)
    return Difference(
        model=model,
        minus_model=minus_model,
        minus_condition=minus_condition,
        family=family,
        difference=interval.value,
        low=interval.low,
        high=interval.high,
    )


def _families(predictions: Sequence[Prediction]) -> list[str]:
    """Those that were asked about, then `all` where there are questions."""
    names = list(dict.fromkeys(p.family for p in predictions))
    return [*names, ALL] if set(names) - {SHORT_CAPTION} else names


def _of_family(predictions: Sequence[Prediction], family: str) -> list[Prediction]:
    return [p for p in predictions if p.family == family or (family == ALL and p.family != SHORT_CAPTION)]
