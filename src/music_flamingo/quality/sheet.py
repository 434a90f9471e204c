"""Review sheet: one offline page with audio clips; ratings are downloaded as a file."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from music_flamingo.core.hashing import canonical_json, sha256_bytes, sha256_json
from music_flamingo.core.record import QUARANTINED, RecordPart
from music_flamingo.core.shards import write_atomic
from music_flamingo.quality.docs import templates
from music_flamingo.quality.review import KEPT, Stratum
from music_flamingo.records import Example, Facts
from music_flamingo.scoring.families import on_sound

CLIPS = "clips"
STRATA = "strata.json"
SHOWN_CHORDS = 12


class Cited(RecordPart):
    """A reference, in seconds of the clip."""

    kind: str
    label: str
    start_s: float
    end_s: float


class SheetExample(RecordPart):
    """An example as the sheet shows it."""

    id: str
    stratum: str
    fate: str
    """`kept`, or why it was rejected; the sheet shows it once the example is rated."""
    skill: str
    type: str
    family: str
    question: str
    options: list[str]
    answer: str
    rationale: str
    teacher: str
    facts: list[str]
    cited: list[Cited]
    clip: str
    """Path of the audio, from the page."""
    clip_start_s: float
    """In the recording."""
    clip_s: float


def item(example: Example, stratum: str, facts: Facts | None, clip: str, window_s: tuple[float, float]) -> SheetExample:
    """Build one entry of the sheet from an example, its stratum, facts, clip file and window (s)."""
    start_s, end_s = window_s
    return SheetExample(
        id=example.id,
        stratum=stratum,
        fate=KEPT if example.is_ok else example.status.removeprefix(QUARANTINED),
        skill=example.skill,
        type=example.type,
        family=example.family,
        question=example.question,
        options=example.options,
        answer=example.answer,
        rationale=example.rationale,
        teacher=f"{example.teacher.kind}: {example.teacher.model}",
        facts=describe(facts, start_s, end_s) if facts else [],
        cited=[
            Cited(kind=r.kind, label=r.label or "", start_s=r.start_s - start_s, end_s=r.end_s - start_s)
            for r in example.references
        ],
        clip=clip,
        clip_start_s=start_s,
        clip_s=end_s - start_s,
    )


def clip_name(track_id: str, window_s: tuple[float, float]) -> str:
    """Equal segments of a track share a file; a track's id may hold what a file's name may not."""
    return f"{CLIPS}/{sha256_bytes(f'{track_id} {window_s[0]:.3f} {window_s[1]:.3f}'.encode())[:16]}.flac"


def describe(facts: Facts, start_s: float, end_s: float) -> list[str]:
    """The measured facts in short lines, chords and words as far as they fall into the segment."""
    said = []
    if facts.tempo:
        said.append(f"tempo {facts.tempo.bpm:.0f} BPM ({facts.tempo.confidence:.2f})")
    if facts.beats:
        bars = len(facts.beats.downbeats_s)
        length = f"{facts.beats.beats_per_bar} beats to the bar" if facts.beats.beats_per_bar else "bars unclear"
        said.append(f"{length}, {bars} bars ({facts.beats.confidence:.2f})")
    if facts.key:
        said.append(f"key {facts.key.label} ({facts.key.confidence:.2f})")
    if facts.chords:
        heard = [s for s in facts.chords.segments if s.start_s < end_s and s.end_s > start_s]
        listed = ", ".join(f"{s.start_s:.1f} {s.label}" for s in heard[:SHOWN_CHORDS])
        said.append(f"chords {listed}{' ...' if len(heard) > SHOWN_CHORDS else ''} ({facts.chords.confidence:.2f})")
    if facts.sections:
        said.append("sections " + ", ".join(f"{s.start_s:.1f} {s.label}" for s in facts.sections.segments))
    if facts.sound:
        claims = " ".join(f.claims[answer].short for f in on_sound() if (answer := f.from_facts(facts)))
        said.append(f"{claims} ({facts.sound.confidence:.2f})")
    if facts.dynamics:
        said.append(f"dynamics {facts.dynamics.trend}, range {facts.dynamics.range_db:.0f} dB")
    if facts.lyrics and facts.lyrics.available:
        words = " / ".join(s.label for s in facts.lyrics.lines if s.start_s < end_s and s.end_s > start_s)
        said.append(f"words {words[:300]}")
    return said


def write_sheet(folder: Path, items: Sequence[SheetExample], strata: Sequence[Stratum]) -> None:
    """`index.html` and `strata.json`; the clips are written by whoever has the audio."""
    listed = [i.model_dump() for i in items]
    name = sha256_json([[i.id, i.fate, i.question, i.answer] for i in items])[:16]
    # a closing tag inside a text would end the element that carries the data
    data = canonical_json({"name": name, "items": listed}).replace("<", "\\u003c")
    text = templates().get_template("sheet.html.j2").render(data=Markup(data), number=len(items))
    write_atomic(folder / "index.html", text)
    write_atomic(folder / STRATA, canonical_json([s.model_dump() for s in strata]) + "\n")
