"""captions: a teacher's first description of each 30 s of a track (paper, section on MF-Skills, step 1).

Surface facts alone: what is heard, without tempo, key or chords, so that nothing invented here is carried on. A track
is cut into windows of equal length; the last one is shorter. Times are seconds from the start of the track. A teacher
that hears is sent the window's sound. A window whose call fails is kept without words, under its reason, and so
is one of which the facts name nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from pydantic import Field, model_validator

from music_flamingo.audio.clips import cut
from music_flamingo.audio.windows import tile
from music_flamingo.core.ports import Table, Writer
from music_flamingo.core.progress import Progress
from music_flamingo.core.ranges import Seed
from music_flamingo.core.record import OK
from music_flamingo.core.shards import shard_index
from music_flamingo.core.stage import Metrics, Stage, StageConfig, StageTitle
from music_flamingo.records import Caption, Facts, Track, during, trusted
from music_flamingo.records.heard import claims_of
from music_flamingo.teachers import (
    Teacher,
    TeacherConfig,
    TeacherFailedError,
    TeacherRequest,
    is_settled,
    over_shards,
    request_seed,
    stamp,
    teaching,
)
from music_flamingo.teachers.config import AudioFormat
from music_flamingo.teachers.payloads import TextReply, WindowPayload

PROMPT = "initial_caption"
NOTHING_NAMED = "nothing_named"
"""The reason of a window of which only is known what it lacks."""


class CaptionsConfig(StageConfig):
    """Parameters of `captions`."""

    teacher: TeacherConfig
    window_s: float = Field(gt=0)
    """Length of a described segment (paper: 30 s, what an audio-language model hears at once)."""
    shortest_s: float = Field(gt=0)
    """A rest shorter than this is described together with the window before it."""
    seed: Seed

    @model_validator(mode="after")
    def _hears(self) -> "CaptionsConfig":
        if self.teacher.kind == "openai_compatible" and self.teacher.audio is None:
            raise ValueError("a captions teacher hears: name a model that takes audio, with `audio` wav or flac")
        return self


@dataclass(frozen=True)
class CaptionWindow:
    """One segment of a track, to be described."""

    track: Track
    facts: Facts
    index: int
    start_s: float
    end_s: float


def windows_of(config: CaptionsConfig, tracks: Iterable[Track], facts: Iterable[Facts]) -> list[CaptionWindow]:
    """The windows of the tracks that have facts, in order."""
    known = {f.id: trusted(f) for f in facts if f.is_ok}
    found = []
    for track in (t for t in tracks if t.is_ok and t.id in known):
        assert track.duration_s is not None, "a track that is ok has a duration"
        times = tile(track.duration_s, config.window_s, config.shortest_s)
        found += [CaptionWindow(track, known[track.id], index, *time) for index, time in enumerate(times)]
    return found


def known_of(window: CaptionWindow) -> WindowPayload:
    """What is known of the sound of a window."""
    track, facts = window.track, during(window.facts, window.start_s, window.end_s)
    return WindowPayload(
        track_id=track.id,
        start_s=round(window.start_s, 2),
        end_s=round(window.end_s, 2),
        **claims_of(facts.sound),
        dynamics_trend=facts.dynamics.trend if facts.dynamics else None,
        content=facts.content.kind if facts.content else None,
        instruments=[i.name for i in facts.instruments.labels] if facts.instruments else [],
        has_voice=facts.voice.present if facts.voice else None,
        is_spoken=bool(facts.voice and facts.voice.heard and not facts.voice.sings),
        singer=facts.voice.register_heard if facts.voice else None,
    )


def request(config: CaptionsConfig, window: CaptionWindow, form: AudioFormat | None) -> TeacherRequest[TextReply]:
    """The call that describes a window; `form` is that in which the teacher hears, or None."""
    track = window.track
    seed = request_seed(config.seed, PROMPT, [track.id, str(window.index)])
    sound = cut(track.audio.bytes, window.start_s, window.end_s, form) if form and track.audio else None
    return TeacherRequest(PROMPT, known_of(window), TextReply, seed, sound)


def describe(config: CaptionsConfig, teacher: Teacher, window: CaptionWindow) -> Caption:
    """The caption of a window; one without words, under its reason, where the call failed or there is nothing to say.

    A teacher that hears finds words of its own for what no fact names.
    """
    caption = Caption(
        id=f"{window.track.id}/{window.index}",
        track_id=window.track.id,
        start_s=window.start_s,
        end_s=window.end_s,
        text="",
        teacher=stamp(teacher, PROMPT),
    )
    if teacher.audio is None and known_of(window).names_nothing:
        return caption.quarantined(NOTHING_NAMED)
    try:
        text = teacher.ask(request(config, window, teacher.audio)).text
    except TeacherFailedError as error:
        return caption.quarantined(error.reason)
    return caption.model_copy(update={"text": text})


def run(config: CaptionsConfig, tracks: Table[Track], facts: Table[Facts], captions: Writer[Caption]) -> Metrics:
    """Caption every window of each track by the teacher, shard by shard."""
    pending = [i for i in map(shard_index, tracks.shards) if not is_settled(captions, i)]
    shards = ((i, windows_of(config, tracks.read_shard(i), facts.read_shard(i))) for i in pending)
    with (
        teaching(config.teacher, "captions", captions.root) as teacher,
        Progress("captions", len(pending), "shards") as progress,
    ):
        for index, written in over_shards(teacher.concurrency, shards, partial(describe, config, teacher)):
            captions.write(index, written)
            progress.advance()
    return {"teacher": config.teacher.kind, "tracks_without_facts": len(_ok_ids(tracks) - _ok_ids(facts))}


def _ok_ids(table: Table[Track] | Table[Facts]) -> set[str]:
    columns = table.columns("id", "status").to_pydict()
    return {i for i, status in zip(columns["id"], columns["status"], strict=True) if status == OK}


STAGE = Stage(
    name="captions",
    title=StageTitle("Annotation", "Captions", "A teacher's description of every 30 seconds."),
    config=CaptionsConfig,
    inputs={"tracks": Track, "facts": Facts},
    outputs={"captions": Caption},
    run=run,
)
