"""A performance as timed note events, in seconds from the recording's start."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from music_flamingo.sources.harmony import Harmony, harmonise
from music_flamingo.sources.performance import Performance, tactus_quarters
from music_flamingo.sources.reading import NotatedScore, Note

BASS_PROGRAM, COMPING_PROGRAM = 33, 0
DRUM_CHANNEL = 9
KICK, SNARE, HAT, LOW_CONGA, HIGH_CONGA = 36, 38, 42, 64, 63
MELODY_VELOCITY, ACCENT, ACCOMPANIMENT_SOFTER = 84, 20, 14
RELEASE_S = 0.02
"""Notes end this much before the next begins, as players articulate."""
MIN_NOTE_S = 0.05


@dataclass(frozen=True, order=True)
class Event:
    """A key pressed or released."""

    time_s: float
    is_on: bool
    channel: int
    program: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Sounding:
    """A note of the performance before humanising."""

    channel: int
    program: int
    start_s: float
    end_s: float
    pitch: int
    velocity: int


def skyline(notes: tuple[Note, ...]) -> tuple[Note, ...]:
    """The melody: the highest note at each onset of the first part, cut where the next begins."""
    lead, top = lead_part(notes), dict[float, Note]()
    for note in notes:
        best = top.get(note.start_q)
        if note.part == lead and (best is None or note.pitch > best.pitch):
            top[note.start_q] = note
    line = [top[start] for start in sorted(top)]
    ends = [n.start_q for n in line[1:]] + [float("inf")]
    return tuple(Note(n.part, n.start_q, min(n.end_q, end), n.pitch) for n, end in zip(line, ends, strict=True))


def lead_part(notes: tuple[Note, ...]) -> int:
    """Number of the leading part: the lowest one."""
    return min(n.part for n in notes)


class PerformancePlan:
    """What sounds when. `events` adds the players' imprecision; the truth is read from the plan without it."""

    def __init__(self, score: NotatedScore, performance: Performance, rng: random.Random) -> None:
        self.score, self.performance, self.rng = score, performance, rng
        self.beat_q = tactus_quarters(score.meter)
        self.quarter_s = 60.0 / performance.tempo_bpm / self.beat_q
        self.beats_per_bar = round(score.bar_q / self.beat_q)
        self.harmonies = self._harmonies()
        self.soundings = list(self._melodic()) + list(self._comping())

    def seconds(self, position_q: float) -> float:
        """Time (s) in the recording of a position in quarter notes."""
        return self.performance.lead_in_s + (position_q - self.performance.start_q) * self.quarter_s

    def events(self) -> list[Event]:
        """Key presses and releases in order of time, humanised."""
        events, spread = [], self.performance.velocity_jitter
        for s in self.soundings + list(self._drums()):
            jitter_s = self.rng.gauss(0, self.performance.timing_jitter_s)
            velocity = s.velocity + self.rng.randint(-spread, spread)
            start_s = max(0.0, s.start_s + jitter_s)
            end_s = max(start_s + MIN_NOTE_S, min(s.end_s, self.performance.duration_s) + jitter_s - RELEASE_S)
            velocity = max(1, min(127, velocity))
            events.append(Event(start_s, True, s.channel, s.program, s.pitch, velocity))
            events.append(Event(end_s, False, s.channel, s.program, s.pitch, 0))
        return sorted(events)

    def times(self, start_q: float, end_q: float) -> Iterator[tuple[float, float]]:
        """When the segment of the score sounds, once for every repetition, cut at the edges of the recording."""
        p, length_q = self.performance, self.score.length_q
        end_of_recording_q = p.start_q + (p.duration_s - p.lead_in_s) / self.quarter_s
        for repetition in range(int(end_of_recording_q // length_q) + 1):
            shift_q = repetition * length_q
            start_s = self.seconds(max(start_q + shift_q, p.start_q))
            end_s = min(self.seconds(end_q + shift_q), p.duration_s)
            if end_s - start_s >= MIN_NOTE_S:
                yield start_s, end_s

    def _melodic(self) -> Iterator[Sounding]:
        score, p = self.score, self.performance
        notes = skyline(score.notes) if p.texture == "melody" or not score.is_polyphonic else score.notes
        lead = lead_part(score.notes)
        for note in notes:
            channel = _channel(note.part - lead)
            program = p.programs[(note.part - lead) % len(p.programs)]
            velocity = MELODY_VELOCITY + (ACCENT if self._is_downbeat(note.start_q) else 0)
            velocity -= ACCOMPANIMENT_SOFTER if note.part != lead else 0
            for start_s, end_s in self.times(note.start_q, note.end_q):
                yield Sounding(channel, program, start_s, end_s, note.pitch + p.transpose, velocity)

    def _comping(self) -> Iterator[Sounding]:
        """Chords under a melody that has none of its own."""
        p = self.performance
        if p.texture == "melody" or self.score.is_polyphonic:
            return
        for harmony in self.harmonies:
            if p.comping == "held":
                yield from self._held(harmony)
            else:
                yield from self._on_beats(harmony)

    def _held(self, harmony: Harmony) -> Iterator[Sounding]:
        p = self.performance
        program = p.programs[1 % len(p.programs)]
        for pitch in _triad_near(48, harmony):
            for start_s, end_s in self.times(harmony.start_q, harmony.end_q):
                velocity = MELODY_VELOCITY - ACCOMPANIMENT_SOFTER
                yield Sounding(1, program, start_s, end_s, pitch + p.transpose, velocity)

    def _on_beats(self, harmony: Harmony) -> Iterator[Sounding]:
        transpose = self.performance.transpose
        position_q = harmony.start_q
        while position_q < harmony.end_q - 1e-6:
            end_q = min(position_q + self.beat_q, harmony.end_q)
            strong = self._beat_number(position_q) % 2 == 0
            for start_s, end_s in self.times(position_q, end_q):
                if strong and harmony.root is not None:
                    yield Sounding(2, BASS_PROGRAM, start_s, end_s, 36 + (harmony.root + transpose) % 12, 96)
                for pitch in _triad_near(54, harmony):
                    yield Sounding(1, COMPING_PROGRAM, start_s, end_s, pitch + transpose, 70 if strong else 80)
            position_q = end_q

    def _drums(self) -> Iterator[Sounding]:
        p = self.performance
        if p.drums == "none":
            return
        hats = p.drums == "kit" and self.rng.random() < 0.7
        for beat, time_s in self.beat_times():
            if p.drums == "congas":
                hits = [(LOW_CONGA, 92) if beat == 0 else (HIGH_CONGA, 70)]
            else:
                kick = beat == 0 or (self.beats_per_bar == 4 and beat == 2)
                hits = [(KICK if kick else SNARE, 112 if beat == 0 else 96)] + ([(HAT, 80)] if hats else [])
            for pitch, velocity in hits:
                yield Sounding(DRUM_CHANNEL, 0, time_s, time_s + 0.2, pitch, round(velocity * p.drum_level))

    def _beat_number(self, position_q: float) -> int:
        return round((position_q - self.score.pickup_q) / self.beat_q) % self.beats_per_bar

    def _is_downbeat(self, position_q: float) -> bool:
        bars = (position_q - self.score.pickup_q) / self.score.bar_q
        return abs(bars - round(bars)) < 1e-3

    def beat_times(self) -> Iterator[tuple[int, float]]:
        """(number in the bar from 0, time) of each beat of the recording. The grid runs on over repetitions."""
        p = self.performance
        first = -int(-((p.start_q - self.score.pickup_q) / self.beat_q - 1e-6) // 1)
        beat = first
        while True:
            position_q = self.score.pickup_q + beat * self.beat_q
            time_s = self.seconds(position_q)
            if time_s >= p.duration_s - MIN_NOTE_S:
                return
            yield beat % self.beats_per_bar, time_s
            beat += 1

    def _harmonies(self) -> tuple[Harmony, ...]:
        score = self.score
        if score.harmonies:
            return score.harmonies
        melody = [(n.start_q, n.end_q, n.pitch) for n in skyline(score.notes)]
        step_q = score.bar_q if score.bar_q <= 2 or self.beats_per_bar == 3 else score.bar_q / 2
        return tuple(harmonise(melody, score.tonic, score.mode, score.pickup_q, step_q, score.length_q))


def _channel(part: int) -> int:
    """The synthesiser's channel of a part: sixteen of them, the tenth being the drums'."""
    return part % 15 + (1 if part % 15 >= DRUM_CHANNEL else 0)


def _triad_near(lowest: int, harmony: Harmony) -> list[int]:
    return [lowest + (pitch_class - lowest) % 12 for pitch_class in harmony.pitch_classes]
