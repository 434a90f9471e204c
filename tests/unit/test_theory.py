"""Theory: spelling, keys, roman numerals (music21 as second source), cadences, form, tempo terms."""

import pytest

from music_flamingo.records import Segment
from music_flamingo.teachers.theory import (
    Chord,
    KeyName,
    cadence,
    chord_function,
    chord_spans,
    enharmonic,
    form_letters,
    form_name,
    harmonic_rhythm,
    is_borrowed,
    key_relation,
    parse_chord,
    pitch_class,
    relative_key,
    roman_numeral,
    spell,
    tempo_term,
)

C_MAJOR, C_MINOR = KeyName("C", "major"), KeyName("C", "minor")
KEYS = [KeyName.parse(k) for k in ("C major", "A minor", "Eb major", "F# minor", "B major", "Bb minor")]
INTERVALS = {"maj": ("M3", "P5"), "min": ("m3", "P5"), "dim": ("m3", "d5")}


def chords(*labels):
    return [parse_chord(label) for label in labels]


@pytest.mark.parametrize("key", KEYS, ids=lambda k: k.label)
def test_roman_numerals_of_triads_agree_with_music21(key):
    from music21 import chord, pitch, roman
    from music21.key import Key

    reference = Key(key.tonic.replace("b", "-"), key.mode)
    compared = 0
    for root in range(12):
        for triad, intervals in INTERVALS.items():
            numeral = roman_numeral(Chord(root, triad, ""), key)
            if key.mode == "minor" and numeral in ("#VI", "#VII", "vii°"):
                continue  # music21 reads raised and lowered sixth and seventh degrees of minor alike
            bottom = pitch.Pitch(spell(root, key).replace("b", "-") + "3")
            built = chord.Chord([bottom, *(bottom.transpose(i) for i in intervals)])
            expected = roman.romanNumeralFromChord(built, reference).romanNumeral
            assert numeral.replace("°", "") == expected, (key.label, spell(root, key), triad)
            compared += 1
    assert compared >= 30


def test_sevenths_and_borrowed_roots_are_written_out():
    expected = {
        "G:7": "V7",
        "C:maj7": "Imaj7",
        "D:min7": "ii7",
        "B:hdim7": "viiø7",
        "Ab:maj": "bVI",
        "F#:dim7": "#iv°7",
    }
    assert {label: roman_numeral(parse_chord(label), C_MAJOR) for label in expected} == expected


def test_the_leading_note_chord_of_minor_is_vii_without_accidental():
    assert roman_numeral(parse_chord("B:dim"), C_MINOR) == "vii°"
    assert roman_numeral(parse_chord("Bb:maj"), C_MINOR) == "VII"


@pytest.mark.parametrize(("target", "key", "name"), [(3, "C minor", "Eb"), (6, "G major", "F#"), (10, "F major", "Bb")])
def test_notes_are_spelled_as_the_key_writes_them(target, key, name):
    assert spell(target, KeyName.parse(key)) == name


def test_a_note_that_would_need_a_double_accidental_gets_its_plain_name():
    # the raised seventh of G# minor is F##
    assert spell(7, KeyName.parse("G# minor")) == "G"


def test_enharmonics_sound_alike_and_neighbours_do_not():
    assert enharmonic("C#", "Db")
    assert not enharmonic("C#", "D")
    with pytest.raises(ValueError, match="not a note name"):
        pitch_class("H")


@pytest.mark.parametrize(
    ("other", "relation"),
    [
        ("C major", "same"),
        ("A minor", "relative"),
        ("C minor", "parallel"),
        ("G major", "dominant"),
        ("F major", "subdominant"),
        ("F# major", "distant"),
    ],
)
def test_key_relations_are_seen_from_the_first_key(other, relation):
    assert key_relation(C_MAJOR, KeyName.parse(other)) == relation


def test_relative_keys_share_their_signature_and_come_back():
    assert relative_key(KeyName.parse("Eb major")).label == "C minor"
    assert all(relative_key(relative_key(key)).same(key) for key in KEYS)


@pytest.mark.parametrize(
    ("labels", "key", "name"),
    [
        (("G:7", "C:maj"), C_MAJOR, "authentic"),
        (("F:maj", "C:maj/3"), C_MAJOR, "plagal"),
        (("D:min", "G:maj"), C_MAJOR, "half"),
        (("G:maj", "A:min"), C_MAJOR, "deceptive"),
        (("G:7", "C:min"), C_MINOR, "authentic"),
        (("B:dim", "C:min"), C_MINOR, "authentic"),
        (("G:7", "Ab:maj"), C_MINOR, "deceptive"),
        (("A:min", "D:min"), C_MAJOR, None),
        (("C:maj",), C_MAJOR, None),
    ],
)
def test_cadences_are_told_by_their_last_two_harmonies(labels, key, name):
    assert cadence(chords(*labels), key) == name


def test_functions_cover_the_chords_of_the_key_alone():
    assert [chord_function(c, C_MAJOR) for c in chords("C", "D:min7", "G:7", "B:dim", "Ab:maj")] == [
        "tonic",
        "subdominant",
        "dominant",
        "dominant",
        None,
    ]


def test_borrowed_chords_come_from_the_parallel_key():
    assert [is_borrowed(c, C_MAJOR) for c in chords("F:min", "Ab:maj", "F:maj", "D:maj")] == [True, True, False, False]
    assert not is_borrowed(parse_chord("G:7"), C_MINOR), "the dominant of harmonic minor is its own"


def test_neighbours_of_one_harmony_are_one_span_and_passing_chords_none():
    labels = [("C:maj", 1.0), ("C:7", 1.0), ("N", 1.0), ("F:maj", 0.1), ("G:maj/5", 1.0)]
    segments, at_s = [], 0.0
    for label, length_s in labels:
        segments.append(Segment(start_s=at_s, end_s=at_s + length_s, label=label))
        at_s += length_s
    spans = chord_spans(segments, shortest_s=0.25)
    assert [(s.label, s.start_s, s.end_s) for s in spans] == [("C:maj", 0.0, 2.0), ("G:maj/5", 3.1, 4.1)]


def test_chords_without_a_triad_are_none():
    assert chords("N", "X", "C:5") == [None, None, None]
    assert parse_chord("A").triad == "maj"


def test_form_letters_follow_the_order_of_appearance():
    sections = [Segment(start_s=k, end_s=k + 1, label=label) for k, label in enumerate(["verse", "chorus", "verse"])]
    assert form_letters(sections) == ["A", "B", "A"]
    assert form_name(["A", "B", "A"]) == "ternary"
    assert form_name(["A", "A"]) == "strophic"
    assert form_name(["A", "B", "B", "A"]) is None


@pytest.mark.parametrize(
    ("bpm", "term"), [(45, "Largo"), (70, "Adagio"), (90, "Andante"), (140, "Allegro"), (190, "Presto")]
)
def test_tempo_terms_go_from_largo_to_presto(bpm, term):
    assert tempo_term(bpm) == term


def test_harmonic_rhythm_counts_changes_a_bar():
    segments = [Segment(start_s=k, end_s=k + 1, label=label) for k, label in enumerate(["C", "F"] * 4)]
    assert harmonic_rhythm(chord_spans(segments), num_bars=8) == "about once a bar"
    assert harmonic_rhythm(chord_spans(segments), num_bars=3) == "more than once a bar"
    assert harmonic_rhythm(chord_spans(segments), num_bars=1) is None
