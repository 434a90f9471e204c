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
from music_flamingo.records import Caption, Chain, Example, Facts, Prediction, Track, Truth, trusted
from music_flamingo.report.fact_rows import FactRow, fact_rows, withheld_rows
from music_flamingo.report.results import ComparedQuestion, asked
from music_flamingo.report.run import AnnotationInputs, ReportInputs, TrackRow, of_tracks, tradition_name
from music_flamingo.report.timeline import (
    Lanes,
    Waveform,
    heard_lanes,
    measured_lanes,
    score_lanes,
    waveform,
)

SLUG_LETTERS = 40
SPLIT_ORDER = ("test", "train", "dev")
PROCESSOR_CONFIG = "model/processor_config.json"
MOST_BINS = 12_000
"""Of a long song's waveform: a browser draws no more of them, and the page stays below 1 MB."""
CARD_BINS = 140
"""Bins of the small waveform on a track's card."""


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
    def json_address(self) -> str:
        """Address of what is known of the track, as JSON, within the site."""
        return f"listen/{self.slug}.json"

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
    held = trusted(facts) if facts else None
    lanes = [measured_lanes(held, duration_s)] + ([score_lanes(truth, duration_s)] if truth else [])
    return Page(
        track=track,
        slug=slug(track.id),
        waveform=waveform(samples, min(MOST_BINS, round(duration_s * bins_per_s))),
        card=waveform(samples, CARD_BINS),
        facts=facts,
        truth=truth,
        lanes=tuple(one for one in lanes if one.beats or one.rows),
        fact_rows=(*fact_rows(held, truth), *withheld_rows(facts)) if facts and held else (),
    )
