"""reason: chains of thought for the questions that are hard, checked step by step (paper, section on MF-Think).

1. The model after SFT answers the training questions; how sure it is of the right answer is kept (`heard`).
2. Questions it misses and questions a teacher finds hard are chosen, balanced over families and answers.
3. A teacher writes a chain for each, which is split into steps; the model checks each claim against the audio.
4. A few wrong steps are rewritten and checked again; chains with more are discarded under their reason, and so is a
   chain for which a call failed.
"""

import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from music_flamingo.core.ports import Folder, InputFolder, Table, Writer
from music_flamingo.core.progress import Progress
from music_flamingo.core.record import QUARANTINED, Record, read_parquet, write_parquet
from music_flamingo.core.shards import shard_index, shard_path
from music_flamingo.core.stage import Metrics, Stage, StageConfig
from music_flamingo.products.cards.licences import ToolLicence
from music_flamingo.products.cards.think_card import write_think_card
from music_flamingo.quality.checks import confidences
from music_flamingo.quality.choice import Candidate, Choice, Difficulty, choose
from music_flamingo.quality.steps import Heard, StepLimits, judge, reason_to_discard
from music_flamingo.records import Chain, Example, Facts, Step, Track
from music_flamingo.scoring.families import FAMILIES
from music_flamingo.scoring.normalise import same_answer
from music_flamingo.teachers import (
    Teacher,
    TeacherConfig,
    TeacherFailedError,
    is_settled,
    over_shards,
    request_seed,
    stamp,
    teaching,
)
from music_flamingo.teachers.payloads import ChainStyle
from music_flamingo.teachers.thinking import draft, mend, rate


class ReasonConfig(StageConfig):
    teacher: TeacherConfig
    families: tuple[str, ...]
    """Which questions may get a chain."""
    evidence: dict[str, tuple[str, ...]]
    """Family -> the audible families a chain goes through before it comes to the answer."""
    style: ChainStyle
    """`short`: a few fixed words a step, for a small model; `full`: sentences for a reader."""
    max_tracks: int = Field(ge=1)
    """Training tracks whose questions the model is asked, drawn by seed: listening is what costs."""
    num_examples: int = Field(ge=1)
    """Questions to choose (paper: 176,000); fewer where cells run out."""
    missed_below: float = Field(ge=0, le=1)
    """The model misses a question when it gives the right answer less than this probability."""
    max_missed_fraction: float = Field(ge=0, le=1)
    """Among the missed are the wrong labels: the rest is the teacher's choice."""
    limits: StepLimits
    max_new_tokens: int = Field(ge=1)
    """Of the model's answer to a question without options."""
    batch_size: int = Field(ge=1)
    licences: tuple[ToolLicence, ...]
    """Of the tools and collections that the labels come from; printed on the card."""
    seed: int


Topic = tuple[Example, Facts, list[Example]]
"""An example to write a chain for, its track's facts, and the audible questions of the track."""


class Asked(Record):
    """What the model made of one question; scratch between the listening and the choice."""

    options: list[str]
    probabilities: list[float]


def run(
    config: ReasonConfig,
    skills: Table[Example],
    facts: Table[Facts],
    tracks: Table[Track],
    sft_model: InputFolder,
    think: Writer[Chain],
    think_rejects: Writer[Chain],
) -> Metrics:
    _listen_to_all(config, skills, tracks, sft_model, think)
    heard = {
        a.id: Heard(dict(zip(a.options, a.probabilities, strict=True)))
        for path in sorted(think.work.glob("part-*.parquet"))
        for a in read_parquet(path, Asked)
    }
    with teaching(config.teacher, "reason", think.root) as teacher:
        chosen = _choose(config, teacher, skills, facts, heard)
        pending = [i for i in map(shard_index, skills.shards) if not (think.has(i) and is_settled(think_rejects, i))]
        shards = ((i, _topics(skills.read_shard(i), facts.read_shard(i), chosen)) for i in pending)

        def write(topic: Topic) -> Chain:
            return write_chain(config, teacher, *topic, heard, chosen[topic[0].id])

        with Progress("reason: chains", len(pending), "shards") as progress:
            for index, chains in over_shards(teacher.concurrency, shards, write):
                think_rejects.write(index, [c for c in chains if not c.is_ok])
                think.write(index, [c for c in chains if c.is_ok])
                progress.advance()
    write_think_card(think, think_rejects, skills, config.identity(), config.licences)
    return _metrics(config, len(heard), think, think_rejects)


def _listen_to_all(
    config: ReasonConfig, skills: Table[Example], tracks: Table[Track], sft_model: InputFolder, think: Writer[Chain]
) -> None:
    """Ask the model every question that may be chosen or serve as evidence, one scratch shard for each of skills."""
    asked_of = _tracks_to_ask(config, skills)
    pending = [i for i in map(shard_index, skills.shards) if not shard_path(think.work, i).exists()]
    if not pending:
        return
    from music_flamingo.audio.flac import decode_flac
    from music_flamingo.model.listener import Listener

    listener = Listener.load(sft_model.root)
    families = {*config.families, *(name for names in config.evidence.values() for name in names)}
    with Progress("reason: listening", len(pending), "shards") as progress:
        for index in pending:
            examples = [e for e in skills.read_shard(index) if e.track_id in asked_of and e.family in families]
            wanted = {e.track_id for e in examples}
            samples = {t.id: decode_flac(t.audio.bytes) for t in tracks.read_shard(index) if t.id in wanted and t.audio}
            write_parquet(shard_path(think.work, index), Asked, _ask_model(config, listener, examples, samples))
            progress.advance()


def _tracks_to_ask(config: ReasonConfig, skills: Table[Example]) -> set[str]:
    columns = skills.columns("track_id", "split").to_pydict()
    training = sorted({t for t, split in zip(*columns.values(), strict=True) if split == "train"})
    rng = random.Random(request_seed(config.seed, "tracks", []))
    return set(rng.sample(training, min(config.max_tracks, len(training))))


def _ask_model(config: ReasonConfig, listener, examples: list[Example], samples: dict[str, np.ndarray]) -> list[Asked]:
    """A probability for each option; for a question without options 1 or 0: the model's own words are right or not."""
    from music_flamingo.model.listener import Ask

    def questions(some: Sequence[Example]) -> list[Ask]:
        return [Ask(samples[e.track_id], e.question, tuple(e.options), think=False) for e in some]

    closed = [e for e in examples if e.options]
    probabilities = listener.option_probabilities(questions(closed), batch_size=config.batch_size)
    asked = [Asked(id=e.id, options=e.options, probabilities=p) for e, p in zip(closed, probabilities, strict=True)]
    opened = [e for e in examples if not e.options]
    words = listener.answer(questions(opened), max_new_tokens=config.max_new_tokens, batch_size=config.batch_size)
    for example, said in zip(opened, words, strict=True):
        is_right = float(same_answer(said.text, example.answer))
        asked.append(Asked(id=example.id, options=[example.answer], probabilities=[is_right]))
    return asked


def _choose(
    config: ReasonConfig, teacher: Teacher, skills: Table[Example], facts: Table[Facts], heard: dict[str, Heard]
) -> dict[str, Difficulty]:
    def to_rate(index: int) -> list[tuple[Example, Facts]]:
        known = {f.id: f for f in facts.read_shard(index)}
        asked = (e for e in skills.read_shard(index) if e.family in config.families and e.id in heard)
        return [(e, known[e.track_id]) for e in asked]

    def rated(item: tuple[Example, Facts]) -> Candidate:
        example, about = item
        return Candidate(
            example_id=example.id,
            family=example.family,
            answer=example.answer,
            is_closed=example.family in FAMILIES,
            answer_probability=heard[example.id].probabilities[example.answer],
            rating=_rating(teacher, example, about, config.seed),
        )

    shards = ((index, to_rate(index)) for index in map(shard_index, skills.shards))
    candidates = [c for _, made in over_shards(teacher.concurrency, shards, rated) for c in made]
    choice = Choice(config.num_examples, config.missed_below, config.max_missed_fraction)
    return choose(candidates, choice, random.Random(request_seed(config.seed, "choice", [])))


def _rating(teacher: Teacher, example: Example, facts: Facts, seed: int) -> int:
    """1 to 5; 0, and so chosen last, where the call fails: the question itself is none the worse."""
    try:
        return rate(teacher, example, facts, seed)
    except TeacherFailedError:
        return 0


def _topics(examples: list[Example], facts: list[Facts], chosen: dict[str, Difficulty]) -> list[Topic]:
    """The chosen examples of a shard, with their facts and the audible questions of their tracks."""
    known = {f.id: f for f in facts}
    audible: dict[str, list[Example]] = {}
    for example in examples:
        if example.family in FAMILIES:
            audible.setdefault(example.track_id, []).append(example)
    return [(e, known[e.track_id], audible.get(e.track_id, [])) for e in examples if e.id in chosen]


def write_chain(
    config: ReasonConfig,
    teacher: Teacher,
    example: Example,
    facts: Facts,
    audible: list[Example],
    heard: dict[str, Heard],
    difficulty: Difficulty,
) -> Chain:
    """One chain, written, checked, mended where that is allowed; `status` says whether it stands."""
    hearing = {e.family: heard[e.id] for e in audible if e.id in heard}
    try:
        steps, reason = _checked_steps(config, teacher, example, facts, audible, hearing)
    except TeacherFailedError as error:
        steps, reason = [], error.reason
    chain = Chain(
        id=f"{example.id}/chain",
        example_id=example.id,
        track_id=example.track_id,
        work_id=example.work_id,
        split=example.split,
        family=example.family,
        question=example.question,
        options=example.options,
        answer=example.answer,
        steps=steps,
        thinking=" ".join(step.text for step in steps),
        difficulty=difficulty,
        teacher=stamp(teacher, "chain"),
    )
    return chain.quarantined(reason) if reason else chain


def _checked_steps(
    config: ReasonConfig,
    teacher: Teacher,
    example: Example,
    facts: Facts,
    audible: list[Example],
    hearing: dict[str, Heard],
) -> tuple[list[Step], str | None]:
    """(steps, reason to discard them or None) after at most one rewrite."""
    evidence = config.evidence.get(example.family, ())
    drafted = draft(teacher, example, facts, audible, evidence, config.style, config.seed)
    steps = judge(drafted, example.family, hearing, config.limits)
    reason = reason_to_discard(steps, example.family, config.limits)
    if reason is None and any(step.verdict == "wrong" for step in steps):
        mended = [_mend(config, teacher, s, example, facts, hearing) if s.verdict == "wrong" else s for s in steps]
        steps = judge(mended, example.family, hearing, config.limits)
        reason = "wrong_after_rewrite" if any(step.verdict == "wrong" for step in steps) else None
    return steps, reason


def _mend(
    config: ReasonConfig, teacher: Teacher, step: Step, example: Example, facts: Facts, hearing: dict[str, Heard]
) -> Step:
    heard = hearing[step.family]
    return mend(
        teacher,
        step,
        example.track_id,
        config.style,
        min(confidences(step.family, facts).values(), default=0.0),
        heard.best,
        heard.probabilities[heard.best],
        config.limits.restate_above,
        config.seed,
    )


def _metrics(config: ReasonConfig, num_asked: int, think: Writer[Chain], think_rejects: Writer[Chain]) -> Metrics:
    kept = think.columns("family", "answer", "difficulty", "steps").to_pydict()
    steps = [step for steps in kept["steps"] for step in steps]
    _, reasons = think_rejects.status_counts()
    return {
        "teacher": config.teacher.kind,
        "num_asked": num_asked,
        "num_kept": len(kept["family"]),
        "num_rewritten_steps": sum(step["rewritten_from"] is not None for step in steps),
        "reasons": {status.removeprefix(QUARANTINED): count for status, count in reasons.items()},
        "by_difficulty": dict(sorted(Counter(kept["difficulty"]).items())),
        "by_family": dict(sorted(Counter(kept["family"]).items())),
    }


STAGE = Stage(
    name="reason",
    config=ReasonConfig,
    inputs={"skills": Example, "facts": Facts, "tracks": Track, "sft_model": Folder},
    outputs={"think": Chain, "think_rejects": Chain},
    run=run,
    code=(
        "core/record.py",
        "records",
        "audio/flac.py",
        "scoring",
        "prompts",
        "quality",
        "products/cards",
        "teachers",
        "model",
        "stages/reason.py",
    ),
)
