"""Keys and chords: spelling, labels, and the tools on rendered scores and synthesised triads."""

import sys

import mir_eval
import numpy as np
import pytest

from music_flamingo.core.errors import MissingToolError
from music_flamingo.mir import NothingFoundError, Signal, to_signal
from music_flamingo.mir.chordino import PARAMETERS, PLUGIN, Chordino, certainty, to_mir_eval, to_segments
from music_flamingo.mir.essentia_key import EssentiaKey
from music_flamingo.mir.key_changes import KeyWindows
from music_flamingo.mir.keys import pitch_class, spell_tonic
from music_flamingo.mir.librosa_harmony import LibrosaHarmony
from music_flamingo.mir.madmom_harmony import MadmomChords, MadmomKey
from music_flamingo.records import Chords, Key, Segment, Truth
from music_flamingo.records.facts import CHORD_LABEL
from music_flamingo.sources.performance import Performance
from music_flamingo.sources.pieces import find_piece
from music_flamingo.sources.reading import read_score
from music_flamingo.sources.render import render_performance

RATE_HZ = 44100
TRIADS = {"C:maj": (60, 64, 67), "A:min": (57, 60, 64), "F:maj": (53, 57, 60), "G:maj": (55, 59, 62)}


@pytest.fixture(scope="module")
def chorale() -> tuple[Signal, Truth]:
    """20 s of a chorale in A major, a major third higher: Db major."""
    performance = Performance(
        tempo_bpm=84.0, transpose=4, programs=(19,), texture="chords", drums="none", comping="held", start_q=0.0,
        lead_in_s=0.3, duration_s=20.0, timing_jitter_s=0.006, velocity_jitter=8,
    )  # fmt: skip
    samples, truth = render_performance(read_score(find_piece("bach-bwv253")), performance, seed=1)
    return to_signal(samples, RATE_HZ), truth


@pytest.fixture(scope="module")
def triads() -> tuple[Signal, list[Segment]]:
    """Two seconds each of four triads with overtones."""
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    sounds, segments = [], []
    for index, (label, pitches) in enumerate(TRIADS.items()):
        waves = [np.sin(2 * np.pi * 440 * 2 ** ((p - 69) / 12) * k * t) / k for p in pitches for k in range(1, 6)]
        sounds.append(0.1 * np.sum(waves, axis=0) * np.exp(-0.5 * t))
        segments.append(Segment(start_s=2.0 * index, end_s=2.0 * index + 2, label=label))
    return Signal(np.concatenate(sounds).astype(np.float32)), segments


def recall(reference: list[Segment], chords: Chords) -> float:
    """Weighted chord symbol recall over major and minor."""
    (times, labels), (estimated_times, estimated) = (
        (np.array([[s.start_s, s.end_s] for s in segments]), [s.label for s in segments])
        for segments in (reference, chords.segments)
    )
    return mir_eval.chord.evaluate(times, labels, estimated_times, estimated)["majmin"]


def test_one_sound_has_one_spelling():
    assert [spell_tonic(1, "major"), spell_tonic(1, "minor"), spell_tonic(8, "minor"), spell_tonic(13, "major")] == [
        "Db", "C#", "G#", "Db",
    ]  # fmt: skip
    assert [pitch_class(n) for n in ("C", "Cb", "E#", "Bb")] == [0, 11, 5, 10]


@pytest.mark.parametrize("name", ["H", "c", "", "C##", "Es"])
def test_what_is_no_note_name_is_refused(name):
    with pytest.raises(ValueError, match="not a note name"):
        pitch_class(name)


def test_three_profiles_agree_on_the_transposed_key(chorale):
    signal, truth = chorale
    key = EssentiaKey(("braw", "shaath", "thpcp")).estimate(signal)
    assert key.label == "Db major"
    assert mir_eval.key.weighted_score(truth.key, key.label) == 1.0
    assert 0.5 < key.confidence <= 1 and key.tool == "essentia:braw+shaath+thpcp"


def test_silence_has_no_key():
    with pytest.raises(NothingFoundError):
        EssentiaKey(("braw",)).estimate(Signal(np.zeros(5 * RATE_HZ, np.float32)))


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("N", "N"), ("C", "C:maj"), ("F#m", "F#:min"), ("Bb7", "Bb:7"), ("Ebmaj7", "Eb:maj7"), ("Am7", "A:min7"),
        ("D6", "D:maj6"), ("Dm6", "D:min6"), ("Bdim", "B:dim"), ("Bdim7", "B:dim7"), ("F#m7b5", "F#:hdim7"),
        ("Caug", "C:aug"), ("C/E", "C:maj/3"), ("Am/C", "A:min/b3"), ("C#7/E#", "C#:7/3"), ("G7/F", "G:7/b7"),
        ("Bm7b5/F", "B:hdim7/b5"), ("C/C", "C:maj"),
    ],
)  # fmt: skip
def test_chordinos_labels_become_mir_evals(label, expected):
    assert to_mir_eval(label) == expected
    assert CHORD_LABEL.match(expected)
    mir_eval.chord.encode(expected)


@pytest.mark.parametrize("label", ["Csus4", "H", "Cm9", "c", "C/", "", "C:maj"])
def test_a_label_that_chordino_does_not_write_is_refused(label):
    with pytest.raises(ValueError, match="not a chord label of Chordino"):
        to_mir_eval(label)


def test_chord_changes_become_segments_without_holes():
    segments = to_segments([(0.2, "N"), (0.5, "C:maj"), (1.0, "C:maj"), (2.0, "G:7"), (9.9, "N")], 4.0)
    assert [(s.start_s, s.end_s, s.label) for s in segments] == [
        (0.0, 0.5, "N"), (0.5, 2.0, "C:maj"), (2.0, 4.0, "G:7"),
    ]  # fmt: skip


def test_a_guess_has_no_certainty_and_a_sure_choice_all():
    assert certainty([-np.log(122)] * 3) == pytest.approx(0)
    assert certainty([0.0, 0.0]) == 1
    assert certainty([-9.0]) == 0


def test_chordino_hears_four_triads(triads):
    signal, reference = triads
    chords = Chordino().recognise(signal)
    assert recall(reference, chords) > 0.9
    assert chords.segments[0].start_s == 0 and chords.segments[-1].end_s == pytest.approx(8.0)
    assert 0 < chords.confidence <= 1


def test_chordino_on_a_chorale_scores_above_0_75(chorale):
    signal, truth = chorale
    assert recall(truth.chords, Chordino().recognise(signal)) > 0.75


def test_our_spectra_give_the_chords_of_vamps_own_host(chorale):
    import vamp

    signal = chorale[0]
    chordino = Chordino()
    hosted = vamp.collect(signal.samples, RATE_HZ, PLUGIN, "simplechord", PARAMETERS)["list"]
    theirs = to_segments([(float(c["timestamp"]), to_mir_eval(c["label"])) for c in hosted], signal.duration_s)
    assert chordino.recognise(signal).segments == theirs


def test_silence_has_no_chords():
    with pytest.raises(NothingFoundError, match="no chord"):
        Chordino().recognise(Signal(np.zeros(5 * RATE_HZ, np.float32)))


@pytest.mark.parametrize(
    ("package", "tool"), [("vamp", Chordino), ("essentia", lambda: EssentiaKey(("braw",))), ("librosa", LibrosaHarmony)]
)
def test_a_missing_tool_names_its_alternative(monkeypatch, package, tool):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingToolError, match="Or set"):
        tool()


def test_librosa_hears_the_key_and_the_triads(chorale, triads):
    harmony = LibrosaHarmony()
    assert harmony.estimate(chorale[0]).label == "Db major"
    assert recall(triads[1], harmony.recognise(triads[0])) > 0.9


def test_madmoms_net_hears_the_key_as_its_own_chain_does(chorale):
    from madmom.audio.signal import Signal as MadmomSignal
    from madmom.features.key import CNNKeyRecognitionProcessor

    key = MadmomKey().estimate(chorale[0])
    own = CNNKeyRecognitionProcessor()(MadmomSignal(chorale[0].samples, RATE_HZ))
    assert key.label == "Db major" and key.tool == "madmom:cnn"
    assert key.confidence == pytest.approx(own.max(), abs=1e-3)


def test_madmoms_net_hears_the_chords_as_its_own_chain_does(chorale):
    from madmom.audio.signal import Signal as MadmomSignal
    from madmom.features.chords import CNNChordFeatureProcessor, CRFChordRecognitionProcessor

    signal, truth = chorale
    chords = MadmomChords().recognise(signal)
    own = CRFChordRecognitionProcessor()(CNNChordFeatureProcessor()(MadmomSignal(signal.samples, RATE_HZ)))
    assert [s.start_s for s in chords.segments] == pytest.approx([float(start) for start, _, _ in own])
    assert [s.label for s in chords.segments] == [str(label) for _, _, label in own]
    assert recall(truth.chords, chords) > 0.75 and 0 < chords.confidence <= 1


def test_madmom_hears_no_harmony_in_silence():
    silence = Signal(np.zeros(5 * RATE_HZ, np.float32))
    for tool in (MadmomKey().estimate, MadmomChords().recognise):
        with pytest.raises(NothingFoundError, match="silent"):
            tool(silence)


def hymn(transpose: int, duration_s: float) -> tuple[Signal, Truth]:
    performance = Performance(
        tempo_bpm=84.0, transpose=transpose, programs=(19,), texture="chords", drums="none", comping="held",
        start_q=0.0, lead_in_s=0.1, duration_s=duration_s, timing_jitter_s=0.006, velocity_jitter=8,
    )  # fmt: skip
    samples, truth = render_performance(read_score(find_piece("bach-bwv253")), performance, seed=1)
    return to_signal(samples, RATE_HZ), truth


OVER_TIME = KeyWindows(window_s=12.0, step_s=2.0, price=1.5, min_stay_s=10.0)


def test_a_modulation_is_followed_to_its_new_key():
    parts = [hymn(0, 28.0)[0].samples, hymn(3, 30.0)[0].samples]
    changes = OVER_TIME.follow(Signal(np.concatenate(parts)))
    assert [c.label for c in changes] == ["A major", "C major"]
    assert changes[0].start_s == 0 and changes[1].start_s == pytest.approx(28, abs=4)
    assert changes[1].end_s == pytest.approx(58)


@pytest.mark.parametrize("visit_s", [0.0, 4.0])
def test_one_key_with_or_without_a_short_visit_is_no_modulation(visit_s):
    parts = [hymn(0, 24.0)[0].samples, hymn(3, 6.0)[0].samples[: round(visit_s * RATE_HZ)], hymn(0, 24.0)[0].samples]
    assert OVER_TIME.follow(Signal(np.concatenate(parts))) == []


def test_what_is_too_short_for_two_keys_has_no_changes():
    assert OVER_TIME.follow(hymn(0, 12.0)[0]) == []


def test_a_key_label_that_is_none_is_refused_among_changes():
    stamp = {"tool": "t", "tool_version": "1", "confidence": 1.0, "tonic": "A", "mode": "major"}
    Key(**stamp, changes=[Segment(start_s=0, end_s=1, label="Bb minor")])
    with pytest.raises(ValueError, match="not a key"):
        Key(**stamp, changes=[Segment(start_s=0, end_s=1, label="Bbm")])
