"""Great Expectations over MF-Skills as a whole: properties that no single example shows.

An expectation that fails with severity `critical` stops the stage; one of severity `warning` is shown in the data
docs. Great Expectations is imported when it is used: it takes seconds.
"""

import json
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.core.errors import UserError
from music_flamingo.core.record import RecordPart
from music_flamingo.records.example import QuestionType, Skill
from music_flamingo.records.track import Split

if TYPE_CHECKING:
    import pandas as pd

Severity = Literal["critical", "warning"]
MEASURES = ("question_chars", "answer_chars", "question_markup", "answer_markup", "answer_listed")
"""Of each kept example; its texts themselves stay on disk."""


class Expected(BaseModel):
    """What the whole data set must be like."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    min_kept_fraction: float = Field(ge=0, le=1)
    """Below this a teacher is broken rather than careless."""
    max_place_shift: float = Field(ge=0, le=0.5)
    """How far the mean place of the answer among drawn options (0 first, 1 last) may lie from the middle."""
    balance_from_rows: int = Field(ge=1)
    """With fewer drawn questions the place is chance, and a shift is no more than a warning."""
    min_rich_words: float = Field(ge=0)
    """Mean length that rich captions should reach (paper: 452 words, of full songs)."""
    min_questions: float = Field(ge=0)
    """Questions a track should keep on average (paper: 12 to 20 before filtering)."""


class ExpectationResult(RecordPart):
    """One expectation and what was found."""

    name: str
    table: str
    column: str | None
    severity: Severity
    success: bool
    observed: str
    why: str


def frames(rows: pa.Table) -> "dict[str, pd.DataFrame]":
    """The tables that the expectations look at, from the narrow rows of kept and rejected examples together."""
    import pandas as pd

    kept = pc.equal(rows["reason"], "")
    skills = rows.filter(kept)
    texts = {name: _shared(skills[name]) for name in ("skill", "type", "split")}
    numbers = [n for n in ("id", *MEASURES) if n not in texts]
    is_question = pc.not_equal(skills["skill"], "caption")
    questions = skills.filter(is_question)
    drawn = questions.filter(pc.greater_equal(questions["place"], 0))
    place = drawn["place"].to_numpy() / np.maximum(drawn["num_options"].to_numpy() - 1, 1)
    rich = skills.filter(pc.equal(skills["family"], "rich_caption"))["answer_words"].to_numpy()
    _, per_track = np.unique(questions["track"].to_numpy(), return_counts=True)
    return {
        "candidates": pd.DataFrame({"kept": kept.to_numpy().astype(np.int8)}),
        "skills": pd.DataFrame(
            texts | {n: skills[n].to_numpy() for n in numbers} | {"splits_of_work": splits_of_work(skills)}
        ),
        "drawn options": pd.DataFrame({"place": place.astype(np.float32)}),
        "rich captions": pd.DataFrame({"words": rich.astype(float)}),
        "tracks": pd.DataFrame({"questions": per_track.astype(float)}),
    }


def _shared(column: pa.ChunkedArray) -> np.ndarray:
    """Texts as objects, each distinct text once in memory."""
    encoded = column.combine_chunks().dictionary_encode()
    names = np.array(encoded.dictionary.to_pylist(), dtype=object)
    return names[encoded.indices.to_numpy()] if len(names) else np.empty(0, dtype=object)


def splits_of_work(skills: pa.Table) -> np.ndarray:
    """Of each row, in how many splits its work occurs."""
    splits = np.unique(_shared(skills["split"]).astype(str), return_inverse=True)[1]
    works, place = np.unique(skills["work"].to_numpy(), return_inverse=True)
    found = np.zeros((len(works), splits.max(initial=-1) + 1), dtype=bool)
    found[place, splits] = True
    return found.sum(axis=1).astype(np.int8)[place]


@dataclass(frozen=True)
class Rule:
    """An expectation before Great Expectations sees it: its class there, and its arguments."""

    table: str
    expectation: str
    severity: Severity
    why: str
    arguments: Mapping[str, object]


def find(rows: pa.Table, expected: Expected) -> list[ExpectationResult]:
    """Every expectation, in a fixed order, with what was found in the narrow rows."""
    # before the import: the library reports its use over the network unless told not to
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)  # it sets INFO itself
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("music_flamingo")
    tables = frames(rows)
    findings = []
    for name, rules in groupby(_rules(tables, expected), key=lambda rule: rule.table):
        definition = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
        batch = definition.get_batch(batch_parameters={"dataframe": tables[name]})
        built = [
            getattr(gx.expectations, r.expectation)(severity=r.severity, notes=r.why, **r.arguments) for r in rules
        ]
        result = batch.validate(gx.ExpectationSuite(name=name, expectations=built))
        findings += [_finding(name, r.to_json_dict()) for r in result.results]
    return findings


def _rules(tables: "dict[str, pd.DataFrame]", expected: Expected) -> list[Rule]:
    balance: Severity = "critical" if len(tables["drawn options"]) >= expected.balance_from_rows else "warning"
    low, high = 0.5 - expected.max_place_shift, 0.5 + expected.max_place_shift
    return [
        _must("ExpectTableRowCountToBeBetween", "something is kept", min_value=1),
        _must("ExpectColumnValuesToBeUnique", "no example twice", column="id"),
        *_known("skill", get_args(Skill)),
        *_known("type", get_args(QuestionType)),
        *_known("split", get_args(Split)),
        *_clean("question"),
        *_clean("answer"),
        _must("ExpectColumnValuesToBeInSet", "the answer can be chosen", column="answer_listed", value_set=[True]),
        _must("ExpectColumnValuesToBeInSet", "no piece in two splits", column="splits_of_work", value_set=[1]),
        _covers("skill", get_args(Skill)),
        _covers("type", get_args(QuestionType)),
        _mean("candidates", "critical", "most candidates are kept", "kept", expected.min_kept_fraction, None),
        _mean("drawn options", balance, "the place of an answer says nothing", "place", low, high),
        _mean("rich captions", "warning", "rich captions are rich", "words", expected.min_rich_words, None),
        _mean("tracks", "warning", "a track gets questions enough", "questions", expected.min_questions, None),
    ]


def _must(expectation: str, why: str, **arguments: object) -> Rule:
    return Rule("skills", expectation, "critical", why, arguments)


def _known(column: str, values: tuple[str, ...]) -> list[Rule]:
    why = "only names that training knows"
    return [
        _must("ExpectColumnValuesToNotBeNull", why, column=column),
        _must("ExpectColumnValuesToBeInSet", why, column=column, value_set=list(values)),
    ]


def _clean(text: str) -> list[Rule]:
    return [
        _must("ExpectColumnValuesToBeBetween", "no example without words", column=f"{text}_chars", min_value=1),
        _must(
            "ExpectColumnValuesToBeInSet", "no markup in texts to train on", column=f"{text}_markup", value_set=[False]
        ),
    ]


def _covers(column: str, values: tuple[str, ...]) -> Rule:
    arguments = {"column": column, "value_set": list(values)}
    return Rule("skills", "ExpectColumnDistinctValuesToContainSet", "warning", f"every {column} is taught", arguments)


def _mean(table: str, severity: Severity, why: str, column: str, low: float, high: float | None) -> Rule:
    arguments = {"column": column, "min_value": low, "max_value": high}
    return Rule(table, "ExpectColumnMeanToBeBetween", severity, why, arguments)


def _finding(table: str, result: dict[str, Any]) -> ExpectationResult:
    config, found = result["expectation_config"], result["result"]
    if error := result["exception_info"].get("exception_message"):
        observed = f"could not be computed: {error}"
    elif "unexpected_count" in found:
        examples = json.dumps(found["partial_unexpected_list"][:3], ensure_ascii=False)[:200]
        observed = f"{found['unexpected_count']} of {found['element_count']} otherwise"
        observed += f", e.g. {examples}" if found["unexpected_count"] else ""
    elif "partial_missing_list" in found:
        observed = f"missing: {', '.join(sorted(found['partial_missing_list'])) or 'none'}"
    else:
        value = found.get("observed_value")
        observed = f"{value:.3f}" if isinstance(value, float) else str(value)
    return ExpectationResult(
        name=config["type"],
        table=table,
        column=config["kwargs"].get("column"),
        severity=config["severity"],
        success=result["success"],
        observed=observed,
        why=config["notes"],
    )


def require(findings: list[ExpectationResult], where: str) -> None:
    """Raise UserError naming every critical expectation that failed."""
    failed = [f for f in findings if f.severity == "critical" and not f.success]
    if failed:
        lines = [f"  {f.name} on {f.table}.{f.column or 'rows'} ({f.why}): {f.observed}" for f in failed]
        raise UserError(
            "the validated examples fail critical expectations:\n"
            + "\n".join(lines)
            + f"\nRead {where}, mend the teacher or the limits under `validate:` in params.yaml, and run it again."
        )


def tally(findings: Sequence[ExpectationResult]) -> dict[str, int]:
    """How many expectations passed, and how many failed by severity."""
    return dict(Counter("passed" if f.success else f"failed_{f.severity}" for f in findings))
