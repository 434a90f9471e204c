"""Does thinking pay, does GRPO pay? Composite questions about held-out pieces, put to every stage and to its control.

Their answers follow from the scores' truth. `direct` (plain answers, as much training) is what thinking is held
against, `longer` (the warm-up gone on with) what GRPO is held against. `joined` is the ceiling: the SFT model's answers
to the single questions, joined by logic. Differences are paired; intervals resample works.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from random import Random

from pydantic import BaseModel, ConfigDict, field_validator

from music_flamingo.core.ranges import Count
from music_flamingo.core.record import RecordPart
from music_flamingo.evaluation.intervals import accuracy_interval, difference_interval, marks_of
from music_flamingo.evaluation.items import ExamItem, Reference, answer_of, rng_of, spread_over_works
from music_flamingo.records import Prediction
from music_flamingo.records.prediction import Condition, Drawn
from music_flamingo.scoring.extract import split_thinking
from music_flamingo.scoring.families import (
    COMPOSITES,
    FAMILIES,
    Composite,
    FamilyNames,
    HeldOutCombinations,
    NamedPart,
    parts_asked,
    read_chain,
)

ALL = "all"
TAUGHT, HELD_OUT = "taught", "held_out"
"""Questions whose parts training asks about together, and those whose parts it never does."""
JOINED, SINGLE = "joined", "single"
PAIRS = (("warmup", "direct"), ("grpo", "direct"), ("grpo", "warmup"), ("grpo", "longer"), ("longer", "warmup"))
"""(model, what it is held against)."""

ThinkingKey = tuple[str, Condition, Drawn]
"""Model, what was played, and how its words were found."""


class ThinkingExam(BaseModel):
    """Which composite questions are put to the models."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    parts: FamilyNames
    """Single families that they are made of."""
    families: FamilyNames
    """Composite families."""
    per_track: Count
    """Questions of a family about one track, at most."""
    per_family: Count
    """Questions of a family, spread over works."""
    held_out: HeldOutCombinations | None
    """What `synthesize.composites.held_out` is: half of the questions are then about those that are held out, and none
    about those left to GRPO. Null: nobody asks which."""

    @field_validator("families")
    @classmethod
    def _composite(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in families if name not in COMPOSITES]:
            raise ValueError(f"no composite families: {', '.join(unknown)}. There are {', '.join(COMPOSITES)}.")
        return families


class ThinkingRow(RecordPart):
    """One model's accuracy (0 to 1) on one composite family, and its chains."""

    model: str
    condition: Condition
    drawn: Drawn
    family: str
    """A composite family; or `all`, or `taught` and `held_out`, the halves by what training asks about together."""
    num_items: int
    num_works: int
    accuracy: float
    low: float
    high: float
    whole: float | None
    """Share of the chains that check every part; None for answers without thinking."""
    faithful: float | None
    """Share of the answers that follow from their own chain."""


class ThinkingDifference(RecordPart):
    """Accuracy of `model` less that of `minus_model`, the same questions paired."""

    model: str
    minus_model: str
    drawn: Drawn
    family: str = ALL
    """A composite family, `all`, `taught` or `held_out`."""
    difference: float
    low: float
    high: float


class ThinkingResults(RecordPart):
    """Rows of the table, and what they come to."""

    rows: list[ThinkingRow]
    differences: list[ThinkingDifference]


def choose_composites(truths: Sequence[Reference], exam: ThinkingExam, seed: int) -> list[ExamItem]:
    """Composite questions answered by the truth, or by trusted facts: every work once before any comes twice. Where
    combinations are held out, half of each family is about those."""
    known = sorted(truths, key=lambda truth: truth.id)
    items: list[ExamItem] = []
    for name in exam.families:
        for half in (None,) if exam.held_out is None else (False, True):
            asked = (
                item
                for truth in spread_over_works(known, seed, name)
                for item in _about(truth, COMPOSITES[name], exam, half, seed)
            )
            most = exam.per_family if half is None else exam.per_family // 2
            items += sorted(islice(asked, most), key=lambda item: item.id)
    return items


def _about(
    truth: Reference, composite: Composite, exam: ThinkingExam, held_out: bool | None, seed: int
) -> list[ExamItem]:
    """Questions about one piece. `held_out`: of combinations that are held out, or that are taught; None: of any."""
    families = {name: FAMILIES[name] for name in exam.parts}
    heard = {name: answer for name, family in families.items() if (answer := answer_of(family, truth)) is not None}
    rng = rng_of(seed, composite.name, truth.id)
    count = exam.per_track if held_out is None else max(1, exam.per_track // 2)

    def wanted(parts: tuple[NamedPart, ...]) -> bool:
        if held_out is None or (rule := exam.held_out) is None:
            return True
        return rule.holds_out(parts) == held_out and not rule.leaves_to_grpo(parts)

    drawn = composite.draw_many(heard, families, count, Random(int(rng.integers(2**32))), wanted)
    first = count + 1 if held_out else 1
    return [
        ExamItem(truth.id, truth.work_id, composite.name, q.text, composite.options, q.answer, number=number)
        for number, q in enumerate(drawn, start=first)
    ]


def single_items(items: Sequence[ExamItem]) -> list[ExamItem]:
    """The single questions that composite ones are made of, each once a track. Their references are left empty: what
    is wanted is what the model hears."""
    wanted = {
        (item.track_id, item.work_id, part.family)
        for item in items
        for part in parts_asked(item.family, item.question) or ()
    }
    return [
        ExamItem(track, work, name, FAMILIES[name].question, FAMILIES[name].options, FAMILIES[name].options[0])
        for track, work, name in sorted(wanted)
    ]


def joined_by_logic(composite: Sequence[Prediction], single: Sequence[Prediction]) -> list[Prediction]:
    """What the answers to single questions come to: predictions of the model `joined`, in the order of `composite`."""
    heard: dict[str, dict[str, str]] = {}
    for prediction in single:
        if prediction.answer in prediction.options:
            heard.setdefault(prediction.track_id, {})[prediction.family] = str(prediction.answer)
    joined = []
    for asked in composite:
        parts = parts_asked(asked.family, asked.question) or ()
        answer = COMPOSITES[asked.family].follows(parts, heard.get(asked.track_id, {}))
        changes = {"model": JOINED, "output": answer or "", "answer": answer, "correct": answer == asked.reference}
        joined.append(asked.model_copy(update={"id": f"{JOINED}/{asked.id}", **changes}))
    return joined


def thinking_results(
    answers: Mapping[ThinkingKey, Sequence[Prediction]],
    resamples: int,
    seed: int,
    held_out: HeldOutCombinations | None = None,
) -> ThinkingResults:
    """Score every model, and each against what it is held against: all questions, each family and, where combinations
    are held out, what is taught and what is not."""
    rows = [
        _row(key, name, [p for p in predictions if belongs(p, name, held_out)], resamples, seed)
        for key, predictions in answers.items()
        for name in (*_parts_of(predictions, held_out), ALL)
    ]
    drawns: tuple[Drawn, ...] = ("greedy", "sampled")
    differences = [
        _difference(model, minus, drawn, name, answers, held_out, resamples, seed)
        for drawn in drawns
        for model, minus in PAIRS
        if (model, "audio", drawn) in answers and (minus, "audio", drawn) in answers
        for name in (ALL, *_parts_of(answers[model, "audio", drawn], held_out))
    ]
    return ThinkingResults(rows=rows, differences=differences)


def _parts_of(predictions: Sequence[Prediction], held_out: HeldOutCombinations | None) -> tuple[str, ...]:
    """What is scored apart from the whole: each family, and both halves where combinations are held out."""
    halves = (name for name in (TAUGHT, HELD_OUT) if any(belongs(p, name, held_out) for p in predictions))
    return (*dict.fromkeys(p.family for p in predictions), *halves)


def belongs(prediction: Prediction, name: str, held_out: HeldOutCombinations | None) -> bool:
    """Whether an answer counts in a row: of a family, of all, or of a half by what training asks about together."""
    if name in (TAUGHT, HELD_OUT):
        parts = parts_asked(prediction.family, prediction.question) or ()
        return held_out is not None and held_out.holds_out(parts) == (name == HELD_OUT)
    return name in (ALL, prediction.family)


def _row(key: ThinkingKey, family: str, predictions: Sequence[Prediction], resamples: int, seed: int) -> ThinkingRow:
    interval = accuracy_interval(marks_of(predictions), resamples, seed)
    model, condition, drawn = key
    whole, faithful = chains_of(predictions) if model not in (JOINED, "direct") else (None, None)
    return ThinkingRow(
        model=model,
        condition=condition,
        drawn=drawn,
        family=family,
        num_items=len(predictions),
        num_works=len({p.work_id for p in predictions}),
        accuracy=interval.value,
        low=interval.low,
        high=interval.high,
        whole=whole,
        faithful=faithful,
    )


def chains_of(predictions: Sequence[Prediction]) -> tuple[float, float]:
    """(share of whole chains, share of faithful answers) among answers to composite questions."""
    read = [
        read_chain(p.family, p.question, split_thinking(p.output)[0] or "", split_thinking(p.output)[1])
        for p in predictions
    ]
    known = [reading for reading in read if reading is not None]
    if not known:
        return 0.0, 0.0
    return sum(r.is_whole for r in known) / len(known), sum(r.is_faithful for r in known) / len(known)


def _difference(
    model: str,
    minus: str,
    drawn: Drawn,
    name: str,
    answers: Mapping[ThinkingKey, Sequence[Prediction]],
    held_out: HeldOutCombinations | None,
    resamples: int,
    seed: int,
) -> ThinkingDifference:
    ours, theirs = (
        marks_of([p for p in answers[one, "audio", drawn] if belongs(p, name, held_out)]) for one in (model, minus)
    )
    found = difference_interval(ours, theirs, resamples, seed)
    return ThinkingDifference(
        model=model,
        minus_model=minus,
        drawn=drawn,
        family=name,
        difference=found.value,
        low=found.low,
        high=found.high,
    )
