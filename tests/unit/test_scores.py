"""Scores: reading, planning, truth, rendering. Real pieces of music21's corpus, rendered by the real synthesiser."""

import random
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import mir_eval
import numpy as np
import pytest

from music_flamingo.core.errors import ConfigError, CorruptDataError, UserError
from music_flamingo.core.hashing import sha256_file
from music_flamingo.sources.harmony import find_key, harmonise, name_chord, pitch_weights, verticals
from music_flamingo.sources.performance import DECAYING, FAMILIES, Performance, family_of, tactus_quarters
from music_flamingo.sources.pieces import all_pieces, choose_pieces, find_piece
from music_flamingo.sources.plan import PerformancePlan, skyline
from music_flamingo.sources.reading import NotatedScore, Note, Piece, read_score
from music_flamingo.sources.render import RATE_HZ, render_performance, synthesise
from music_flamingo.sources.scores import ScoresConfig, draw_performance
from music_flamingo.sources.truth import tell_truth, words_heard

CONFIG = ScoresConfig(
    kind="scores",
    seed=20,
    num_works=None,
    performances=4,
    held_out=None,
    excerpt_s=8.0,
    tempo_bpm={"slow": (52.0, 76.0), "medium": (92.0, 116.0), "fast": (140.0, 184.0)},
    transpose=(-5, 6),
    lead_in_s=(0.05, 0.6),
    level_dbfs=(-27.0, -18.0),
    noise_dbfs=(-90.0, -70.0),
    timing_jitter_s=0.006,
    velocity_jitter=8,
    drum_level=(0.55, 1.0),
)

PLAIN = Performance(
    tempo_bpm=120.0,
    transpose=0,
    programs=(0,),
    texture="chords",
    drums="none",
    comping="held",
    start_q=0.0,
    lead_in_s=0.5,
    duration_s=10.0,
    timing_jitter_s=0.0,
    velocity_jitter=0,
)

MINUET_BAR_Q, QUARTER_S = 3.0, 0.5


@pytest.fixture(scope="module")
def chorale() -> NotatedScore:
    return read_score(find_piece("bach-bwv253"))


@pytest.fixture(scope="module")
def jig() -> NotatedScore:
    return read_score(find_piece("ryansMammoth-BelleOfTheKitchenJig"))


def small_score(**changes: object) -> NotatedScore:
    """Eight bars of 3/4 after an upbeat of one quarter, in C major, two parts."""
    tune = [Note(0, float(q), q + 1.0, 60 + (0, 4, 7, 5, 2)[q % 5]) for q in range(24)]
    bass = [Note(1, 3.0 * bar, 3.0 * bar + 3, 48) for bar in range(8)]
    score = NotatedScore(
        piece=Piece("made/up.abc", None, "test", None, "Made up", None),
        title="Made up",
        artist=None,
        meter="3/4",
        bar_q=MINUET_BAR_Q,
        pickup_q=1.0,
        length_q=24.0,
        tonic=0,
        mode="major",
        key_correlation=0.95,
        notes=tuple(tune + bass),
        harmonies=(),
        has_symbols=False,
        boundaries_q=(0.0, 12.0),
        words=(),
    )
    return replace(score, **changes)  # type: ignore[arg-type]


def plan(score: NotatedScore, **changes: object) -> PerformancePlan:
    return PerformancePlan(score, replace(PLAIN, **changes), random.Random(0))  # type: ignore[arg-type]


def test_the_list_holds_over_a_hundred_works_of_many_traditions() -> None:
    pieces = all_pieces()
    assert len(pieces) == len({p.work_id for p in pieces}) >= 100
    some = {"classical", "ragtime", "american_fiddle", "irish", "chinese", "german", "lutheran_chorale", "spiritual"}
    assert some < {p.tradition for p in pieces}


def test_every_tradition_has_a_region() -> None:
    regions = {p.tradition: p.region for p in all_pieces()}
    assert regions["chinese"] == "East Asia"
    assert regions["ragtime"] == "North America"
    assert regions["scottish"] == "Europe"


def test_a_small_choice_is_dealt_round_the_traditions() -> None:
    assert len({p.tradition for p in choose_pieces(12)}) == 12
    assert choose_pieces(None) == list(all_pieces())


def test_an_unknown_piece_is_named_in_the_error() -> None:
    with pytest.raises(ConfigError, match="bach-bwv9999"):
        find_piece("bach-bwv9999")


def test_a_piece_that_is_not_in_the_corpus_is_named_with_the_remedy() -> None:
    with pytest.raises(UserError, match=r"bach/bwv9999\.mxl.*Install"):
        read_score(Piece("bach/bwv9999.mxl", None, "test", None, None, None))


def test_a_piece_without_regular_bars_is_named() -> None:
    with pytest.raises(CorruptDataError, match="essenFolksong-han2-7"):
        read_score(Piece("essenFolksong/han2.abc", 7, "chinese", None, None, None))


def test_a_chorale_is_read_with_its_upbeat_key_and_words(chorale: NotatedScore) -> None:
    assert (chorale.meter, chorale.bar_q, chorale.pickup_q, chorale.length_q) == ("4/4", 4.0, 1.0, 40.0)
    assert (chorale.tonic, chorale.mode) == (9, "major")
    assert len({n.part for n in chorale.notes}) == 4
    assert " ".join(w.text for w in chorale.words[:6]) == "Ach bleib bei uns, Herr Jesu"


def test_titles_come_from_the_list_or_the_score() -> None:
    titles = [read_score(find_piece(w)).title for w in ("johnson-j-r-lift-every-voice", "joplin-maple-leaf-rag")]
    assert titles == ["Lift Every Voice and Sing", "Maple Leaf Rag"]


def test_tied_notes_are_one_note_and_repeated_notes_are_two() -> None:
    from music21 import converter

    from music_flamingo.sources.reading import _part_notes

    part = converter.parse("tinyNotation: 4/4 c2~ c4 d4 d2~ d4 e4~ e1")
    notes = [(n.start_q, n.end_q, n.pitch) for n in _part_notes(0, part, 12.0)]
    assert notes == [(0, 3, 60), (3, 4, 62), (4, 7, 62), (7, 12, 64)]


def test_figured_bass_is_no_lyric() -> None:
    assert read_score(find_piece("corelli-opus3no1-1grave")).words == ()


def test_chord_symbols_are_read_from_a_lead_sheet() -> None:
    score = read_score(find_piece("nottingham-dataset-reelsa-c-80"))
    assert score.has_symbols
    assert [h.label(0) for h in score.harmonies[:4]] == ["D:maj", "E:min", "A:maj", "C:maj"]


def test_the_tactus_of_compound_meters_is_a_dotted_note() -> None:
    expected = {"6/8": 1.5, "9/8": 1.5, "4/4": 1.0, "3/4": 1.0, "3/8": 0.5, "2/2": 1.0, "4/2": 2.0, "6/4": 1.0}
    assert {meter: tactus_quarters(meter) for meter in expected} == expected


def test_downbeats_begin_after_the_upbeat() -> None:
    truth = tell_truth(plan(small_score()), "x")
    assert truth.beats_s[:4] == [0.5, 1.0, 1.5, 2.0]
    assert truth.downbeats_s[:3] == [1.0, 2.5, 4.0]
    assert truth.beats_per_bar == 3


def test_beats_run_on_evenly_when_the_score_repeats() -> None:
    truth = tell_truth(plan(small_score(), start_q=20.0), "x")
    assert np.allclose(np.diff(truth.beats_s), QUARTER_S)
    assert np.allclose(np.diff(truth.downbeats_s), MINUET_BAR_Q * QUARTER_S)
    assert truth.downbeats_s[0] == 0.5 + 2 * QUARTER_S  # bars begin at quarters 1, 4, ... 22


def test_the_key_is_transposed_with_the_notes() -> None:
    scale = tuple(Note(0, float(i), i + 1.0, 60 + p) for i, p in enumerate((0, 4, 7, 0, 5, 9, 7, 4) * 3))
    score = small_score(notes=scale)
    assert tell_truth(plan(score), "x").key == "C major"
    assert tell_truth(plan(score, transpose=-2), "x").key == "Bb major"


def test_an_unclear_key_is_no_truth() -> None:
    assert tell_truth(plan(small_score(key_correlation=0.82)), "x").key is None
    away = tuple(Note(0, float(i), i + 1.0, 61 + p) for i, p in enumerate((0, 4, 7, 0, 5, 9, 7, 4) * 3))
    assert tell_truth(plan(small_score(notes=away)), "x").key is None  # what sounds is in another key


def test_chords_follow_the_harmony_and_the_transposition(chorale: NotatedScore) -> None:
    truth = tell_truth(plan(chorale, transpose=3), "x")
    assert truth.chords[0].label == "N"
    assert truth.chords[1].label == "C:maj"  # the chorale begins on A major
    intervals = np.array([[c.start_s, c.end_s] for c in truth.chords])
    assert np.allclose(intervals[1:, 0], intervals[:-1, 1])
    assert (intervals[0, 0], intervals[-1, 1]) == (0.0, 10.0)
    for chord in truth.chords:
        mir_eval.chord.validate_chord_label(chord.label)


def test_a_melody_alone_claims_no_chords_and_sounds_one_note_at_a_time(chorale: NotatedScore) -> None:
    alone = plan(chorale, texture="melody")
    assert tell_truth(alone, "x").chords == []
    notes = sorted(alone.soundings, key=lambda s: s.start_s)
    assert all(a.end_s <= b.start_s + 1e-6 for a, b in pairwise(notes))


def test_a_melody_is_given_chords_when_the_texture_asks_for_them(jig: NotatedScore) -> None:
    assert not jig.is_polyphonic
    accompanied = plan(jig, texture="chords", programs=(73, 24))
    assert {s.channel for s in accompanied.soundings} == {0, 1}
    assert {c.label for c in tell_truth(accompanied, "x").chords} & {"G:maj", "D:maj", "C:maj"}


def test_the_skyline_takes_the_highest_note_of_the_first_part_and_cuts_it_at_the_next() -> None:
    notes = (Note(0, 0, 4, 60), Note(0, 0, 1, 72), Note(0, 2, 3, 65), Note(1, 1, 2, 90))
    assert skyline(notes) == (Note(0, 0, 1, 72), Note(0, 2, 3, 65))


def test_sections_carry_equal_labels_for_equal_music() -> None:
    sections = tell_truth(plan(small_score(), tempo_bpm=240.0, lead_in_s=0.0), "x").sections
    assert [s.label for s in sections] == ["A", "B", "A", "B"]
    assert sections[1].start_s == pytest.approx(3.0)


def test_words_are_those_of_the_excerpt(chorale: NotatedScore) -> None:
    assert words_heard(plan(chorale, duration_s=3.4)) == "Ach bleib bei uns, Herr Jesu"
    assert words_heard(plan(small_score())) is None


def test_drums_put_the_kick_on_the_downbeat() -> None:
    drummed = plan(small_score(), drums="kit")
    kicks = [e.time_s for e in drummed.events() if e.channel == 9 and e.is_on and e.pitch == 36]
    assert kicks == pytest.approx(tell_truth(drummed, "x").downbeats_s, abs=1e-3)


@pytest.mark.parametrize(("pitches", "bass", "expected"), [
    ({0, 4, 7}, 0, (0, "maj")),
    ({0, 4, 7}, 4, (0, "maj")),
    ({2, 5, 9}, 2, (2, "min")),
    ({7, 11, 2, 5}, 7, (7, "7")),
    ({9, 0, 4, 7}, 9, (9, "min7")),
    ({0, 4}, 0, (None, "X")),
    ({0, 3, 6}, 0, (None, "X")),
])  # fmt: skip
def test_chords_are_named_by_exactly_what_sounds(
    pitches: set[int], bass: int, expected: tuple[int | None, str]
) -> None:
    assert name_chord(pitches, bass) == expected


def test_verticals_agree_with_music21s_chords(chorale: NotatedScore) -> None:
    from music21.chord import Chord

    names = {"major": "maj", "minor": "min"}
    triads = [h for h in chorale.harmonies if len(h.pitch_classes) == 3]
    assert len(triads) > 20
    for harmony in triads:
        chord = Chord(list(harmony.pitch_classes))
        expected = (chord.root().pitchClass, names[chord.quality]) if chord.quality in names else (None, "X")
        if chord.isTriad():
            assert (harmony.root, harmony.quality) == expected


def test_verticals_join_equal_neighbours_and_leave_out_silence() -> None:
    notes = [(0.0, 2.0, 60), (0.0, 2.0, 64), (0.0, 1.0, 67), (1.0, 2.0, 79), (3.0, 4.0, 62)]
    spans = [(h.start_q, h.end_q, h.quality) for h in verticals(notes)]
    assert spans == [(0.0, 2.0, "maj"), (3.0, 4.0, "X")]


def test_the_harmoniser_gives_the_tonic_to_a_tonic_triad() -> None:
    melody = [(0.0, 1.0, 60), (1.0, 2.0, 64), (2.0, 4.0, 67), (4.0, 6.0, 65), (6.0, 8.0, 69)]
    assert [h.label(0) for h in harmonise(melody, 0, "major", 0.0, 4.0, 8.0)] == ["C:maj", "F:maj"]


def test_keys_are_found_by_their_profile_as_music21_does(chorale: NotatedScore) -> None:
    from music21.analysis.discrete import KrumhanslKessler
    from music21.note import Note as M21Note
    from music21.stream import Stream

    notes = [(n.start_q, n.end_q, n.pitch) for n in chorale.notes]
    stream = Stream([M21Note(p, quarterLength=end - start) for start, end, p in notes])
    theirs = KrumhanslKessler(stream).getSolution(stream)
    tonic, mode, _ = find_key(pitch_weights(notes))
    assert (tonic, mode) == (theirs.tonic.pitchClass, theirs.mode)


@pytest.mark.parametrize("program", [p for programs in FAMILIES.values() for p in programs])
def test_every_program_knows_its_family(program: int) -> None:
    assert program in FAMILIES[family_of(program)]


def test_four_performances_balance_drums_texture_and_envelope_and_use_every_tempo_class(chorale: NotatedScore) -> None:
    drawn = [draw_performance(CONFIG, chorale, n, random.Random(f"{n}")) for n in range(4)]
    assert sorted(p.drums for p in drawn) == ["kit", "kit", "none", "none"]
    assert sorted(p.texture for p in drawn) == ["chords", "chords", "melody", "melody"]
    assert sum(family_of(p.programs[0]) in DECAYING for p in drawn) == 2
    classes = {"slow" if p.tempo_bpm < 84 else "fast" if p.tempo_bpm > 128 else "medium" for p in drawn}
    assert classes == {"slow", "medium", "fast"}


def test_truth_is_sane_over_many_performances(chorale: NotatedScore, jig: NotatedScore) -> None:
    for score in (chorale, jig):
        for number in range(8):
            performance = draw_performance(CONFIG, score, number, random.Random(number))
            truth = tell_truth(PerformancePlan(score, performance, random.Random(0)), "x")
            assert set(truth.downbeats_s) <= set(truth.beats_s)
            assert truth.beats_s[0] >= 0 and truth.beats_s[-1] < CONFIG.excerpt_s
            assert 60 / np.diff(truth.beats_s).mean() == pytest.approx(truth.tempo_bpm, rel=1e-3)
            assert truth.sections[0].start_s == 0 and truth.sections[-1].end_s == CONFIG.excerpt_s


def test_the_sound_begins_on_the_truths_beats() -> None:
    """A second ear: onsets of the rendered sound, by librosa, fall on the drummed beats within 30 ms."""
    import librosa

    samples, truth = render_performance(small_score(), replace(PLAIN, drums="kit"), seed=1)
    found = librosa.onset.onset_detect(y=samples, sr=RATE_HZ, units="time", hop_length=256)
    for beat_s in truth.beats_s[:-1]:
        assert np.abs(found - beat_s).min() < 0.03, beat_s


def test_a_rendering_has_the_level_and_length_it_was_given() -> None:
    samples, _ = render_performance(small_score(), PLAIN, seed=1, level_dbfs=-23.0)
    assert samples.dtype == np.float32 and samples.shape == (10 * RATE_HZ,)
    assert 20 * np.log10(np.sqrt(np.mean(samples.astype("f8") ** 2))) == pytest.approx(-23.0, abs=0.3)
    assert np.abs(samples).max() < 1


def test_a_rendering_owes_nothing_to_what_was_rendered_before() -> None:
    first, _ = render_performance(small_score(), PLAIN, seed=1)
    render_performance(small_score(), replace(PLAIN, programs=(48, 19), drums="kit"), seed=2)
    again, _ = render_performance(small_score(), PLAIN, seed=1)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, render_performance(small_score(), PLAIN, seed=3)[0])


def test_silence_stays_silent() -> None:
    assert not synthesise([], 0.5).any()


def test_another_process_and_order_give_the_same_bytes(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"performances": 2, "excerpt_s": 4.0})
    script = (
        "import sys; from pathlib import Path\n"
        "from music_flamingo.sources.scores import ScoresConfig, ScoresSource\n"
        "source = ScoresSource(ScoresConfig.model_validate_json(sys.argv[1]))\n"
        "for unit in sys.argv[3:]: list(source.recordings(unit, Path(sys.argv[2])))\n"
    )
    units = ["essenFolksong-han1-1", "ryansMammoth-BelleOfTheKitchenJig"]
    for folder, order in (("a", units), ("b", units[::-1])):
        arguments = [config.model_dump_json(), str(tmp_path / folder), *order]
        subprocess.run([sys.executable, "-c", script, *arguments], check=True)
    made = [{p.name: sha256_file(p) for p in (tmp_path / f).rglob("*.flac")} for f in ("a", "b")]
    assert len(made[0]) == 4 and made[0] == made[1]
