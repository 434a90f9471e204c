"""Secondary estimates of a fact: their agreement with it, and its effect on the confidence.

The rule: confidence = the tool's own * (1 - doubt * (1 - mean agreement)). With a doubt of 0.5 full disagreement
halves it, and full agreement leaves it on the tool's own scale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeVar

from music_flamingo.mir import ChordRecogniser, KeyEstimator, NothingFoundError, Signal
from music_flamingo.mir.keys import pitch_class
from music_flamingo.records import Chords, Key, Measured, Opinion, Segment, Tempo

M = TypeVar("M", bound=Measured)
C = TypeVar("C", bound=Measured, contravariant=True)

SAME_TEMPO = 0.04
"""Tempi within 4 % are the same."""
TEMPO_LEVELS = (2, 3, 1 / 2, 1 / 3)
LEVEL_AGREES = 0.8
"""The same pulse counted at another level: on 192 rendered clips madmom was right in .83 of these, in .86 where the
tempi were the same, in .38 where they were unlike."""
FIFTH_AGREES, RELATIVE_AGREES, PARALLEL_AGREES = 0.5, 0.3, 0.2
"""MIREX's weights of kindred keys."""
MINOR_QUALITIES = ("min", "dim", "hdim")


class SecondEstimator(Protocol[C]):
    """A tool that says what it makes of a fact. Raises NothingFoundError when it has no opinion."""

    def judge(self, signal: Signal, fact: C) -> Opinion:
        """Estimate the fact anew and give the agreement (0 to 1)."""


@dataclass(frozen=True)
class SecondOpinions:
    """Secondary estimators per fact; None disables."""

    tempo: SecondEstimator[Tempo] | None
    key: SecondEstimator[Key] | None
    chords: SecondEstimator[Chords] | None
    doubt: float

    def on(self, fact: M | None, judge: SecondEstimator[M] | None, signal: Signal) -> M | None:
        """The fact with the judge's opinion, as it is where there is none."""
        if fact is None or judge is None:
            return fact
        try:
            return weigh(fact, [judge.judge(signal, fact)], self.doubt)
        except NothingFoundError:
            return fact


@dataclass(frozen=True)
class KeyJudge:
    """Judges keys by a second key estimator."""

    tool: KeyEstimator

    def judge(self, signal: Signal, fact: Key) -> Opinion:
        """Estimate the key anew and compare."""
        return key_opinion(self.tool.estimate(signal), fact)


@dataclass(frozen=True)
class ChordJudge:
    """Judges chords by a second recogniser."""

    tool: ChordRecogniser

    def judge(self, signal: Signal, fact: Chords) -> Opinion:
        """Recognise chords anew; the agreement is the share of time with equal triads."""
        other = self.tool.recognise(signal)
        share = same_triads(fact.segments, other.segments)
        return Opinion(
            tool=other.tool, tool_version=other.tool_version, value=f"the same triads in {share:.0%}", agrees=share
        )


def weigh(fact: M, opinions: Sequence[Opinion], doubt: float) -> M:
    """The fact with further opinions, its confidence lowered by their disagreement."""
    if not opinions:
        return fact
    agreement = sum(opinion.agrees for opinion in opinions) / len(opinions)
    confidence = round(fact.confidence * (1 - doubt * (1 - agreement)), 4)
    return fact.model_copy(update={"opinions": [*fact.opinions, *opinions], "confidence": confidence})


def tempo_agreement(bpm: float, other_bpm: float) -> float:
    """1 for the same tempo, LEVEL_AGREES for its double, half, triple or third, else 0."""
    if abs(other_bpm / bpm - 1) <= SAME_TEMPO:
        return 1.0
    return LEVEL_AGREES if any(abs(other_bpm / bpm / level - 1) <= SAME_TEMPO for level in TEMPO_LEVELS) else 0.0


def key_opinion(other: Key, key: Key) -> Opinion:
    """Compare a second estimate of the key with the first."""
    return Opinion(
        tool=other.tool, tool_version=other.tool_version, value=other.label, agrees=key_agreement(key, other)
    )


def key_agreement(key: Key, other: Key) -> float:
    """1 for the same key, less for the fifth above or below, the relative and the parallel key, else 0."""
    interval = (pitch_class(other.tonic) - pitch_class(key.tonic)) % 12
    if key.mode == other.mode:
        return {0: 1.0, 7: FIFTH_AGREES, 5: FIFTH_AGREES}.get(interval, 0.0)
    relative = 9 if key.mode == "major" else 3
    return {0: PARALLEL_AGREES, relative: RELATIVE_AGREES}.get(interval, 0.0)


def same_triads(ours: Sequence[Segment], theirs: Sequence[Segment]) -> float:
    """Share of our chords' time in which they have the same root and the same third."""
    edges = sorted({s.start_s for s in (*ours, *theirs)} | {s.end_s for s in ours})
    same_s = heard_s = 0.0
    for start_s, end_s in pairwise(edges):
        our_triad, their_triad = (triad_at(segments, (start_s + end_s) / 2) for segments in (ours, theirs))
        if our_triad is not None:
            heard_s += end_s - start_s
            same_s += (end_s - start_s) * (our_triad == their_triad)
    return round(same_s / heard_s, 4) if heard_s else 0.0


def triad_at(segments: Sequence[Segment], time_s: float) -> tuple[int, bool] | None:
    """(root's pitch class, minor third) of the chord that sounds; None where none does."""
    return next((triad(s.label) for s in segments if s.start_s <= time_s < s.end_s), None)


def triad(label: str) -> tuple[int, bool] | None:
    """`A:min7/b7` -> (9, True); `N` -> None."""
    root, _, quality = label.partition("/")[0].partition(":")
    return None if root in ("N", "X") else (pitch_class(root), quality.startswith(MINOR_QUALITIES))
