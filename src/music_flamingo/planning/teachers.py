"""`mf plan`: calls, tokens and cost of the stages that ask teachers, from real prompts on a sample of the tracks.

Nothing is asked and nothing is written. Tracks and facts must be there. What a later stage will find is taken from the
plan itself: captions and questions as the cache has them, or else as the scripted teacher writes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from music_flamingo.audio.windows import tile
from music_flamingo.core.errors import UserError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import stage_json
from music_flamingo.core.ports import Table
from music_flamingo.core.record import OK
from music_flamingo.core.shards import shard_index
from music_flamingo.core.stage import Stage, StageConfig, parse_config
from music_flamingo.quality.checks import Limits, Song, reason_against
from music_flamingo.quality.metadata import names_of
from music_flamingo.reasoning.writing import Topic, write_chain
from music_flamingo.records import Caption, Example, Facts, Track, trusted
from music_flamingo.stages import captions, reason, synthesize, validate
from music_flamingo.teachers.blind_baseline import TextOnlyConfig
from music_flamingo.teachers.config import OpenAICompatibleConfig, TeacherConfig
from music_flamingo.teachers.plan import PlannedCalls, Planner
from music_flamingo.teachers.thinking import rate

Config = TypeVar("Config", bound=StageConfig)

HEADER = f"{'stage':15s} {'model':24s} {'calls':>12s} {'cached':>12s} {'tokens in':>15s} {'tokens out':>15s}  cost"
RULES = (
    "Estimated from {sample} of {tracks} tracks: a token for 5 letters, a figure or 3 marks, 25 a second of sound, "
    "replies as long as the cache's or else the scripted teacher's (shorter than a language model's). Tokens and cost "
    "are of calls that are not cached. reason: every step is supposed to be heard, so rewrites are not counted."
)


@dataclass(frozen=True)
class PlanRow:
    """One stage of the plan."""

    stage: str
    teacher: TeacherConfig
    need: PlannedCalls

    def line(self) -> str:
        """Format the row: stage, calls, tokens, model and cost."""
        need, model, cost = self.need, "scripted", "none"
        if isinstance(self.teacher, OpenAICompatibleConfig):
            model, cost = self.teacher.model, f"{need.cost(self.teacher):,.2f} {self.teacher.prices.currency}"
        return (
            f"{self.stage:15s} {model[:24]:24s} {need.calls:12,.0f} {need.cached:12,.0f} "
            f"{need.prompt_tokens:15,.0f} {need.completion_tokens:15,.0f}  {cost}"
        )


@dataclass(frozen=True)
class Catalogue:
    """The tracks that have facts: how long they are, which of them train, and a sample of them."""

    durations_s: list[float]
    num_training: int
    sample: list[tuple[Track, Facts]]

    @property
    def factor(self) -> float:
        """Factor from the sample to the whole catalogue, in tracks."""
        return len(self.durations_s) / len(self.sample)


def plan(params: Mapping[str, Any], data: Path, sample_size: int) -> list[str]:
    """Lines to print: a row for each stage that asks a teacher, and the rules of the estimate.

    Raises MissingInputError before `ingest` and `facts` have run, UserError where no track has facts.
    """
    catalogue = read_catalogue(data, sample_size)
    described, first = plan_captions(_config(captions.STAGE, captions.CaptionsConfig, params), catalogue)
    written, second = plan_synthesize(
        _config(synthesize.STAGE, synthesize.SynthesizeConfig, params), catalogue, described
    )
    rules = _config(validate.STAGE, validate.ValidateConfig, params)
    standing = standing_examples(rules.limits, catalogue, written)
    asking = plan_validate(rules, catalogue, standing)
    last = plan_reason(_config(reason.STAGE, reason.ReasonConfig, params), catalogue, standing)
    stated = RULES.format(sample=len(catalogue.sample), tracks=len(catalogue.durations_s))
    return [HEADER, *(row.line() for row in (first, second, *asking, last)), stated]


def _config(stage: Stage, kind: type[Config], params: Mapping[str, Any]) -> Config:
    config = parse_config(stage, stage_json(params, stage.name))
    assert isinstance(config, kind)
    return config


def plan_captions(config: captions.CaptionsConfig, catalogue: Catalogue) -> tuple[dict[str, list[Caption]], PlanRow]:
    """The number of windows is exact: it follows from the durations. A teacher that hears is asked about each, another
    one about those that facts name something of."""
    planner, described = Planner(config.teacher), {}
    for track, facts in catalogue.sample:
        found = captions.windows_of(config, [track], [facts])
        described[track.id] = [captions.describe(config, planner, window) for window in found]
    planner.close()
    lengths = (list(tile(d, config.window_s, config.shortest_s)) for d in catalogue.durations_s)
    factor = sum(map(len, lengths)) / sum(map(len, described.values()))
    return described, PlanRow("captions", config.teacher, planner.need.times(factor))


def plan_synthesize(
    config: synthesize.SynthesizeConfig, catalogue: Catalogue, described: dict[str, list[Caption]]
) -> tuple[list[list[Example]], PlanRow]:
    """Plan the calls of `synthesize`; gives the sample's examples by track, and the row of the plan.

    Published conversations ask nobody; the scripted teacher's examples stand for them in the stages that follow.
    """
    planner = Planner(config.teacher)
    written = [
        synthesize.write_track(config, planner, track, facts, described[track.id]) for track, facts in catalogue.sample
    ]
    planner.close()
    need = planner.need.times(catalogue.factor) if config.source is None else PlannedCalls()
    return written, PlanRow("synthesize", config.teacher, need)


def standing_examples(limits: Limits, catalogue: Catalogue, written: list[list[Example]]) -> list[list[Example]]:
    """Give the examples of each sampled track that no rule of `validate` rejects: teachers are asked of these alone."""
    standing = []
    for (track, facts), examples in zip(catalogue.sample, written, strict=True):
        song = Song(facts, track.duration_s or 0.0, limits, names_of(track.title, track.artist, track.uri))
        standing.append([e for e in examples if e.is_ok and reason_against(e, song) is None])
    return standing


def plan_validate(
    config: validate.ValidateConfig, catalogue: Catalogue, standing: list[list[Example]]
) -> list[PlanRow]:
    """A row for each teacher that is asked: the judge hears what the reader without audio could not answer."""
    heard: list[validate.Heard] = [
        (example, "", track, facts)
        for (track, facts), examples in zip(catalogue.sample, standing, strict=True)
        for example in examples
    ]
    rows = []
    if isinstance(config.text_only, TextOnlyConfig):
        reader = Planner(config.text_only.teacher)
        heard = [i for i in heard if not validate.read_without_audio(config.text_only, reader, i).reason]
        reader.close()
        rows.append(PlanRow("validate-reader", config.text_only.teacher, reader.need.times(catalogue.factor)))
    if config.judge is not None:
        judge = Planner(config.judge.teacher)
        for item in heard:
            validate.judge(config.judge, judge, item)
        judge.close()
        rows.append(PlanRow("validate-judge", config.judge.teacher, judge.need.times(catalogue.factor)))
    return rows


def plan_reason(config: reason.ReasonConfig, catalogue: Catalogue, standing: list[list[Example]]) -> PlanRow:
    """Every question of the tracks that the model is asked is rated; as many as are wanted get a chain."""
    if config.source is not None:
        return PlanRow("reason", config.teacher, PlannedCalls())
    ratings, chains, num_rated = Planner(config.teacher), Planner(config.teacher), 0
    for (_, facts), examples in zip(catalogue.sample, standing, strict=True):
        wanted = [e for e in examples if config.wanted.takes(e.family, e.question)]
        num_rated += len(wanted)
        for example in wanted:
            rate(ratings, example, facts, config.seed)
            write_chain(config.manner, chains, Topic(example, facts, examples, {}, "teacher_choice"), None)
    for planner in (ratings, chains):
        planner.close()
    asked = min(config.max_tracks, catalogue.num_training) / len(catalogue.sample)
    per_chain = min(config.num_examples, num_rated * asked) / max(num_rated, 1)
    return PlanRow("reason", config.teacher, ratings.need.times(asked) + chains.need.times(per_chain))


def read_catalogue(data: Path, sample_size: int) -> Catalogue:
    """Read durations (s) of all good tracks and draw `sample_size` of them with their facts."""
    tracks = Table(data / "tracks", Track, read_manifest(data / "tracks"))
    facts = Table(data / "facts", Facts, read_manifest(data / "facts"))
    known = facts.columns("id", "status").to_pydict()
    ok = {i for i, status in zip(known["id"], known["status"], strict=True) if status == OK}
    rows = tracks.columns("id", "status", "duration_s", "split").to_pylist()
    rows = [row for row in rows if row["status"] == OK and row["id"] in ok]
    if not rows:
        raise UserError(f"{data} holds no track with facts: there is nothing to ask a teacher about.")
    num_training = sum(row["split"] == "train" for row in rows)
    return Catalogue([row["duration_s"] for row in rows], num_training, _draw(tracks, facts, sample_size))


def _draw(tracks: Table[Track], facts: Table[Facts], sample_size: int) -> list[tuple[Track, Facts]]:
    """Tracks with facts, as many from each of some shards that lie evenly over the catalogue."""
    indices = [shard_index(path) for path in facts.shards]
    indices = indices[:: max(1, len(indices) // sample_size)]
    each = -(-sample_size // len(indices))
    drawn: list[tuple[Track, Facts]] = []
    for index in indices:
        known = {f.id: trusted(f) for f in facts.read_shard(index) if f.is_ok}
        found = [(t, known[t.id]) for t in tracks.read_shard(index) if t.is_ok and t.id in known]
        drawn += found[:: max(1, len(found) // each)][:each]
    return drawn
