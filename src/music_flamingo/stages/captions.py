"""captions: a teacher's first description of each 30 s of a track (paper, section on MF-Skills, step 1).

Surface facts alone: what is heard, without tempo, key or chords, so that nothing invented here is carried on. A track
is cut into windows of equal length; the last one is shorter. Times are seconds from the start of the track.
"""

from pydantic import Field

from music_flamingo.core.ports import Table, Writer
from music_flamingo.core.progress import Progress
from music_flamingo.core.record import OK
from music_flamingo.core.shards import shard_index
from music_flamingo.core.stage import Metrics, Stage, StageConfig
from music_flamingo.records import Caption, Facts, Track
from music_flamingo.teachers import Teacher, TeacherConfig, ask, open_teacher, stamp
from music_flamingo.teachers.payloads import TextReply, WindowPayload

PROMPT = "initial_caption"


class CaptionsConfig(StageConfig):
    teacher: TeacherConfig
    window_s: float = Field(gt=0)
    """Length of a described stretch (paper: 30 s, what an audio-language model hears at once)."""
    shortest_s: float = Field(gt=0)
    """A rest shorter than this is described together with the window before it."""
    seed: int


def windows(duration_s: float, window_s: float, shortest_s: float) -> list[tuple[float, float]]:
    """(start, end) of each window; together they cover the track without gap."""
    starts = [0.0]
    while duration_s - starts[-1] - window_s >= shortest_s:
        starts.append(starts[-1] + window_s)
    return list(zip(starts, [*starts[1:], duration_s], strict=True))


def describe(config: CaptionsConfig, teacher: Teacher, track: Track, facts: Facts) -> list[Caption]:
    assert track.duration_s is not None, "a track that is ok has a duration"
    captions = []
    for index, (start_s, end_s) in enumerate(windows(track.duration_s, config.window_s, config.shortest_s)):
        payload = WindowPayload(
            track_id=track.id,
            start_s=round(start_s, 2),
            end_s=round(end_s, 2),
            has_drums=facts.sound.has_drums if facts.sound else None,
            texture=facts.sound.texture if facts.sound else None,
            lead_envelope=facts.sound.lead_envelope if facts.sound else None,
            dynamics_trend=facts.dynamics.trend if facts.dynamics else None,
        )
        reply = ask(teacher, PROMPT, payload, TextReply, config.seed, str(index))
        captions.append(
            Caption(
                id=f"{track.id}/{index}",
                track_id=track.id,
                start_s=start_s,
                end_s=end_s,
                text=reply.text,
                teacher=stamp(teacher, PROMPT),
            )
        )
    return captions


def run(config: CaptionsConfig, tracks: Table[Track], facts: Table[Facts], captions: Writer[Caption]) -> Metrics:
    teacher = open_teacher(config.teacher)
    pending = [i for i in map(shard_index, tracks.shards) if not captions.has(i)]
    with Progress("captions", len(pending), "shards") as progress:
        for index in pending:
            known = {f.id: f for f in facts.read_shard(index) if f.is_ok}
            described = [t for t in tracks.read_shard(index) if t.is_ok and t.id in known]
            captions.write(index, [c for t in described for c in describe(config, teacher, t, known[t.id])])
            progress.advance()
    return {"teacher": config.teacher.kind, "tracks_without_facts": len(_ok_ids(tracks) - _ok_ids(facts))}


def _ok_ids(table: Table[Track] | Table[Facts]) -> set[str]:
    columns = table.columns("id", "status").to_pydict()
    return {i for i, status in zip(columns["id"], columns["status"], strict=True) if status == OK}


STAGE = Stage(
    name="captions",
    config=CaptionsConfig,
    inputs={"tracks": Track, "facts": Facts},
    outputs={"captions": Caption},
    run=run,
    code=("core/record.py", "records", "scoring", "prompts", "teachers", "stages/captions.py"),
)
