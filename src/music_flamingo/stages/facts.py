"""facts: what MIR tools measure on the original recording (section 3 of the paper: beat, key, chord and lyric tools).

Each track is decoded once, from its original at 44.1 kHz (verified by its SHA-256), and heard by all tools in one
process. Code writes these facts, never a language model. What was measured of a recording is kept
(core/measurements.py), and only what is new is measured. A tool that fails on a track leaves that fact empty and says
why under `problems`; the track and its other facts stay.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field

from music_flamingo.audio.decode import BadAudioError, DecodeLimits, decode_original
from music_flamingo.audio.originals import open_original
from music_flamingo.core.errors import CorruptDataError, MissingInputError, UserError
from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.measurements import FOLDER, MeasurementStore
from music_flamingo.core.parallel import map_shards
from music_flamingo.core.ports import Folder, InputFolder, Table, Writer
from music_flamingo.core.ranges import Count
from music_flamingo.core.record import QUARANTINED
from music_flamingo.core.shards import shard_paths
from music_flamingo.core.stage import NOT_IDENTITY, Metrics, Stage, StageConfig, StageTitle
from music_flamingo.mir import (
    BeatTracker,
    ChordRecogniser,
    ContentDetector,
    DynamicsMeter,
    KeyEstimator,
    KeyFollower,
    LyricsSource,
    MusicTagger,
    NothingFoundError,
    SectionFinder,
    Signal,
    SoundDescriber,
    to_signal,
    voices,
)
from music_flamingo.mir.choices import (
    BeatsChoice,
    ChordsChoice,
    ContentChoice,
    DynamicsChoice,
    InstrumentsChoice,
    KeyChangesChoice,
    KeyChoice,
    LyricsChoice,
    OpinionsChoice,
    SectionsChoice,
    SoundChoice,
    identity_of,
    opened,
)
from music_flamingo.mir.key_changes import with_changes
from music_flamingo.mir.opinions import SecondOpinions
from music_flamingo.mir.probabilities import with_probabilities
from music_flamingo.mir.thirds import with_thirds_of
from music_flamingo.mir.trust import TrustRules, withheld
from music_flamingo.records import MEASURED, Facts, Track
from music_flamingo.sources.annotated import read_annotated, with_annotated

T = TypeVar("T")
Tool = TypeVar("Tool")

TOOL_FAILURES = (RuntimeError, ValueError, ArithmeticError, LookupError)
"""What tools raise on sound they cannot handle. A missing program, a full disk or a bug elsewhere stops the stage."""
ORIGINAL_MISSING, ORIGINAL_CHANGED = "original_missing", "original_changed"
CRASHED = "crashed"
"""The reason of a recording that ends the process which measures it."""
NO_TRACK = "upload"
"""The id of a recording that belongs to no catalogue."""

NOT_MEASURED = ("trust", "not_music", "annotated")
"""Parameters on which no measurement depends."""
NOBODY = SecondOpinions(tempo=None, key=None, chords=None, doubt=0.0)


class FactsConfig(StageConfig):
    """The tool of each fact; null leaves the fact out."""

    beats: BeatsChoice | None
    """Gives beats, their places in the bar, and the tempo."""
    key: KeyChoice | None
    key_changes: KeyChangesChoice | None
    """Where the music modulates; null leaves it at one key."""
    chords: ChordsChoice | None
    sections: SectionsChoice | None
    dynamics: DynamicsChoice | None
    sound: SoundChoice | None
    lyrics: LyricsChoice | None
    instruments: InstrumentsChoice | None
    """Also says who sings or speaks, and the style. Without a voice no lyrics are looked for."""
    content: ContentChoice | None
    """What the recording is of; null takes everything for music."""
    trust: TrustRules
    """Which facts are handed on."""
    not_music: Literal["caption", "quarantine"]
    """What becomes of a recording that is no music: a plain caption, or its facts go into quarantine."""
    opinions: OpinionsChoice | None
    """Other tools that are asked, and what their disagreement costs."""
    annotated: str | None
    """Facts that `mf import` read from annotations made elsewhere, JSON lines: they stand in place of measured ones."""
    limits: DecodeLimits
    """As at ingest: what was taken in is within them."""
    measurements: str | None = Field(json_schema_extra=NOT_IDENTITY)
    """As at ingest: the folder of what was measured before."""
    workers: Count = Field(json_schema_extra=NOT_IDENTITY)

    def identity(self) -> dict[str, Any]:
        """Models and annotations count by what they hold, wherever they lie."""
        identity = {name: identity_of(getattr(self, name), plain) for name, plain in super().identity().items()}
        return identity | ({"annotated": sha256_file(Path(self.annotated))} if self.annotated else {})


@dataclass(frozen=True)
class Toolbox:
    """The tools of a configuration, loaded."""

    beats: BeatTracker | None
    key: KeyEstimator | None
    key_changes: KeyFollower | None
    chords: ChordRecogniser | None
    sections: SectionFinder | None
    dynamics: DynamicsMeter | None
    sound: SoundDescriber | None
    lyrics: LyricsSource | None
    instruments: MusicTagger | None
    content: ContentDetector | None
    opinions: SecondOpinions | None


@lru_cache(maxsize=1)
def open_toolbox(config_json: str) -> Toolbox:
    """Loaded once a process: nets and plugins take a second or two."""
    config = FactsConfig.model_validate_json(config_json)
    return Toolbox(**{tool.name: opened(getattr(config, tool.name)) for tool in fields(Toolbox)})


@dataclass(frozen=True)
class MeasureTrack:
    """The work on one track. Picklable: the tools are loaded where it runs."""

    config_json: str
    originals_root: Path
    store: MeasurementStore | None = None

    def __call__(self, track: Track) -> list[Facts]:
        config = FactsConfig.model_validate_json(self.config_json)
        try:
            path = open_original(track, self.originals_root)
            if (known := self._known(track, config)) is not None:
                return [self._completed(known, config)]
            signal = to_signal(*decode_original(path, config.limits))
        except (MissingInputError, CorruptDataError, OSError) as error:
            # a song of one's own that was moved or replaced since ingest is that song's affair; a port's file is not
            if not str(track.original).startswith("file:"):
                raise
            reason = ORIGINAL_CHANGED if isinstance(error, CorruptDataError) else ORIGINAL_MISSING
            return [_nothing(track, f"original: {error}").quarantined(reason)]
        except BadAudioError as error:
            return [_nothing(track, f"decoding: {error}").quarantined(error.reason)]
        found = self._measured(track, signal)
        if self.store is not None and is_lasting(found):
            payload = found.model_copy(update={"id": NO_TRACK, "work_id": NO_TRACK}).model_dump_json().encode()
            self.store.put(payload, track.source_sha256, *words_of(track, config))
        return [self._completed(found, config)]

    def _completed(self, measured: Facts, config: FactsConfig) -> Facts:
        return judged(with_annotated(measured, read_annotated(config.annotated).get(measured.id)), config)

    def _known(self, track: Track, config: FactsConfig) -> Facts | None:
        kept = self.store.get(track.source_sha256, *words_of(track, config)) if self.store is not None else None
        if kept is None:
            return None
        return Facts.model_validate({**json.loads(kept), "id": track.id, "work_id": track.work_id})

    def _measured(self, track: Track, signal: Signal) -> Facts:
        from threadpoolctl import threadpool_limits

        # one thread: two processes share two cores, and sums keep their order
        with threadpool_limits(limits=1):
            return measure(track, signal, open_toolbox(self.config_json))


def words_of(track: Track, config: FactsConfig) -> tuple[str, ...]:
    """What facts take from the source rather than from the sound."""
    if config.lyrics is None:
        return ()
    return (json.dumps([track.lyrics, track.language, track.duration_s]),)


def is_lasting(facts: Facts) -> bool:
    """Whether the same tools would find the same again: a server that is away or a lack of memory may pass."""
    return all(problem.split(": ")[1] == NothingFoundError.__name__ for problem in facts.problems)


@dataclass(frozen=True)
class MeasureUpload:
    """The same tools on a recording that is no track of a catalogue: the endpoint's. Lyrics need a source: left out."""

    config_json: str

    def __call__(self, content: bytes, limits: DecodeLimits) -> Facts:
        from threadpoolctl import threadpool_limits

        config = FactsConfig.model_validate_json(self.config_json).model_copy(update={"lyrics": None})
        signal = to_signal(*decode_original(content, limits))
        with threadpool_limits(limits=1):
            return gated(measure(None, signal, open_toolbox(config.model_dump_json())), config.trust)


def gated(facts: Facts, rules: TrustRules) -> Facts:
    """The facts with what of them is withheld."""
    return facts.model_copy(update={"withheld": withheld(facts, rules)})


def judged(facts: Facts, config: FactsConfig) -> Facts:
    """The facts gated; in quarantine where the recording is no music and the configuration wants it so."""
    facts = gated(facts, config.trust)
    is_music = facts.content is None or facts.content.kind == "music"
    return facts if is_music or config.not_music == "caption" else facts.quarantined("not_music")


def measure(track: Track | None, signal: Signal, tools: Toolbox) -> Facts:
    """All facts of one track, with confidences that are probabilities; None for a recording of no catalogue."""
    return with_probabilities(heard(track, signal, tools))


def heard(track: Track | None, signal: Signal, tools: Toolbox) -> Facts:
    """All facts with the confidences on the scales of their tools: what the probabilities are fitted on."""
    problems: list[str] = []

    def ask(name: str, tool: Tool | None, question: Callable[[Tool], T]) -> T | None:
        if tool is None:
            return None
        try:
            return question(tool)
        except UserError:
            raise
        except TOOL_FAILURES as error:
            problems.append(f"{name}: {type(error).__name__}: {error}")
            return None

    content = ask("content", tools.content, lambda tool: tool.detect(signal))
    rhythm = ask("beats", tools.beats, lambda tool: tool.track(signal))
    key = ask("key", tools.key, lambda tool: tool.estimate(signal))
    if key and (changes := ask("key_changes", tools.key_changes, lambda tool: tool.follow(signal))):
        key = with_changes(key, changes)
    chords = ask("chords", tools.chords, lambda tool: tool.recognise(signal))
    chords = (others := tools.opinions or NOBODY).on(chords, others.chords, signal)
    chords = with_thirds_of(key, chords, signal) if key and chords else chords
    tags = ask("instruments", tools.instruments, lambda tool: tool.tag(signal))
    players = tags.instruments if tags else None
    sound = voices.with_tagged_drums(ask("sound", tools.sound, lambda tool: tool.describe(signal)), tags)
    content = voices.with_drums_alone(content, players, sound, rhythm.beats if rhythm else None)
    talk = ask("content", tools.content, lambda tool: voices.talk_share(tool, content, signal))
    voice = voices.heard_voice(content, tags.voice if tags else None, talk or 0.0)
    sung = voices.sings_in(content, voice)
    return Facts(
        id=track.id if track else NO_TRACK,
        work_id=track.work_id if track else NO_TRACK,
        duration_s=round(signal.duration_s, 4),
        tempo=others.on(rhythm.tempo, others.tempo, signal) if rhythm else None,
        beats=rhythm.beats if rhythm else None,
        key=others.on(key, others.key, signal),
        chords=chords,
        sections=ask("sections", tools.sections, lambda tool: tool.find(signal)),
        dynamics=ask("dynamics", tools.dynamics, lambda tool: tool.measure(signal)),
        sound=sound,
        lyrics=ask("lyrics", tools.lyrics, lambda tool: tool.read(track, signal, sung)) if track else None,
        instruments=voices.with_voice(players, voice) if players else None,
        content=content,
        voice=voice,
        genre=tags.genre if tags else None,
        problems=problems,
    )


def _nothing(track: Track, problem: str) -> Facts:
    missing = dict.fromkeys(MEASURED)
    return Facts(id=track.id, work_id=track.work_id, duration_s=None, **missing, problems=[problem])


def _crashed(track: Track) -> list[Facts]:
    return [_nothing(track, "crash: a tool ended its process, twice").quarantined(CRASHED)]


def run(config: FactsConfig, tracks: Table[Track], originals: InputFolder, facts: Writer[Facts]) -> Metrics:
    """Measure facts of each track's original recording, shard by shard."""
    root = Path(config.measurements) if config.measurements else facts.root.parent / FOLDER
    settings = {name: value for name, value in config.identity().items() if name not in NOT_MEASURED}
    store = MeasurementStore.of(root, "facts", settings, MeasureTrack, FactsConfig, Facts)
    work = MeasureTrack(config.model_dump_json(), originals.root, store)
    map_shards(
        tracks,
        facts,
        work,
        workers=config.workers,
        label="facts",
        unit="tracks",
        crashed=_crashed,
        without=("audio",),
    )
    _require_originals(facts)
    return _count(facts)


def _require_originals(facts: Writer[Facts]) -> None:
    """Raises MissingInputError where not one original is there: a disk that is away concerns everything."""
    statuses = facts.columns("status")["status"].to_pylist()
    if len(statuses) > 1 and all(s == QUARANTINED + ORIGINAL_MISSING for s in statuses):
        for path in shard_paths(facts.root):
            path.unlink()
        raise MissingInputError(
            f"none of the {len(statuses)} original recordings is where ingest found it: is their disk away? Bring "
            "them back, or run ingest again."
        )


def _count(facts: Writer[Facts]) -> Metrics:
    """How many tracks each fact was found for, and which tools had problems how often."""
    table = facts.columns("duration_s", "problems", "withheld", *MEASURED)
    seconds = sum(s for s in table["duration_s"].to_pylist() if s is not None)
    kept_back = Counter(w["reason"] for track in table["withheld"].to_pylist() for w in track or ())
    problems = Counter(p.partition(":")[0] for track in table["problems"].to_pylist() for p in track)
    return {
        "audio_minutes": round(seconds / 60, 2),
        "found": {name: len(table) - table[name].null_count for name in MEASURED},
        "withheld": dict(sorted(kept_back.items())),
        "problems": dict(sorted(problems.items())),
    }


STAGE = Stage(
    name="facts",
    title=StageTitle(
        "Annotation", "Facts", "Beats, tempo, key, chords, sections and sound, measured on the original recording."
    ),
    config=FactsConfig,
    inputs={"tracks": Track, "originals": Folder},
    outputs={"facts": Facts},
    run=run,
)
