"""A question and its answer are read as one statement; statements of several facts are held against all of them."""

import pytest
from support.benchmark_scripts import load_benchmark

from music_flamingo.scoring.claims import judge, read_answer, read_claims
from music_flamingo.scoring.claims.restated import restated

TRACKS = load_benchmark("statements").read_tracks()


@pytest.mark.parametrize(
    ("question", "answer", "statement"),
    [
        ("Which chord opens the piece?", "C major", "C major opens the piece"),
        ("Can you tell me what the key is?", "C major", "the key is C major"),
        ("How many sections are there?", "4", "There are 4 sections"),
        ("When does the chorus kick in?", "0:30", "the chorus kicks in at 0:30"),
        ("Is the signature made of sharps or flats?", "Flats", "the signature made of is Flats"),
        ("Does the harmony change?", "It changes every 20 seconds", "The harmony changes every 20 seconds"),
        ("How does the song begin?", "with an intro", "the song begins with an intro"),
    ],
)
def test_a_question_and_its_answer_make_a_statement(question, answer, statement):
    assert statement in list(restated(question, answer))


@pytest.mark.parametrize(
    ("track", "question", "answer", "verdict"),
    [
        ("waltz", "Which harmony colours the second section?", "B minor", "supported"),
        ("waltz", "Which harmony colours the second section?", "C# major", "contradicted"),
        ("waltz", "What is the dominant of the piece's key?", "C# major", "supported"),
        ("waltz", "What is the dominant of the piece's key?", "B major", "contradicted"),
        ("song", "How much of the song consists of verses?", "60 seconds", "supported"),
        ("song", "How much of the song consists of verses?", "40 seconds", "contradicted"),
        ("rock", "What is the scale degree of F major in this key?", "The submediant", "supported"),
        ("song", "The music gets softer by the end, true or false?", "True", "supported"),
        ("song", "The music gets softer by the end, true or false?", "False", "contradicted"),
    ],
)
def test_answers_are_held_against_what_question_and_answer_say(track, question, answer, verdict):
    judged = [judge(claim, TRACKS[track]).verdict for claim in read_answer(question, answer) if not claim.is_place]
    assert verdict in judged
    assert verdict == "contradicted" or "contradicted" not in judged


@pytest.mark.parametrize(
    ("track", "text", "verdict"),
    [
        ("folk", "It follows a beat of 4.", "supported"),
        ("folk", "It follows a 3-beat count.", "contradicted"),
        ("waltz", "A piece in either F#m or A major.", "supported"),
        ("waltz", "A piece in either Gm or G major.", "contradicted"),
        ("rock", "The harmony cycles Am - F - C - G.", "supported"),
        ("rock", "The harmony cycles Am - C - F - G.", "contradicted"),
        ("rock", "The chord sequence is Am, F, C, G.", "supported"),
        ("rock", "The chord sequence is Am, F, C, Em.", "contradicted"),
        ("folk", "It ends on Eb:maj.", "supported"),
        ("song", "From 80 seconds on we hear the chorus.", "supported"),
        ("waltz", "Sections, four of them, of 20 seconds each.", "supported"),
        ("waltz", "Sections, four of them, of 30 seconds each.", "contradicted"),
        ("song", "From 80 seconds on we hear the verse.", "contradicted"),
        ("rock", "A four-beat bar lasts about 1.7 seconds.", "supported"),
        ("rock", "A four-beat bar lasts about 3 seconds.", "contradicted"),
        ("waltz", "The section boundaries fall at 20, 40 and 60 seconds.", "supported"),
        ("waltz", "The section boundaries fall at 10 and 40 seconds.", "contradicted"),
        ("waltz", "The tonic is followed by the subdominant.", "supported"),
        ("soul", "The tonic is followed by the dominant.", "contradicted"),
    ],
)
def test_statements_of_several_facts_are_held_against_them(track, text, verdict):
    assert verdict in [judge(claim, TRACKS[track]).verdict for claim in read_claims(text)]


def test_a_symbol_that_no_claim_names_must_be_known():
    unmeasured = [judge(claim, TRACKS["folk"]).verdict for claim in read_claims("The drone, an F#, is low.")]
    assert unmeasured == ["unmeasured"]
    assert {judge(claim, TRACKS["folk"]).verdict for claim in read_claims("The drone, an Eb, is low.")} == {"supported"}
