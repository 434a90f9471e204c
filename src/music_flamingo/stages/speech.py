"""speech: utterances with their words, out of speech corpora or spoken on the spot (paper, section on the backbone).

Each source reads its corpus's own layout (docs/reference/speech.md); what cannot be used is kept under its reason.
Audio is the model's copy, 16 kHz mono FLAC inside the shards; times are seconds. A killed run goes on from the shard
it was at.
"""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import Annotated

import pyarrow.parquet as pq
from pydantic import Field

from music_flamingo.audio.decode import DecodeLimits
from music_flamingo.core.errors import UserError
from music_flamingo.core.parallel import pool_map
from music_flamingo.core.ports import Writer
from music_flamingo.core.progress import Progress
from music_flamingo.core.ranges import Count
from music_flamingo.core.record import OK, Provenance
from music_flamingo.core.shards import shard_paths
from music_flamingo.core.stage import NOT_IDENTITY, Metrics, Stage, StageConfig, StageTitle
from music_flamingo.records import Utterance
from music_flamingo.sources.speech import SpeechSource, take_in
from music_flamingo.sources.speech.alimeeting import AliMeetingConfig
from music_flamingo.sources.speech.chime import ChimeConfig
from music_flamingo.sources.speech.covost import CovostConfig
from music_flamingo.sources.speech.emilia import EmiliaConfig
from music_flamingo.sources.speech.must_c import MustCConfig
from music_flamingo.sources.speech.sift import SiftConfig
from music_flamingo.sources.speech.spoken import SpokenConfig
from music_flamingo.sources.speech.switchboard import SwitchboardConfig

AnySpeechConfig = Annotated[
    SpokenConfig
    | EmiliaConfig
    | CovostConfig
    | MustCConfig
    | SiftConfig
    | ChimeConfig
    | SwitchboardConfig
    | AliMeetingConfig,
    Field(discriminator="kind"),
]


class SpeechConfig(StageConfig):
    """Parameters of `speech`."""

    sources: dict[str, AnySpeechConfig | None]
    """Corpus -> where it comes from, by `kind`; null leaves out what the parameters below a profile name. The name
    begins the ids of its utterances, and training's weights go by it."""
    limits: DecodeLimits
    shard_size: Count
    """Units in a shard: the most that a killed run makes again."""
    workers: Count = Field(json_schema_extra=NOT_IDENTITY)

    def identity(self) -> dict[str, object]:
        """A corpus counts by what it holds: files that come, go or change make a new run."""
        listings = {name: source.listing_sha256() for name, source in self.chosen.items()}
        return {**super().identity(), "listings": listings}

    @property
    def chosen(self) -> dict[str, AnySpeechConfig]:
        """Configured corpora by name, in order."""
        return {name: source for name, source in sorted(self.sources.items()) if source is not None}


def take_in_unit(named: tuple[str, str], sources: Mapping[str, SpeechSource], limits: DecodeLimits) -> list[Utterance]:
    """Decode all utterances of one unit of a corpus."""
    corpus, unit = named
    source = sources[corpus]
    provenance = Provenance(made_by="speech", tool=source.tool, tool_version=source.tool_version())
    return [take_in(corpus, said, limits, provenance) for said in source.utterances(unit)]


def run(config: SpeechConfig, speech: Writer[Utterance]) -> Metrics:
    """Read utterances of all configured corpora into shards."""
    sources = {name: source.open(config.limits) for name, source in config.chosen.items()}
    units = [(name, unit) for name, source in sources.items() for unit in source.units()]
    num_shards = max(1, -(-len(units) // config.shard_size))
    pending = [index for index in range(num_shards) if not speech.has(index)]
    work = partial(take_in_unit, sources=sources, limits=config.limits)
    given = [units[index * config.shard_size : (index + 1) * config.shard_size] for index in pending]
    with Progress("speech", sum(map(len, given)), "units") as progress, pool_map(config.workers) as run_map:
        made = run_map(work, (unit for shard in given for unit in shard))
        for index, shard in zip(pending, given, strict=True):
            utterances: list[Utterance] = []
            for of_unit in islice(made, len(shard)):
                utterances.extend(of_unit)
                progress.advance()
            speech.write(index, utterances)
    _require_unique_ids(speech)
    return _metrics(speech)


def _require_unique_ids(speech: Writer[Utterance]) -> None:
    ids = Counter(speech.columns("id")["id"].to_pylist())
    twice = sorted(name for name, count in ids.items() if count > 1)
    if twice:
        raise UserError(
            f"{len(twice)} utterances have an id that another has, {twice[0]} first: the corpus repeats itself."
        )


def _metrics(speech: Writer[Utterance]) -> Metrics:
    """Good utterances and minutes by corpus, language and split; reasons of the others."""
    reasons, minutes = Counter[str](), Counter[str]()
    counts = {name: Counter[str]() for name in ("corpus", "language", "split")}
    for path in shard_paths(speech.root):
        for row in pq.read_table(path, columns=["status", "duration_s", *counts]).to_pylist():
            if row["status"] != OK:
                reasons[row["status"].split(":")[1]] += 1
                continue
            minutes[row["corpus"]] += row["duration_s"] / 60
            for name, found in counts.items():
                found[row[name]] += 1
    return {
        "num_ok": counts["corpus"].total(),
        "reasons": dict(sorted(reasons.items())),
        "minutes": {name: round(value, 2) for name, value in sorted(minutes.items())},
        **{f"utterances_by_{name}": dict(sorted(found.items())) for name, found in counts.items()},
    }


STAGE = Stage(
    name="speech",
    title=StageTitle("Training", "Speech", "Utterances with their words, made on the spot or out of speech corpora."),
    config=SpeechConfig,
    inputs={},
    outputs={"speech": Utterance},
    run=run,
)
