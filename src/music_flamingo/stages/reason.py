"""reason: chains of thought for the questions that are hard, checked step by step (paper, section on MF-Think).

1. The model after SFT answers the training questions; how sure it is of the right answer is kept.
2. A teacher rates each; questions that the model misses and questions that the teacher finds hard are chosen, balanced
   over families and answers. Families with nothing to reason about (a bare key or tempo) are left out.
3. A teacher writes a chain for each, which is split into steps; the model checks each step against the audio, by the
   claim's own question or, for steps in free words, by asking whether it is true.
4. A few wrong steps are rewritten and checked again; chains with more are discarded under their reason, and so is a
   chain for which a call failed.

What was heard and rated is scratch, a file for each shard: an interrupted run goes on from there.
"""

from collections.abc import Mapping
from typing import Any, Literal

import pyarrow.parquet as pq
from pydantic import Field, field_validator

from music_flamingo.core.licences import licences_of, united
from music_flamingo.core.ports import Folder, InputFolder, Table, Writer
from music_flamingo.core.progress import Progress
from music_flamingo.core.ranges import NonNegative, Seed
from music_flamingo.core.record import write_parquet
from music_flamingo.core.shards import shard_index, shard_path
from music_flamingo.core.stage import Metrics, Stage, StageConfig, StageTitle
from music_flamingo.products.cards.think_card import write_think_card
from music_flamingo.quality.difficulty import Difficulty, DifficultyRule
from music_flamingo.quality.metadata import names_of
from music_flamingo.quality.steps import CheckBy, StepLimits
from music_flamingo.reasoning.paths import count_paths
from music_flamingo.reasoning.probing import Affirmer, ProbedQuestion, ask_questions
from music_flamingo.reasoning.published import import_chains
from music_flamingo.reasoning.selection import Wanted, chosen_of, heard_in, num_trivial, rate_all, training_tracks
from music_flamingo.reasoning.writing import Affirm, Manner, Topic, write_chain
from music_flamingo.records import Chain, Example, Facts, Track, trusted
from music_flamingo.records.caption import PUBLISHED_KIND
from music_flamingo.scoring.families import (
    COMPOSITES,
    FAMILIES,
    SHORT_CAPTION,
    FamilyNames,
    HeldOutCombinations,
    evidence_of,
)
from music_flamingo.sources.conversations.config import ConversationsConfig
from music_flamingo.teachers import Teacher, TeacherConfig, is_settled, over_shards, teaching
from music_flamingo.teachers.payloads import ChainStyle

REMEMBERED_TRACKS = 64
"""Decoded songs kept while their chains are checked: four minutes are 15 MB."""


class ReasonConfig(StageConfig):
    """Parameters of `reason`."""

    teacher: TeacherConfig
    families: FamilyNames | None
    """Which questions may get a chain; null: all, where skills and not families share the number."""
    trivial: tuple[str, ...]
    """Families that never get one: there is nothing to reason about (paper: bare key and tempo)."""
    style: ChainStyle
    """`short`: a few fixed words a step, for a small model; `full`: sentences for a reader."""
    check: CheckBy
    """`claims`: steps are checked by the question of their claim; `yes_no`: those without one are asked as they stand,
    which takes a model that can answer such questions."""
    max_tracks: int = Field(ge=1)
    """Training tracks whose questions the model is asked, drawn by seed: listening is what costs."""
    num_examples: int = Field(ge=1)
    """Questions to choose (paper: 176,000); fewer where cells run out."""
    missed_below: float = Field(ge=0, le=1)
    """The model misses a question when it gives the right answer less than this probability."""
    max_missed_fraction: float = Field(ge=0, le=1)
    """Among the missed are the wrong labels: the rest is the teacher's choice."""
    name_seconds: bool
    """Steps say at which seconds their claim is heard, as AF-Think-Time's do; the seconds are held against the facts,
    and `grpo.reward_weights.question.timed` may reward them."""
    checks: tuple[NonNegative, ...]
    """How often a chain about a composite question has 1, 2, 3 ... checks, in proportion; a question of fewer parts is
    gone through whole. Empty: every chain is whole."""
    held_out: HeldOutCombinations | None
    """What `synthesize.composites.held_out` is: no chain is written about the combinations that it leaves to GRPO."""
    limits: StepLimits
    max_new_tokens: int = Field(ge=1)
    """Of the model's answer to a question without options."""
    batch_size: int = Field(ge=1)
    source: ConversationsConfig | None
    """Published conversations with thoughts, in place of what a teacher would write; null for the teacher."""
    published: Literal["check", "pass"]
    """Thoughts that others published: held against the facts like all, or looked at for their form alone."""
    seed: Seed

    @field_validator("checks")
    @classmethod
    def _some_drawn(cls, checks: tuple[float, ...]) -> tuple[float, ...]:
        if checks and not sum(checks):
            raise ValueError("none of these numbers of checks is ever drawn; [] leaves every chain whole")
        return checks

    def identity(self) -> dict[str, Any]:
        """Published conversations count by what they hold."""
        return super().identity() | ({"source_sha256": self.source.content_sha256()} if self.source else {})

    @property
    def wanted(self) -> Wanted:
        """Families of questions that may get a chain."""
        families = None if self.families is None else frozenset(self.families)
        return Wanted(families, frozenset(self.trivial), self.held_out)

    @property
    def choice(self) -> DifficultyRule:
        """Rule by which questions count as hard."""
        return DifficultyRule(self.num_examples, self.missed_below, self.max_missed_fraction)

    @property
    def manner(self) -> Manner:
        """How chains are written and checked."""
        return Manner(self.style, self.limits, self.seed, self.checks, self.name_seconds)


def run(
    config: ReasonConfig,
    skills: Table[Example],
    facts: Table[Facts],
    tracks: Table[Track],
    sft_model: InputFolder,
    think: Writer[Chain],
    think_rejects: Writer[Chain],
) -> Metrics:
    """Probe the model, select hard questions, write chains, check their steps; or take them from a publication."""
    if config.source is not None:
        limits, texts = config.limits, config.published
        import_chains(config.source, limits, texts, skills, facts, tracks, _names, think, think_rejects)
        return _finished(config, skills, facts, tracks, sft_model, think, think_rejects)
    _listen_to_all(config, skills, tracks, sft_model, think)
    with teaching(config.teacher, "reason", think.root) as teacher:
        rate_all(teacher, skills, facts, config.wanted, think.work, config.seed)
        chosen = chosen_of(think.work, config.choice, config.seed)
        affirm = _affirmer(config, skills, tracks, sft_model) if config.check == "yes_no" else None
        _write_all(config, teacher, skills, facts, tracks, chosen, affirm, think, think_rejects)
    return _finished(config, skills, facts, tracks, sft_model, think, think_rejects)


def _finished(
    config: ReasonConfig,
    skills: Table[Example],
    facts: Table[Facts],
    tracks: Table[Track],
    sft_model: InputFolder,
    think: Writer[Chain],
    think_rejects: Writer[Chain],
) -> Metrics:
    """Write the card and count."""
    licences = united(licences_of(config), *(p.manifest.licences for p in (tracks, facts, skills, sft_model)))
    write_think_card(think, think_rejects, skills, config.identity(), licences)
    names = ("status", "difficulty", "family", "steps")
    num_asked = sum(pq.read_metadata(path).num_rows for path in think.work.glob("part-*.parquet"))
    return {
        "teacher": config.teacher.kind if config.source is None else PUBLISHED_KIND,
        "check": config.check,
        "num_asked": num_asked,
        "num_trivial": num_trivial(skills, config.wanted),
        **count_paths(think.columns(*names), think_rejects.columns(*names)),
    }


def _listen_to_all(
    config: ReasonConfig, skills: Table[Example], tracks: Table[Track], sft_model: InputFolder, think: Writer[Chain]
) -> None:
    """Ask the model every question that may be chosen or serve as evidence, one scratch shard for each of skills.

    On one thread: another number adds in another order, and a probability would differ in its last digit.
    """
    pending = [i for i in map(shard_index, skills.shards) if not shard_path(think.work, i).exists()]
    if not pending:
        return
    import torch

    from music_flamingo.audio.flac import decode_flac
    from music_flamingo.model.listener import Listener

    torch.set_num_threads(1)
    asked_of = training_tracks(skills, config.max_tracks, config.seed)
    listener = Listener.load(sft_model.root)
    evidence = {name for family in (*FAMILIES, SHORT_CAPTION) for name in evidence_of(family)}
    with Progress("reason: listening", len(pending), "shards") as progress:
        for index in pending:
            examples = [
                e
                for e in skills.read_shard(index)
                if e.track_id in asked_of
                and e.family not in COMPOSITES
                and (config.wanted.takes(e.family, e.question) or e.family in evidence)
            ]
            about = {e.track_id for e in examples}
            samples = {t.id: decode_flac(t.audio.bytes) for t in tracks.read_shard(index) if t.id in about and t.audio}
            asked = ask_questions(
                listener, examples, samples, max_new_tokens=config.max_new_tokens, batch_size=config.batch_size
            )
            write_parquet(shard_path(think.work, index), ProbedQuestion, asked)
            progress.advance()


def _write_all(
    config: ReasonConfig,
    teacher: Teacher,
    skills: Table[Example],
    facts: Table[Facts],
    tracks: Table[Track],
    chosen: Mapping[str, Difficulty],
    affirm: Affirm | None,
    think: Writer[Chain],
    think_rejects: Writer[Chain],
) -> None:
    """The chains of every shard that has none yet, as many at once as the teacher takes."""
    pending = [i for i in map(shard_index, skills.shards) if not (think.has(i) and is_settled(think_rejects, i))]
    shards = ((i, _topics(i, skills, facts, tracks, chosen, think)) for i in pending)

    def write(topic: Topic) -> Chain:
        return write_chain(config.manner, teacher, topic, affirm)

    with Progress("reason: chains", len(pending), "shards") as progress:
        for index, chains in over_shards(teacher.concurrency, shards, write):
            think_rejects.write(index, [c for c in chains if not c.is_ok])
            think.write(index, [c for c in chains if c.is_ok])
            progress.advance()


def _topics(
    index: int,
    skills: Table[Example],
    facts: Table[Facts],
    tracks: Table[Track],
    chosen: Mapping[str, Difficulty],
    think: Writer[Chain],
) -> list[Topic]:
    """The chosen examples of a shard, with their facts, their track's audible questions and its names."""
    examples = skills.read_shard(index)
    known = {f.id: trusted(f) for f in facts.read_shard(index)}
    heard, named = heard_in(think.work, index), _names(tracks, index)
    audible: dict[str, list[Example]] = {}
    for example in examples:
        if example.family in FAMILIES:
            audible.setdefault(example.track_id, []).append(example)
    return [
        Topic(
            example=e,
            facts=known[e.track_id],
            audible=audible.get(e.track_id, []),
            heard={a.family: heard[a.id] for a in audible.get(e.track_id, []) if a.id in heard},
            difficulty=chosen[e.id],
            names=named.get(e.track_id, ()),
        )
        for e in examples
        if e.id in chosen
    ]


def _names(tracks: Table[Track], index: int) -> dict[str, tuple[str, ...]]:
    """Track id -> title, artist and the stem of its file, read without the audio."""
    columns = pq.read_table(shard_path(tracks.root, index), columns=["id", "title", "artist", "uri"])
    return {row["id"]: names_of(row["title"], row["artist"], row["uri"]) for row in columns.to_pylist()}


def _affirmer(config: ReasonConfig, skills: Table[Example], tracks: Table[Track], sft_model: InputFolder) -> Affirm:
    """The model's yes or no to sentences about a track that was listened to."""
    asked_of = training_tracks(skills, config.max_tracks, config.seed)
    shard_of = {
        track_id: path
        for path in tracks.shards
        for track_id in pq.read_table(path, columns=["id"])["id"].to_pylist()
        if track_id in asked_of
    }

    def flac_of(track_id: str) -> bytes:
        column = pq.read_table(shard_of[track_id], columns=["audio"], filters=[("id", "=", track_id)])["audio"]
        return bytes(column[0].as_py()["bytes"])

    return Affirmer(sft_model.root, flac_of, batch_size=config.batch_size, remembered=REMEMBERED_TRACKS)


STAGE = Stage(
    name="reason",
    title=StageTitle(
        "Training", "Reason", "Chains of thought for what the model still misses, each step checked by listening."
    ),
    config=ReasonConfig,
    inputs={"skills": Example, "facts": Facts, "tracks": Track, "sft_model": Folder},
    outputs={"think": Chain, "think_rejects": Chain},
    run=run,
)
