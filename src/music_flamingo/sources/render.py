"""Render note events by tinysoundfont, with the TimGM6mb soundfont of pretty_midi: 44.1 kHz, mono.

A fresh synthesiser for every recording: its voices and effects live on between renders, and a recording must not
depend on what was rendered before it.
"""

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from music_flamingo.core.errors import MissingToolError
from music_flamingo.records import Truth
from music_flamingo.sources.performance import Performance
from music_flamingo.sources.plan import DRUM_CHANNEL, Event, PerformancePlan
from music_flamingo.sources.reading import NotatedScore
from music_flamingo.sources.truth import tell_truth

RATE_HZ = 44100
GAIN_DB = -6.0
PEAK = 0.97
FADE_S = 0.05


def render_performance(
    score: NotatedScore, performance: Performance, seed: int, *, level_dbfs: float = -20.0, noise_dbfs: float = -80.0
) -> tuple[np.ndarray, Truth]:
    """One performance of any length: (mono float32 samples at 44.1 kHz, the truth of what sounds).

    For measuring MIR tools on longer recordings than the data set's, e.g.

        score = read_score(find_piece("bach-bwv66.6"))
        performance = Performance(tempo_bpm=84, transpose=0, programs=(52,), texture="chords", drums="none",
                                  comping="held", start_q=0.0, lead_in_s=0.5, duration_s=70.0,
                                  timing_jitter_s=0.006, velocity_jitter=8)
        samples, truth = render_performance(score, performance, seed=0)

    The truth's id is the work's. The same arguments give the same bytes.
    """
    rng = random.Random(f"{seed}/{score.piece.work_id}")
    plan = PerformancePlan(score, performance, rng)
    samples = synthesise(plan.events(), performance.duration_s)
    noise_seed = rng.getrandbits(63)
    return finish(samples, level_dbfs, noise_dbfs, noise_seed), tell_truth(plan, score.piece.work_id)


def synthesise(events: Sequence[Event], duration_s: float) -> np.ndarray:
    """Events in order of time -> float32 samples. Shape (round(duration_s * RATE_HZ),)."""
    try:
        import tinysoundfont
    except ImportError as error:
        raise MissingToolError(
            "rendering scores needs tinysoundfont. Install with: pip install --no-deps tinysoundfont"
        ) from error
    synth = tinysoundfont.Synth(gain=GAIN_DB, samplerate=RATE_HZ)
    font = synth.sfload(_soundfont())
    num_samples, position = round(duration_s * RATE_HZ), 0
    blocks: list[np.ndarray] = []
    programs: dict[int, int] = {}
    for event in events:
        until = min(round(event.time_s * RATE_HZ), num_samples)
        if until > position:
            blocks.append(_mono(synth.generate(until - position)))
            position = until
        if until >= num_samples:
            break
        if programs.get(event.channel) != event.program:
            is_drums = event.channel == DRUM_CHANNEL
            synth.program_select(event.channel, font, 128 if is_drums else 0, event.program, is_drums)
            programs[event.channel] = event.program
        if event.is_on:
            synth.noteon(event.channel, event.pitch, event.velocity)
        else:
            synth.noteoff(event.channel, event.pitch)
    if num_samples > position:
        blocks.append(_mono(synth.generate(num_samples - position)))
    return np.concatenate(blocks)


def finish(samples: np.ndarray, level_dbfs: float, noise_dbfs: float, noise_seed: int) -> np.ndarray:
    """Bring the mean level to `level_dbfs` (less where peaks would clip), add faint noise, fade the end."""
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    gain = 10 ** (level_dbfs / 20) / max(level, 1e-9)
    gain = min(gain, PEAK / max(float(np.abs(samples).max()), 1e-9))
    fade = np.ones_like(samples)
    fade[-round(FADE_S * RATE_HZ) :] = np.linspace(1, 0, round(FADE_S * RATE_HZ), dtype=np.float32)
    noise = np.random.default_rng(noise_seed).normal(0, 10 ** (noise_dbfs / 20), len(samples))
    return np.clip(samples * gain * fade + noise, -1, 1).astype(np.float32)


@cache
def _soundfont() -> bytes:
    try:
        import pretty_midi
    except ImportError as error:
        raise MissingToolError(
            "rendering needs pretty_midi's soundfont. Install with: pip install pretty_midi"
        ) from error
    return (Path(pretty_midi.__file__).parent / "TimGM6mb.sf2").read_bytes()


def _mono(buffer: memoryview) -> np.ndarray:
    return np.frombuffer(bytes(buffer), np.float32).reshape(-1, 2).mean(axis=1)
