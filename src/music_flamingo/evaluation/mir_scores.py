"""Score measured facts against the score's truth by mir_eval: one number per performance and fact.

beat F, downbeat F   F-measure within 70 ms, from 5 s on (all of it where a performance ends before 10 s)
tempo Acc1, Acc2     within 4 %; of Acc2 also the double, triple, half and third
key                  weighted score: 1 right, .5 a fifth off, .3 relative, .2 parallel
chords majmin        share of the time with the right major or minor triad, where the truth has one
sections F           boundaries within 3 s and 0.5 s
families that rest on the sound (drums, texture ...)   right or wrong

A fact that is missing scores 0: leaving facts out must not look like measuring them well.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from music_flamingo.records import Facts, Segment, Truth
from music_flamingo.scoring.families import on_sound
from music_flamingo.scoring.tempo import METRICAL_LEVELS, same_tempo


def fact_scores(facts: Facts, truth: Truth) -> dict[str, float]:
    """Scores of one performance, 0 to 1; what its truth says nothing of is absent."""
    beats = facts.beats
    bpm = facts.tempo.bpm if facts.tempo else 0.0
    scores: dict[str, float | None] = {
        "beat F": beat_score(truth.beats_s, beats.beats_s if beats else []),
        "downbeat F": beat_score(truth.downbeats_s, beats.downbeats_s if beats else []),
        "tempo Acc1": float(same_tempo(bpm, truth.tempo_bpm)),
        "tempo Acc2": float(same_tempo(bpm, truth.tempo_bpm, METRICAL_LEVELS)),
        "key": key_score(truth.key, facts.key.label if facts.key else "X") if truth.key else None,
        "chords majmin": chord_score(truth.chords, facts.chords.segments if facts.chords else []),
        **_sections(facts, truth),
        **_sound(facts, truth),
    }
    return {name: float(score) for name, score in scores.items() if score is not None}


def _sections(facts: Facts, truth: Truth) -> Mapping[str, float | None]:
    if facts.sections is None or len(truth.sections) < 2:
        return {}
    segments = facts.sections.segments
    return {f"sections F at {s:g} s": section_score(truth.sections, segments, s) for s in (3.0, 0.5)}


def _sound(facts: Facts, truth: Truth) -> Mapping[str, float]:
    return {f.name.replace("_", " "): float(f.from_facts(facts) == f.from_truth(truth)) for f in on_sound()}


def key_score(reference: str, estimated: str) -> float:
    """Weighted key score of mir_eval (0 to 1)."""
    import mir_eval

    return float(mir_eval.key.weighted_score(reference, estimated))


def beat_score(reference_s: Sequence[float], estimated_s: Sequence[float]) -> float | None:
    """F-measure; None where the truth has no beat."""
    import mir_eval

    reference, estimated = (np.array(times, dtype=float) for times in (reference_s, estimated_s))
    if not len(reference):
        return None
    if not len(estimated):
        return 0.0
    if reference.max() >= 10.0:
        reference, estimated = (mir_eval.beat.trim_beats(times) for times in (reference, estimated))
    return float(mir_eval.beat.f_measure(reference, estimated))


def chord_score(reference: Sequence[Segment], estimated: Sequence[Segment]) -> float | None:
    """Weighted chord symbol recall over major and minor triads; None where the truth holds none."""
    import mir_eval

    if not reference:
        return None
    reference_times, reference_labels = _intervals(reference)
    estimated_times, estimated_labels = _intervals(estimated)
    estimated_times, estimated_labels = mir_eval.util.adjust_intervals(
        estimated_times, estimated_labels, reference_times.min(), reference_times.max(), "N", "N"
    )
    times, ours, theirs = mir_eval.util.merge_labeled_intervals(
        reference_times, reference_labels, estimated_times, estimated_labels
    )
    right = mir_eval.chord.majmin(ours, theirs)
    if not (right >= 0).any():
        return None
    return float(mir_eval.chord.weighted_accuracy(right, mir_eval.util.intervals_to_durations(times)))


def section_score(reference: Sequence[Segment], estimated: Sequence[Segment], within_s: float) -> float:
    """F-measure of section boundaries within `within_s` seconds (0 to 1), by mir_eval."""
    import mir_eval

    reference_times, estimated_times = _intervals(reference)[0], _intervals(estimated)[0]
    return float(mir_eval.segment.detection(reference_times, estimated_times, window=within_s, trim=True)[2])


def _intervals(segments: Sequence[Segment]) -> tuple[np.ndarray, list[str]]:
    return np.array([[s.start_s, s.end_s] for s in segments]).reshape(-1, 2), [s.label for s in segments]
