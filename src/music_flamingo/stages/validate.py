"""validate: what is kept of the candidates becomes MF-Skills, the rest is filed under its reason (paper, step 4).

Each example is held against the facts and against what else is said of its track, by rules; long texts against those
of all tracks; questions against what words alone give away; on request a teacher answers without the audio, and
another that hears it judges. The whole is held against expectations. Rejects are kept, counted and shown, a sample can
be reviewed by ear, and a failed critical expectation stops the stage. Times are seconds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from music_flamingo.core.licences import licences_of, united
from music_flamingo.core.parallel import pool_map
from music_flamingo.core.ports import Folder, OutputFolder, Table, Writer
from music_flamingo.core.progress import Progress
from music_flamingo.core.stage import NOT_IDENTITY, Metrics, Stage, StageConfig, StageTitle
from music_flamingo.products.cards.skills_card import write_skills_card
from music_flamingo.quality.checks import Limits
from music_flamingo.quality.expectations import ExpectationResult, Expected, find, require, tally
from music_flamingo.quality.near_texts import TextLimits
from music_flamingo.quality.overview import text_only
from music_flamingo.quality.passes import (
    Check,
    Decide,
    Repeats,
    ScratchFiles,
    Sort,
    TeacherVerdict,
    find_repeats,
    merge_words,
)
from music_flamingo.quality.publish import PAGE_NAME, ValidationInputs, write_docs
from music_flamingo.quality.review import ReviewConfig
from music_flamingo.quality.text_only import PriorConfig, right_beyond_chance
from music_flamingo.records import Example, Facts, Track, trusted
from music_flamingo.scoring.options import are_drawn
from music_flamingo.teachers import Teacher, TeacherConfig, TeacherFailedError, over_shards, teaching
from music_flamingo.teachers.audio_judge import JudgeConfig, is_drawn, judge_example
from music_flamingo.teachers.blind_baseline import TextOnlyConfig, guess_without_audio

Job = TypeVar("Job")


class ValidateConfig(StageConfig):
    """Parameters of `validate`."""

    limits: Limits
    over_tracks: TextLimits | None
    """When long texts of different tracks are the same; null compares within a track alone."""
    text_only: PriorConfig | TextOnlyConfig | None = Field(discriminator="kind")
    """Who answers without the audio: a classifier of words, a teacher, or nobody."""
    judge: JudgeConfig | None
    """Who hears the audio and rates what is left; null for nobody."""
    expected: Expected
    review: ReviewConfig
    workers: int = Field(ge=1, json_schema_extra=NOT_IDENTITY)

    @model_validator(mode="after")
    def _heard_by_somebody(self) -> "ValidateConfig":
        if self.limits.unmeasured_claims == "keep_for_judge" and (self.judge is None or self.judge.fraction < 1):
            raise ValueError("unmeasured_claims: keep_for_judge needs a judge that hears every example (fraction: 1)")
        return self


Heard = tuple[Example, str, Track | None, Facts | None]
"""An example, the reason against it so far, and what it speaks of."""


def read_without_audio(config: TextOnlyConfig, teacher: Teacher, heard: Heard) -> TeacherVerdict:
    """A closed question is not asked: worded alike for all tracks, it can give none of its answers away."""
    example, reason, _, _ = heard
    if reason or len(example.options) < 2 or not are_drawn(example.question, example.options):
        return TeacherVerdict(reason, None)
    try:
        num_right = guess_without_audio(teacher, config, example)
    except TeacherFailedError as error:
        return TeacherVerdict(error.reason, None)
    beyond_chance = right_beyond_chance(num_right, config.tries, 1 / len(example.options)) <= config.max_p
    known = num_right >= config.min_right_fraction * config.tries and beyond_chance
    return TeacherVerdict("answered_without_audio:teacher" if known else "", None)


def judge(config: JudgeConfig, teacher: Teacher, heard: Heard) -> TeacherVerdict:
    """Ask the teacher to rate an example; unchanged where it is rejected already or not drawn."""
    example, reason, track, facts = heard
    if reason or track is None or facts is None or not is_drawn(config, example):
        return TeacherVerdict(reason, None)
    try:
        score = judge_example(teacher, config, example, facts, track)
    except TeacherFailedError as error:
        return TeacherVerdict(error.reason, None)
    return TeacherVerdict("" if score >= config.min_score else "judged_wrong", float(score))


@dataclass(frozen=True)
class Round:
    """One teacher asked about all shards; what it said lies in scratch and is not asked again."""

    kind: Literal["reader", "judge"]
    ports: ValidationInputs
    decide: Decide
    repeats: Mapping[int, Repeats]
    before: str | None
    """The round whose reasons stand already."""

    def ask(self, config: TeacherConfig, work: Callable[[Teacher, Heard], TeacherVerdict], beside: Path) -> None:
        """Ask the teacher about every shard that has no verdicts yet."""
        scratch = self.decide.scratch
        pending = [i for i in self.ports.indices if not scratch.is_settled(self.kind, i)]
        shards = ((i, list(self._heard(i))) for i in pending)
        with (
            teaching(config, f"validate-{self.kind}", beside) as teacher,
            Progress(f"validate: {self.kind}", len(pending), "shards") as progress,
        ):
            for index, said in over_shards(teacher.concurrency, shards, partial(work, teacher)):
                scratch.write_asked(self.kind, index, said)
                progress.advance()

    def _heard(self, index: int) -> Iterator[Heard]:
        if self.before is not None:
            reasons = self.decide.scratch.read(self.before, index)["reason"].to_pylist()
        else:
            reasons, _ = self.decide(index, self.repeats.get(index, {}))
        tracks = {t.id: t for t in self.ports.tracks.read_shard(index) if t.is_ok}
        facts = {f.id: trusted(f) for f in self.ports.facts.read_shard(index)}
        for example, reason in zip(self.ports.candidates.read_shard(index), reasons, strict=True):
            yield example, reason, tracks.get(example.track_id), facts.get(example.track_id)


def ask_teachers(
    config: ValidateConfig, ports: ValidationInputs, decide: Decide, repeats: Mapping[int, Repeats], beside: Path
) -> str | None:
    """The name of the last round, whose reasons stand; None where no teacher is asked."""
    last: str | None = None
    if isinstance(config.text_only, TextOnlyConfig):
        work = partial(read_without_audio, config.text_only)
        Round("reader", ports, decide, repeats, last).ask(config.text_only.teacher, work, beside)
        last = "reader"
    if config.judge is not None:
        work = partial(judge, config.judge)
        Round("judge", ports, decide, repeats, last).ask(config.judge.teacher, work, beside)
        last = "judge"
    return last


def check_shards(
    config: ValidateConfig, candidates: Table[Example], facts: Table[Facts], tracks: Table[Track], folder: Path
) -> None:
    """Check each shard by rules: its reasons, signatures and words as files of `folder`, for `run` to go on from."""
    scratch = ScratchFiles(folder)
    prior = config.text_only if isinstance(config.text_only, PriorConfig) else None
    check = Check(config.limits, config.over_tracks, prior, candidates, facts, tracks, scratch)
    indices = ValidationInputs(candidates, facts, tracks).indices
    _each(check, [i for i in indices if not scratch.has("checked", i)], config.workers, "rules")


def run(
    config: ValidateConfig,
    candidates: Table[Example],
    facts: Table[Facts],
    tracks: Table[Track],
    skills: Writer[Example],
    rejects: Writer[Example],
    data_docs: OutputFolder,
) -> Metrics:
    """Check all candidates, split them into kept and rejected, write data docs."""
    ports, scratch = ValidationInputs(candidates, facts, tracks), ScratchFiles(skills.work)
    prior = config.text_only if isinstance(config.text_only, PriorConfig) else None
    check_shards(config, candidates, facts, tracks, skills.work)
    limits = config.over_tracks
    repeats = find_repeats(scratch, candidates, ports.indices, limits.similarity) if limits else {}
    decide = Decide(prior, merge_words(scratch, ports.indices) if prior else None, scratch, candidates)
    asked = ask_teachers(config, ports, decide, repeats, skills.root)
    pending = [i for i in ports.indices if not (skills.has(i) and rejects.has(i) and scratch.has("rows", i))]
    _each(Sort(decide, skills, rejects, asked), [(i, repeats.get(i, {})) for i in pending], config.workers, "sorting")
    rows = scratch.read_all("rows", ports.indices)
    findings = find(rows, config.expected)
    write_docs(data_docs, rows, findings, config.review, ports, skills, rejects)
    require(findings, str(data_docs.root / PAGE_NAME))
    licences = united(licences_of(config), *(p.manifest.licences for p in (tracks, facts, candidates)))
    write_skills_card(skills, rejects, (tracks, facts, candidates), config.identity(), licences)
    return _metrics(rows, findings)


def _each(work: Callable[[Job], int], jobs: Sequence[Job], workers: int, label: str) -> None:
    with Progress(f"validate: {label}", len(jobs), "shards") as progress, pool_map(min(workers, len(jobs))) as run_map:
        for _ in run_map(work, jobs):
            progress.advance()


def _metrics(rows: pa.Table, findings: Sequence[ExpectationResult]) -> Metrics:
    kept = rows.filter(pc.equal(rows["reason"], ""))
    reasons = _counted(rows.filter(pc.not_equal(rows["reason"], "")), "reason")
    return {
        "num_kept": len(kept),
        "num_rejected": sum(reasons.values()),
        "reasons": reasons,
        **{f"by_{name}": _counted(kept, name) for name in ("skill", "type", "family", "split")},
        "text_only": {s.family: [round(s.accuracy, 4), round(s.chance, 4)] for s in text_only(rows)},
        "expectations": tally(findings),
    }


def _counted(rows: pa.Table, name: str) -> dict[str, int]:
    return dict(sorted((v["values"], v["counts"]) for v in pc.value_counts(rows[name]).to_pylist()))


STAGE = Stage(
    name="validate",
    title=StageTitle("Annotation", "Validate", "Rules and expectations. What fails is kept under its reason."),
    config=ValidateConfig,
    inputs={"candidates": Example, "facts": Facts, "tracks": Track},
    outputs={"skills": Example, "rejects": Example, "data_docs": Folder},
    run=run,
    uncached=frozenset({"data_docs"}),
    first_pass=check_shards,
)
