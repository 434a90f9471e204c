"""Free texts against the facts: what names something else is found, and its near miss is not.

The facts: 16 s, C major, 120 BPM, four beats to the bar, eight bars, drums; C F G7 C Am Dm G C.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import songs

from music_flamingo.quality.contradictions import claims_of_drums, named_keys, named_times_s, text_contradicts

FACTS = songs.make_facts()
WITHOUT_DRUMS = songs.make_facts(sound=FACTS.sound.model_copy(update={"has_drums": False}))
NOTES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("at 121 bpm", None),
        ("at 122 bpm", "tempo"),
        ("At 96 beats per minute.", "tempo"),
        ("a 90-bpm groove", "tempo"),
        ("in C-sharp minor", "key"),
        ("in C sharp major, in fact", "key"),
        ("in Db-major", "key"),
        ("in B# Major", None),
        ("It ends on a G major chord.", None),
        ("It ends on an E major triad.", "chords"),
        ("It begins in C major and modulates to G major.", None),
        ("It begins in D major and modulates to G major.", "key"),
        ("Its relative minor, A minor, is near.", None),
        ("A minor detail stands out.", None),
        ("A minor is the key.", "key"),
        ("in duple meter", None),
        ("In Triple Metre", "meter"),
        ("in waltz time", "meter"),
        ("in 4/4 time", None),
        ("in 3/4", "meter"),
        ("3/4 of the piece", None),
        ("in 6/8", "meter"),
        ("four beats per measure", None),
        ("three beats in a bar", "meter"),
        ("steady beats to the bar", None),
        ("has eight bars", None),
        ("has 9 measures", "meter"),
        ("from Am to G7", None),
        ("to F#m7", "chords"),
        ("a G dominant seventh", None),
        ("an A minor seventh chord", "chords"),
        ("a D diminished chord", "chords"),
        ("an A B A form", None),
        ("the drums enter", None),
        ("There are no audible drums.", "drums"),
        ("without any drums", "drums"),
        ("The drums are absent.", "drums"),
        ("It is drumless.", "drums"),
        ("a drum of rain", None),
        ("ends at 16.0 s", None),
        ("ends at 17.0 s", "time"),
        ("at 0:12", None),
        ("at 1:23", "time"),
        ("described every 30 s", None),
    ],
)
def test_a_text_that_names_something_else_is_found_and_its_near_miss_is_not(text, what):
    assert text_contradicts(text, FACTS, "free") == what


@pytest.mark.parametrize(
    ("text", "what"),
    [("A drum kit drives it.", "drums"), ("No drum kit, no drummer.", None), ("It is drumless.", None)],
)
def test_drums_that_are_not_there_may_be_denied_and_not_heard(text, what):
    assert text_contradicts(text, WITHOUT_DRUMS, "free") == what


@given(st.sampled_from(NOTES), st.sampled_from(["major", "minor"]), st.sampled_from([" ", "-"]))
def test_any_key_but_the_measured_one_contradicts(tonic, mode, joint):
    expected = None if (tonic, mode) == ("C", "major") else "key"
    assert text_contradicts(f"The whole stays in {tonic}{joint}{mode}.", FACTS, "free") == expected


@given(st.floats(30, 300).map(lambda bpm: round(bpm, 1)), st.sampled_from(["{} BPM", "{} beats per minute", "{}bpm"]))
def test_any_tempo_more_than_one_beat_off_contradicts(bpm, form):
    expected = "tempo" if abs(bpm - 120) > 1 else None
    assert text_contradicts(f"It goes at {form.format(bpm)}.", FACTS, "free") == expected


@given(st.integers(0, 99), st.integers(0, 59))
def test_clock_times_are_read_in_seconds(minutes, seconds):
    assert named_times_s(f"a bridge at {minutes}:{seconds:02d} follows") == [60 * minutes + seconds]


@given(st.text(max_size=300))
def test_no_text_breaks_the_reading(text):
    text_contradicts(text, FACTS, "free")
    named_keys(text)
    claims_of_drums(text)


def test_an_open_answer_of_an_unknown_family_is_read_as_a_text():
    from music_flamingo.quality.checks import Limits, Song, reason_against
    from music_flamingo.records import Example
    from music_flamingo.records.caption import TeacherStamp

    stamp = TeacherStamp(kind="t", model="t", revision="1", prompt_id="p", prompt_sha256="0")
    values = {"id": "a", "track_id": "w1/0", "work_id": "w1", "split": "train", "skill": "harmony", "type": "open"}
    values |= {"family": "free", "question": "How does it sound?", "options": [], "rationale": "", "references": []}
    example = Example(**values, answer="Dark, in E minor.", structured=[], teacher=stamp)
    song = Song(FACTS, 16.0, Limits.model_validate(songs.params("validate")["limits"]))
    reason = reason_against(example, song)
    assert reason is not None
    assert reason.partition(":")[0] == "contradicts_key"
    assert "E minor" in reason
