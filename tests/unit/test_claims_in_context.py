"""Times, parts, chords, lines and answers that only their question explains: read as kinds, held against facts."""

import pytest
from support.benchmark_scripts import load_benchmark

from music_flamingo.scoring.claims import judge, read_answer, read_claims
from music_flamingo.scoring.claims.clock import SPAN, WHEN, moment_of, seconds_of
from music_flamingo.scoring.claims.wording import plain

BENCHMARK = load_benchmark("statements")
TRACKS = BENCHMARK.read_tracks()


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("1:23", 83),
        ("a minute and a half", 90),
        ("two and a half minutes", 150),
        ("half a minute", 30),
        ("three quarters of a minute", 45),
        ("a quarter of an hour", None),
        ("2 minutes and 5 seconds", 125),
        ("two minutes flat", 120),
        ("90 s", 90),
        ("the 1980s", None),
    ],
)
def test_a_time_is_read_in_figures_and_words(said, seconds):
    found = SPAN.search(plain(said))
    assert (seconds_of(found.groupdict()) if found else None) == seconds


@pytest.mark.parametrize(
    ("said", "share"), [("halfway through", 0.5), ("a quarter of the way in", 0.25), ("three fifths of the way", 0.6)]
)
def test_a_share_of_the_recording_is_a_time(said, share):
    found = WHEN.search(plain(said))
    assert found is not None
    moment = moment_of(found.groupdict())
    assert moment.is_share
    assert moment.at(TRACKS["waltz"]) == pytest.approx(80 * share)


@pytest.mark.parametrize(
    ("track", "text", "verdict"),
    [
        ("song", "After the verse comes the chorus.", "supported"),
        ("soul", "After the intro comes the chorus.", "contradicted"),
        ("soul", "The intro is followed by a verse.", "supported"),
        ("song", "The chorus appears twice.", "supported"),
        ("song", "The chorus appears only once.", "contradicted"),
        ("soul", "The verse is longer than a minute.", "contradicted"),
        ("soul", "The verse is longer than the chorus.", "supported"),
        ("five", "The first section is twice as long as the second.", "contradicted"),
        ("five", "The first section is as long as the second.", "supported"),
        ("waltz", "The B section takes up the third quarter of the piece.", "supported"),
        ("waltz", "The B section takes up the first half.", "contradicted"),
        ("rock", "The first 40 seconds are the B section.", "contradicted"),
        ("rock", "The last section is unlike the first.", "supported"),
        ("soul", "A song of intro, verse, chorus, verse, chorus, outro.", "supported"),
        ("soul", "A song of intro, chorus, verse, chorus, verse, outro.", "contradicted"),
        ("song", "There is no bridge.", "supported"),
        ("five", "The music ends on the dominant.", "contradicted"),
        ("five", "The music ends on the tonic.", "supported"),
        ("air", "The chords change every ten seconds.", "supported"),
        ("rock", "The song ends louder than it began.", "supported"),
        ("rock", "It goes from loud to quiet.", "contradicted"),
        ("five", "Slow jazz with drums.", "contradicted"),
        ("five", "Jazz in five.", "supported"),
        ("folk", "It counts one, two, three.", "contradicted"),
        ("song", 'The line "Carry me home again" is heard twice.', "supported"),
        ("song", 'The line "Carry me home again" is heard only once.', "contradicted"),
    ],
)
def test_claims_about_parts_chords_and_lines(track, text, verdict):
    kinds = ("form", "count", "time", "chords", "dynamics", "tempo", "meter")
    judged = {judge(c, TRACKS[track]).verdict for c in read_claims(text) if c.kind in kinds and not c.is_place}
    assert verdict in judged
    assert ("contradicted" in judged) == (verdict == "contradicted")


@pytest.mark.parametrize(
    ("track", "question", "answer", "verdict"),
    [
        ("soul", "How long is the intro?", "16 seconds", "supported"),
        ("soul", "How long is the intro?", "half a minute", "contradicted"),
        ("waltz", "At what point does the contrasting section arrive?", "Halfway through", "supported"),
        ("waltz", "At what point does the contrasting section arrive?", "A quarter of the way through", "contradicted"),
        ("rock", "Where does the C section fall?", "At the end", "supported"),
        ("rock", "Where does the C section fall?", "In the middle", "contradicted"),
        ("song", "How many times do we hear the chorus?", "Twice", "supported"),
        ("song", "What comes between the two choruses?", "The second verse", "supported"),
        ("five", "When does the A major chord begin?", "16 s", "supported"),
        ("five", "When does the A major chord begin?", "32 s", "contradicted"),
        ("rock", "What chord is heard two minutes in?", "C major", "supported"),
        ("rock", "What chord is heard two minutes in?", "F major", "contradicted"),
        ("folk", "Which chord is held for the longest?", "C minor", "contradicted"),
        ("folk", "What happens in the harmony after Bb major?", "C minor", "supported"),
        ("soul", "What never came?", "Morning", "supported"),
        ("song", "Which lyric is repeated?", "Lanterns burn along the pier", "contradicted"),
        ("five", "How many sharps does the key signature have?", "Four", "supported"),
        ("song", "What kind of guitar is it?", "Acoustic", "supported"),
        ("song", "Which pronoun suits the singer?", "She", "supported"),
        ("jig", "Does the violin get louder?", "No", "supported"),
        ("waltz", "Does the piano get louder?", "No", "contradicted"),
        ("jig", "Who is singing?", "Nobody", "supported"),
        ("rock", "What happens at 2:40?", "The C section begins.", "supported"),
    ],
)
def test_an_answer_is_completed_by_its_question(track, question, answer, verdict):
    judged = {judge(c, TRACKS[track]).verdict for c in read_answer(question, answer) if not c.is_place}
    assert verdict in judged
    assert ("contradicted" in judged) == (verdict == "contradicted")


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("No drums are heard in C major.", "contradicted"),
        ("It is not in C major.", "supported"),
        ("There are no drums in this piece in Eb major.", "supported"),
    ],
)
def test_a_noun_denied_ends_before_a_key(text, verdict):
    judged = {judge(c, TRACKS["folk"]).verdict for c in read_claims(text) if c.kind == "key"}
    assert judged == {verdict}
