"""The `scores` source: pieces of music21's corpus, performed several times, rendered to FLAC, with truth.

Performances differ in tempo, key, instruments, drums and texture. Over four performances of a work, drums, texture
and the lead's envelope come in balanced combinations, and every tempo class occurs; the seed decides which goes where.
"""

import random
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from music_flamingo.audio.decode import DecodeLimits
from music_flamingo.audio.flac import encode_flac
from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.core.ranges import (
    Count,
    CountOrNone,
    DecibelRange,
    NonNegative,
    NonNegativeRange,
    Positive,
    PositiveRange,
    Seed,
    SemitoneRange,
)
from music_flamingo.core.shards import write_atomic
from music_flamingo.records.track import Split
from music_flamingo.sources import SourceRecording
from music_flamingo.sources.licences import CORPUS, SOUNDFONT
from music_flamingo.sources.performance import DECAYING, FAMILIES, SUSTAINED, Performance, tactus_quarters
from music_flamingo.sources.pieces import Piece, choose_pieces, find_piece, held_out_pieces
from music_flamingo.sources.plan import PerformancePlan, skyline
from music_flamingo.sources.reading import NotatedScore, Note, read_score
from music_flamingo.sources.render import RATE_HZ, render_performance
from music_flamingo.sources.truth import words_heard

MIN_HEARD_NOTES = 8
MIN_COVERAGE = 0.6
"""Of the time: an excerpt whose melody rests for longer is taken only where the piece has no better."""


class HeldOutWorks(BaseModel):
    """Further works that nobody trains on: intervals over works are as narrow as there are works."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    num_works: CountOrNone | None
    """How many, dealt round the traditions; null for all."""
    performances: Count
    """Recordings of each: fewer than of what is trained on, for works are what counts."""
    dev_every: Count
    """Every so many-th work is dev's, the others are test's."""


class ScoresConfig(BaseModel):
    """Which pieces are performed, how often, and how the performances vary."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    uses: ClassVar = (CORPUS, SOUNDFONT)
    kind: Literal["scores"]
    seed: Seed
    num_works: Count | None
    """How many pieces, dealt round the traditions; null for all."""
    performances: Count
    """Recordings of each piece; multiples of four balance drums, texture and envelope exactly."""
    held_out: HeldOutWorks | None
    """On top of the works that are dealt over the splits; null for none."""
    excerpt_s: Positive
    tempo_bpm: dict[str, PositiveRange]
    """Tempo classes and their ranges. They keep clear of each other, so that a class is never a matter of opinion."""
    transpose: SemitoneRange
    """Semitones, lowest and highest."""
    lead_in_s: NonNegativeRange
    level_dbfs: DecibelRange
    """Mean level of a recording."""
    noise_dbfs: DecibelRange
    """Of white noise added to it."""
    timing_jitter_s: NonNegative
    """Standard deviation of a note's onset."""
    velocity_jitter: CountOrNone
    """Largest change of a note's velocity, of 127."""
    drum_level: NonNegativeRange
    """Loudness of the drums relative to the other parts; 1 is as loud."""

    def open(self, limits: DecodeLimits) -> "ScoresSource":
        """Make the source."""
        return ScoresSource(self)


class ScoresSource:
    """Units are work ids."""

    tool = "scores"
    is_rendered = True

    def __init__(self, config: ScoresConfig) -> None:
        self.config = config

    def tool_version(self) -> str:
        """Versions of music21, the synthesiser and its soundfont's package."""
        return ", ".join(f"{name} {version(name)}" for name in ("music21", "tinysoundfont", "pretty_midi"))

    def units(self) -> Sequence[str]:
        """Ids of the works, one unit each."""
        return [piece.work_id for piece in (*choose_pieces(self.config.num_works), *self._held_out())]

    def num_recordings(self, unit: str) -> int:
        """Performances of a work; a further work that is held out may have others."""
        more = self.config.held_out
        is_held_out = more is not None and self._given_split(unit) is not None
        return more.performances if more and is_held_out else self.config.performances

    def _held_out(self) -> list[Piece]:
        more = self.config.held_out
        return choose_pieces(more.num_works, held_out_pieces()) if more else []

    def _given_split(self, work_id: str) -> Split | None:
        """The split of a held-out work; None for one that is dealt."""
        more, places = self.config.held_out, {p.work_id: k for k, p in enumerate(held_out_pieces())}
        if more is None or work_id not in places:
            return None
        return "dev" if places[work_id] % more.dev_every == 0 else "test"

    def recordings(self, unit: str, originals: Path) -> Iterator[SourceRecording]:
        """Parse the piece once, render its performances into `originals`."""
        score = read_score(find_piece(unit))
        for number in range(self.num_recordings(unit)):
            yield self._record(score, number, originals)

    def _record(self, score: NotatedScore, number: int, originals: Path) -> SourceRecording:
        config, piece = self.config, score.piece
        track_id = f"{piece.work_id}-p{number}"
        rng = random.Random(f"{config.seed}/{track_id}")
        performance = draw_performance(config, score, number, rng)
        seed = rng.getrandbits(62)
        samples, truth = render_performance(
            score,
            performance,
            seed,
            level_dbfs=rng.uniform(*config.level_dbfs),
            noise_dbfs=rng.uniform(*config.noise_dbfs),
        )
        # a folder of its own for every 256th: no directory grows without bounds
        original = f"{sha256_bytes(piece.work_id.encode())[:2]}/{track_id}.flac"
        write_atomic(originals / original, encode_flac(samples, RATE_HZ))
        return SourceRecording(
            id=track_id,
            work_id=piece.work_id,
            title=score.title,
            artist=score.artist,
            tradition=piece.tradition,
            region=piece.region,
            language=piece.language if score.words else None,
            lyrics=words_heard(PerformancePlan(score, performance, rng)),
            uri=f"score:{piece.source}{'' if piece.number is None else f'#{piece.number}'}?performance={number}",
            original=original,
            path=originals / original,
            seed=seed,
            truth=truth.model_copy(update={"id": track_id}),
            given_split=self._given_split(piece.work_id),
        )


def draw_performance(config: ScoresConfig, score: NotatedScore, number: int, rng: random.Random) -> Performance:
    """The `number`-th performance of a work. Balance is by work: the same seed gives a work the same deal."""
    deal = random.Random(f"{config.seed}/{score.piece.work_id}/deal")
    flips = [deal.random() < 0.5 for _ in range(3)]
    classes = deal.sample(sorted(config.tempo_bpm), len(config.tempo_bpm))
    families = {True: deal.sample(DECAYING, 2), False: deal.sample(SUSTAINED, 3)}
    drums, chords = bool(number & 1) ^ flips[0], bool(number >> 1 & 1) ^ flips[1]
    decaying = bool(number & 1) ^ bool(number >> 1 & 1) ^ flips[2]
    tempo_class = classes[number % len(classes)] if number < len(classes) else rng.choice(classes)
    family = families[decaying][(number // 2) % len(families[decaying])]
    tempo_bpm = rng.uniform(*config.tempo_bpm[tempo_class])
    duration_s, lead_in_s = config.excerpt_s, rng.uniform(*config.lead_in_s)
    quarters = (duration_s - lead_in_s) * tempo_bpm / 60 * tactus_quarters(score.meter)
    return Performance(
        tempo_bpm=tempo_bpm,
        transpose=rng.randint(*config.transpose),
        programs=tuple(rng.choice(FAMILIES[family]) for _ in range(4)),
        texture="chords" if chords else "melody",
        drums="kit" if drums else "none",
        comping="held",
        start_q=_draw_start(score, quarters, rng),
        lead_in_s=lead_in_s,
        duration_s=duration_s,
        timing_jitter_s=config.timing_jitter_s,
        velocity_jitter=config.velocity_jitter,
        drum_level=rng.uniform(*config.drum_level),
    )


def _draw_start(score: NotatedScore, quarters: float, rng: random.Random) -> float:
    """A beat of the score from which on the melody is heard well for `quarters`, or, failing that, best."""
    beat_q = tactus_quarters(score.meter)
    beats = range(max(1, int((score.length_q - score.pickup_q) / beat_q)))
    starts = [score.pickup_q + beat * beat_q for beat in beats]
    melody = skyline(score.notes)
    best, best_heard = starts[0], (0, 0.0)
    for start_q in rng.sample(starts, len(starts)):
        count, coverage = heard = _heard(melody, score.length_q, start_q, quarters)
        if count >= MIN_HEARD_NOTES and coverage >= MIN_COVERAGE:
            return start_q
        if heard > best_heard:
            best, best_heard = start_q, heard
    return best


def _heard(melody: Sequence[Note], length_q: float, start_q: float, quarters: float) -> tuple[int, float]:
    """(notes, fraction of the time they sound) of the melody from `start_q` on."""
    starts_and_lengths = [
        (note.start_q + repetition * length_q, note.end_q - note.start_q)
        for repetition in range(int((start_q + quarters) // length_q) + 1)
        for note in melody
    ]
    lengths = [length for start, length in starts_and_lengths if start_q <= start < start_q + quarters]
    return len(lengths), sum(lengths) / quarters
