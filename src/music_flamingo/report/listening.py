"""Listening pages: the choice of tracks, and each page's data."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from music_flamingo.audio.flac import MODEL_RATE_HZ, decode_flac
from music_flamingo.audio.windows import choose_window
from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.core.record import read_parquet
from music_flamingo.records import Caption, Chain, Example, Facts, Measured, Prediction, Track, Truth, trusted
from music_flamingo.report.results import ComparedQuestion, asked
from music_flamingo.report.run import AnnotationInputs, ReportInputs, TrackRow, of_tracks, tradition_name
from music_flamingo.report.timeline import (
    Lanes,
    Waveform,
    heard_lanes,
    key_symbol,
    measured_lanes,
    score_lanes,
    waveform,
)
from music_flamingo.scoring.families import on_sound
from music_flamingo.scoring.normalise import same_answer
from music_flamingo.scoring.tempo import same_tempo

SLUG_LETTERS = 40
SPLIT_ORDER = ("test", "train", "dev")
PROCESSOR_CONFIG = "model/processor_config.json"
CARD_BINS = 140
"""Bins of the small waveform on a track's card."""


@dataclass(frozen=True)
class FactRow:
    """One fact of a page: value, tool, confidence, truth, agreement."""

    name: str
    value: str
    tool: str
    confidence: float
    truth: str | None
    """What the score says, where there is one."""
    agrees: bool | None
    """None where nothing can be compared."""


@dataclass
class Page:
    """One listening page."""

    track: Track
    slug: str
    waveform: Waveform
    card: Waveform
    facts: Facts | None
    truth: Truth | None
    lanes: tuple[Lanes, ...]
    fact_rows: tuple[FactRow, ...]
    captions: list[Caption] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    rejects: list[Example] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)
    discarded: list[Chain] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The track's title, or its work where it has none."""
        return self.track.title or self.track.work_id

    @property
    def tradition(self) -> str:
        """Name of the track's tradition."""
        return tradition_name(self.track.tradition)

    @property
    def asked(self) -> list[ComparedQuestion]:
        """Questions about the track with every model's answers."""
        return asked(self.predictions)

    @property
    def address(self) -> str:
        """Address of the page within the site."""
        return f"listen/{self.slug}.html"

    @property
    def audio_address(self) -> str:
        """Address of the page's audio file within the site."""
        return f"listen/audio/{self.slug}.flac"


def slug(track_id: str) -> str:
    """A safe file name that still reads: `bach/bwv66.6#2` -> `bach-bwv66-6-2-1f0c9a3e`."""
    plain = re.sub(r"[^a-z0-9]+", "-", track_id.lower()).strip("-")[:SLUG_LETTERS].strip("-")
    return f"{plain or 'track'}-{sha256_bytes(track_id.encode())[:8]}"


def choose(rows: Sequence[TrackRow], with_chain: Collection[str], num_pages: int, seed: int) -> list[TrackRow]:
    """Tracks for listening: in turn from every split and tradition, a new work each while there is one.

    Within a split and tradition, tracks with a chain of thought come first, then the seed decides.
    """
    strata: dict[tuple[str, str], list[TrackRow]] = {}
    for row in rows:
        if row.is_ok and row.duration_s:
            strata.setdefault((row.split, row.tradition or ""), []).append(row)
    by_split = {
        split: [
            sorted(strata[k], key=lambda r: (r.id not in with_chain, sha256_bytes(f"{seed}:{r.id}".encode())))
            for k in sorted(strata)
            if k[0] == split
        ]
        for split in SPLIT_ORDER
    }
    queues = [list(_new_works_first(by_split[split])) for split in SPLIT_ORDER]
    return list(_in_turn(queues))[:num_pages]


def _new_works_first(queues: list[list[TrackRow]]) -> Iterator[TrackRow]:
    seen: set[str] = set()
    again: list[TrackRow] = []
    for row in _in_turn(queues):
        if row.work_id in seen:
            again.append(row)
        else:
            seen.add(row.work_id)
            yield row
    yield from again


def _in_turn(queues: list[list[TrackRow]]) -> Iterator[TrackRow]:
    for place in range(max(map(len, queues), default=0)):
        yield from (queue[place] for queue in queues if place < len(queue))


def with_audio(run: AnnotationInputs, chosen: Sequence[TrackRow], max_bytes: int) -> list[Track]:
    """The chosen tracks, in order, whose audio fits into `max_bytes` in all; one that no longer fits is passed over."""
    wanted = {row.id for row in chosen}
    sizes = {t.id: len(t.audio.bytes) for path in run.tracks.shards for t in _some(path, wanted) if t.audio}
    kept: list[str] = []
    room = max_bytes
    for row in chosen:
        if row.id in sizes and sizes[row.id] <= room:
            kept.append(row.id)
            room -= sizes[row.id]
    found = {t.id: t for path in run.tracks.shards for t in _some(path, set(kept))}
    return [found[k] for k in kept]


def _some(path: Path, ids: set[str]) -> Iterator[Track]:
    here = ids & set(pq.read_table(path, columns=["id"])["id"].to_pylist())
    return (t for t in read_parquet(path, Track) if t.id in here) if here else iter(())


def annotated_pages(run: AnnotationInputs, tracks: Sequence[Track], bins_per_s: float) -> dict[str, Page]:
    """The pages of these tracks by id: what was measured, and what was written and kept or rejected."""
    ids = {t.id for t in tracks}
    facts = {f.id: f for f in of_tracks(run.facts, "id", ids)}
    truths = {t.id: t for t in of_tracks(run.truth, "id", ids)}
    made = {t.id: _page(t, facts.get(t.id), truths.get(t.id), bins_per_s) for t in tracks}
    for caption in of_tracks(run.captions, "track_id", ids):
        if caption.is_ok:
            made[caption.track_id].captions.append(caption)
    for example in of_tracks(run.skills, "track_id", ids):
        made[example.track_id].examples.append(example)
    for example in of_tracks(run.rejects, "track_id", ids):
        made[example.track_id].rejects.append(example)
    return made


def listening_pages(run: ReportInputs, tracks: Sequence[Track], bins_per_s: float) -> list[Page]:
    """The pages of these tracks, with everything that was written and answered about each."""
    made = annotated_pages(run, tracks, bins_per_s)
    ids = set(made)
    for chain in of_tracks(run.think, "track_id", ids):
        made[chain.track_id].chains.append(chain)
    for chain in of_tracks(run.think_rejects, "track_id", ids):
        made[chain.track_id].discarded.append(chain)
    for prediction in of_tracks(run.predictions, "track_id", ids):
        made[prediction.track_id].predictions.append(prediction)
    _show_what_was_heard(run, made.values())
    return list(made.values())


def _show_what_was_heard(run: ReportInputs, made: Iterable[Page]) -> None:
    """Mark the window that the examined models listened to: the middle of a track, as long as they can hear."""
    config = run.grpo_model.root / PROCESSOR_CONFIG
    if not config.is_file():
        return
    max_samples = int(json.loads(config.read_text())["max_audio_len"] * MODEL_RATE_HZ)
    for page in made:
        duration_s = page.track.duration_s or 0.0
        start, end = choose_window(int(duration_s * MODEL_RATE_HZ), max_samples, "middle")
        if page.predictions and end - start == max_samples:
            page.lanes += (heard_lanes((start / MODEL_RATE_HZ, end / MODEL_RATE_HZ), duration_s),)


def _page(track: Track, facts: Facts | None, truth: Truth | None, bins_per_s: float) -> Page:
    assert track.audio is not None, f"{track.id} was chosen without audio"
    samples = decode_flac(track.audio.bytes)
    duration_s = track.duration_s or 1.0
    lanes = [measured_lanes(facts, duration_s)] + ([score_lanes(truth, duration_s)] if truth else [])
    return Page(
        track=track,
        slug=slug(track.id),
        waveform=waveform(samples, round(duration_s * bins_per_s)),
        card=waveform(samples, CARD_BINS),
        facts=facts,
        truth=truth,
        lanes=tuple(one for one in lanes if one.beats or one.rows),
        fact_rows=(*fact_rows(trusted(facts), truth), *withheld_rows(facts)) if facts else (),
    )


def fact_rows(facts: Facts, truth: Truth | None) -> Iterator[FactRow]:
    """What was measured and by which tool, and what the score says of it where there is one."""
    if facts.content:
        yield _row("Heard", facts.content.kind, facts.content)
    if facts.tempo:
        told = f"{truth.tempo_bpm:.0f} bpm" if truth else None
        agrees = same_tempo(facts.tempo.bpm, truth.tempo_bpm) if truth else None
        also = f", or {facts.tempo.also_bpm:.1f}" if facts.tempo.also_bpm else ""
        yield _row("Tempo", f"{facts.tempo.bpm:.1f}{also} bpm", facts.tempo, told, agrees)
    if facts.beats:
        told = f"{truth.meter}, {truth.beats_per_bar} beats a bar" if truth else None
        agrees = facts.beats.beats_per_bar == truth.beats_per_bar if truth else None
        if facts.beats.beats_per_bar:
            yield _row("Meter", f"{facts.beats.beats_per_bar} beats a bar", facts.beats, told, agrees)
    if facts.key:
        told = truth.key if truth else None
        agrees = same_answer(facts.key.label, told) if told else None
        yield _row("Key", key_symbol(facts.key.label), facts.key, told and key_symbol(told), agrees)
    if facts.chords:
        yield _row("Chords", f"{len(facts.chords.segments)} segments", facts.chords)
    if facts.sections:
        told = " ".join(s.label for s in truth.sections) if truth else ""
        yield _row("Form", " ".join(s.label for s in facts.sections.segments), facts.sections, told or None)
    if facts.sound:
        yield from _sound_rows(facts, truth)
    yield from _player_rows(facts)
    if facts.dynamics:
        value = f"{facts.dynamics.trend}, {facts.dynamics.range_db:.1f} dB between soft and loud"
        yield _row("Dynamics", value, facts.dynamics)
    if facts.lyrics:
        value = f"{len(facts.lyrics.lines)} lines" if facts.lyrics.available else "unavailable"
        yield _row("Lyrics", value, facts.lyrics)


def _player_rows(facts: Facts) -> Iterator[FactRow]:
    if facts.instruments and facts.instruments.labels:
        named = (f"{i.name} ({i.probability:.2f})" for i in facts.instruments.labels)
        yield _row("Instruments", ", ".join(named), facts.instruments)
    if facts.voice:
        kind = f"{facts.voice.register_heard or 'a'} voice{' that sings' if facts.voice.sings else ''}"
        yield _row("Voice", kind if facts.voice.present else "none", facts.voice)
    if facts.genre and facts.genre.labels:
        yield _row("Genre", ", ".join(f"{g.name} ({g.probability:.2f})" for g in facts.genre.labels), facts.genre)


def withheld_rows(facts: Facts) -> Iterator[FactRow]:
    """What was measured and is not trusted, with the reason; its value is in the record."""
    for entry in facts.withheld:
        fact = getattr(facts, entry.fact.partition(".")[0])
        if isinstance(fact, Measured):
            name = entry.fact.replace(".", ", ").replace("_", " ").capitalize()
            yield _row(name, f"withheld: {entry.reason.replace('_', ' ')}", fact)


def _sound_rows(facts: Facts, truth: Truth | None) -> Iterator[FactRow]:
    assert facts.sound is not None
    for family in on_sound():
        heard = family.from_facts(facts) or ""
        held = family.from_truth(truth) if truth else None
        yield _row(family.title, heard, facts.sound, held, heard == held if truth else None)


def _row(name: str, value: str, by: Measured, truth: str | None = None, agrees: bool | None = None) -> FactRow:
    return FactRow(name, value, f"{by.tool} {by.tool_version}".strip(), by.confidence, truth, agrees)
