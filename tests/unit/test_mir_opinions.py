"""Second opinions: how far tools agree, what disagreement costs, and who is asked."""

import numpy as np
import pytest

from music_flamingo.mir import NothingFoundError, Signal
from music_flamingo.mir.choices import OpinionsChoice
from music_flamingo.mir.chord_templates import ChordTemplates
from music_flamingo.mir.key_vote import KeyVote
from music_flamingo.mir.onset_tempo import OnsetTempo
from music_flamingo.mir.opinions import (
    ChordJudge,
    KeyJudge,
    SecondOpinions,
    key_agreement,
    same_triads,
    tempo_agreement,
    triad,
    weigh,
)
from music_flamingo.records import Chords, Key, Opinion, Segment, Tempo

RATE_HZ = 44100
STAMP = {"tool": "t", "tool_version": "1"}


def key(label: str, confidence: float = 0.8) -> Key:
    tonic, mode = label.split()
    return Key(**STAMP, confidence=confidence, tonic=tonic, mode=mode)


def chords(*labels: str, each_s: float = 1.0) -> Chords:
    return Chords(
        **STAMP,
        confidence=0.8,
        segments=[Segment(start_s=i * each_s, end_s=(i + 1) * each_s, label=x) for i, x in enumerate(labels)],
    )


def opinion(agrees: float) -> Opinion:
    return Opinion(**STAMP, value="x", agrees=agrees)


class Says:
    """A key tool of one mind, or of none."""

    def __init__(self, said: Key | None) -> None:
        self._said = said

    def estimate(self, signal: Signal) -> Key:
        if self._said is None:
            raise NothingFoundError("nothing")
        return self._said


SILENCE = Signal(np.zeros(RATE_HZ, np.float32))


def clicks(bpm: float, duration_s: float) -> Signal:
    samples = np.zeros(round(duration_s * RATE_HZ), np.float32)
    burst = np.random.default_rng(0).normal(0, 0.3, 2000).astype(np.float32) * np.linspace(1, 0, 2000, dtype=np.float32)
    for start in (np.arange(0.1, duration_s - 0.1, 60 / bpm) * RATE_HZ).astype(int):
        samples[start : start + 2000] += burst
    return Signal(samples)


def triads(*chosen: tuple[int, ...], each_s: float = 1.0) -> Signal:
    t = np.arange(round(each_s * RATE_HZ)) / RATE_HZ
    sounds = [
        sum(np.sin(2 * np.pi * 440 * 2 ** ((p - 69) / 12) * k * t) / k for p in pitches for k in range(1, 6))
        for pitches in chosen
    ]
    return Signal((0.1 * np.concatenate(sounds)).astype(np.float32))


@pytest.mark.parametrize(
    ("agreements", "confidence"),
    [((), 0.8), ((1.0,), 0.8), ((0.0,), 0.4), ((0.5,), 0.6), ((1.0, 0.0), 0.6), ((0.99,), 0.796)],
)
def test_disagreement_lowers_the_confidence_by_the_rule(agreements, confidence):
    weighed = weigh(key("A minor"), [opinion(a) for a in agreements], doubt=0.5)
    assert weighed.confidence == pytest.approx(confidence)
    assert [o.agrees for o in weighed.opinions] == list(agreements)


@pytest.mark.parametrize("agrees", [-0.01, 1.01])
def test_an_agreement_beyond_0_to_1_is_refused(agrees):
    with pytest.raises(ValueError, match="agreement lies in 0 to 1"):
        opinion(agrees)


@pytest.mark.parametrize(
    ("bpm", "other_bpm", "agrees"),
    [
        (100, 103.9, 1),
        (100, 104.1, 0),
        (100, 200, 0.8),
        (100, 51.9, 0.8),
        (100, 33.4, 0.8),
        (100, 150, 0),
        (100, 209, 0),
    ],
)
def test_tempi_agree_within_4_percent_and_nearly_at_another_level(bpm, other_bpm, agrees):
    assert tempo_agreement(bpm, other_bpm) == agrees


@pytest.mark.parametrize(
    ("ours", "theirs", "agrees"),
    [
        ("C major", "C major", 1), ("C major", "G major", 0.5), ("C major", "F major", 0.5),
        ("C major", "A minor", 0.3),
        ("A minor", "C major", 0.3), ("C major", "C minor", 0.2), ("C major", "D major", 0), ("C major", "E minor", 0),
        ("C# minor", "E major", 0.3), ("Db major", "C# minor", 0.2),
    ],
)  # fmt: skip
def test_keys_agree_as_far_as_they_are_kindred(ours, theirs, agrees):
    assert key_agreement(key(ours), key(theirs)) == agrees


def test_chords_agree_for_the_time_in_which_root_and_third_are_the_same():
    assert same_triads(chords("C:maj", "A:min7/b7", "N", "G:7").segments, chords("C:7", "A:maj").segments) == 0.3333
    assert same_triads(chords("N").segments, chords("C:maj").segments) == 0
    assert [triad(label) for label in ("Bb:hdim7/b5", "Cb", "N", "X")] == [(10, True), (11, False), None, None]


def test_a_vote_takes_the_majority_and_keeps_every_voice():
    voted = KeyVote([Says(key("E minor", 0.9)), Says(key("G major", 0.6)), Says(key("G major", 0.9))]).estimate(SILENCE)
    assert voted.label == "G major"
    assert voted.confidence == pytest.approx(0.5)
    assert [(o.value, o.agrees) for o in voted.opinions] == [("E minor", 0.3), ("G major", 1), ("G major", 1)]


def test_the_first_voter_breaks_a_tie_and_silence_abstains():
    voted = KeyVote([Says(None), Says(key("D major")), Says(key("A major"))]).estimate(SILENCE)
    assert voted.label == "D major" and voted.confidence == pytest.approx(0.8 / 3, abs=1e-4)
    with pytest.raises(NothingFoundError, match="no tool"):
        KeyVote([Says(None)]).estimate(SILENCE)


def test_who_hears_nothing_has_no_opinion():
    others = SecondOpinions(tempo=None, key=KeyJudge(Says(None)), chords=None, doubt=0.5)
    assert others.on(key("A minor"), others.key, SILENCE) == key("A minor")
    assert others.on(None, others.key, SILENCE) is None


@pytest.mark.parametrize("bpm", [72, 100, 132])
def test_clicks_have_the_tempo_that_they_have(bpm):
    assert OnsetTempo(50, 215).estimate(clicks(bpm, 12)) == pytest.approx(bpm, rel=0.02)


def test_a_doubled_tempo_is_told_and_costs_a_tenth():
    others = SecondOpinions(tempo=OnsetTempo(50, 215), key=None, chords=None, doubt=0.5)
    judged = others.on(Tempo(**STAMP, confidence=0.8, bpm=200.0), others.tempo, clicks(100, 12))
    assert judged.confidence == pytest.approx(0.72)
    assert judged.opinions[0].value.endswith("BPM") and judged.opinions[0].agrees == 0.8


def test_silence_has_no_tempo():
    with pytest.raises(NothingFoundError, match="no rises"):
        OnsetTempo(50, 215).estimate(Signal(np.zeros(6 * RATE_HZ, np.float32)))


def test_templates_confirm_the_chords_that_sound_and_no_others():
    signal = triads((60, 64, 67), (57, 60, 64), (55, 59, 62), each_s=2.0)
    right = chords("C:maj", "A:min7", "G:7/3", each_s=2.0)
    assert ChordTemplates().judge(signal, right).agrees == 1
    near_miss = chords("C:maj", "A:maj", "G:7/3", each_s=2.0)
    assert ChordTemplates().judge(signal, near_miss).agrees == pytest.approx(2 / 3, abs=1e-3)
    with pytest.raises(NothingFoundError):
        ChordTemplates().judge(signal, chords("N"))


def test_another_recogniser_may_judge_the_chords():
    signal = triads((60, 64, 67), (57, 60, 64), each_s=2.0)
    choice = OpinionsChoice.model_validate({"tempo": None, "key": None, "chords": {"kind": "madmom"}, "doubt": 0.5})
    opened = choice.open()
    assert isinstance(opened.chords, ChordJudge)
    judged = opened.on(chords("C:maj", "A:min", each_s=2.0), opened.chords, signal)
    assert judged.opinions[0].tool == "madmom:cnn+crf" and judged.opinions[0].agrees > 0.8
