"""Great Expectations over MF-Skills as a whole: what no single example can show.

An expectation that fails with severity `critical` stops the stage; one of severity `warning` is shown in the data
docs. Great Expectations is imported when it is used: it takes seconds.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.core.errors import UserError
from music_flamingo.core.record import OK, Part
from music_flamingo.quality.checks import CONTROL_TOKEN, names_its_options
from music_flamingo.records.example import QuestionType, Skill
from music_flamingo.records.track import Split

if TYPE_CHECKING:
    import pandas as pd

Severity = Literal["critical", "warning"]
COLUMNS = ("id", "status", "track_id", "work_id", "split", "skill", "type", "family", "question", "options", "answer")
"""The columns of candidates that the expectations need."""


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


class Finding(Part):
    """One expectation and what was found."""

    name: str
    table: str
    column: str | None
    severity: Severity
    success: bool
    observed: str
    why: str


def frames(candidates: pa.Table) -> "dict[str, pd.DataFrame]":
    """The tables that the expectations look at, from the columns of kept and rejected examples together."""
    import pandas as pd

    everything = candidates.to_pandas()
    everything["kept"] = (everything["status"] == OK).astype(float)
    skills = everything[everything["kept"] == 1.0].reset_index(drop=True)
    work_splits = skills.groupby("work_id")["split"].nunique()
    skills["splits_of_work"] = skills["work_id"].map(work_splits)
    skills["answer_listed"] = [
        len(options) == 0 or answer in options
        for options, answer in zip(skills["options"], skills["answer"], strict=True)
    ]
    questions = skills[skills["skill"] != "caption"]
    drawn = [
        list(options).index(answer) / (len(options) - 1)
        for question, options, answer in zip(
            questions["question"], questions["options"], questions["answer"], strict=True
        )
        if len(options) > 1 and not names_its_options(question, options)
    ]
    rich = skills[skills["family"] == "rich_caption"]["answer"]
    per_track = questions.groupby("track_id").size()
    return {
        "candidates": everything[["id", "kept"]],
        "skills": skills.drop(columns=["options", "kept", "status"]),
        "drawn options": pd.DataFrame({"place": pd.Series(drawn, dtype=float)}),
        "rich captions": pd.DataFrame({"words": rich.str.split().str.len().astype(float)}),
        "tracks": pd.DataFrame({"questions": per_track.astype(float)}),
    }


@dataclass(frozen=True)
class Rule:
    """An expectation before Great Expectations sees it: its class there, and what it is told."""

    table: str
    expectation: str
    severity: Severity
    why: str
    arguments: Mapping[str, object]


def find(candidates: pa.Table, expected: Expected) -> list[Finding]:
    """Every expectation, in a fixed order, with what was found."""
    # before the import: the library reports its use over the network unless told not to
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("music_flamingo")
    tables = frames(candidates)
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


def _clean(column: str) -> list[Rule]:
    markup = f"(?i){CONTROL_TOKEN.pattern}"
    return [
        _must("ExpectColumnValuesToNotBeNull", "no example without words", column=column),
        _must("ExpectColumnValueLengthsToBeBetween", "no example without words", column=column, min_value=1),
        _must("ExpectColumnValuesToNotMatchRegex", "no markup in texts to train on", column=column, regex=markup),
    ]


def _covers(column: str, values: tuple[str, ...]) -> Rule:
    arguments = {"column": column, "value_set": list(values)}
    return Rule("skills", "ExpectColumnDistinctValuesToContainSet", "warning", f"every {column} is taught", arguments)


def _mean(table: str, severity: Severity, why: str, column: str, low: float, high: float | None) -> Rule:
    arguments = {"column": column, "min_value": low, "max_value": high}
    return Rule(table, "ExpectColumnMeanToBeBetween", severity, why, arguments)


def _finding(table: str, result: dict[str, Any]) -> Finding:
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
    return Finding(
        name=config["type"],
        table=table,
        column=config["kwargs"].get("column"),
        severity=config["severity"],
        success=result["success"],
        observed=observed,
        why=config["notes"],
    )


def require(findings: list[Finding], where: str) -> None:
    """Raise UserError naming every critical expectation that failed."""
    failed = [f for f in findings if f.severity == "critical" and not f.success]
    if failed:
        lines = [f"  {f.name} on {f.table}.{f.column or 'rows'} ({f.why}): {f.observed}" for f in failed]
        raise UserError(
            "the validated examples fail critical expectations:\n"
            + "\n".join(lines)
            + f"\nRead {where}, mend the teacher or the limits under `validate:` in params.yaml, and run it again."
        )


def tally(findings: list[Finding]) -> dict[str, int]:
    """How many expectations passed, and how many failed by severity."""
    return dict(Counter("passed" if f.success else f"failed_{f.severity}" for f in findings))
