"""`mf ask`: what is printed, and what is told when the model never learned the question."""

import numpy as np
import pytest
import soundfile
from support import songs
from support.audio_endpoint import AudioEndpoint
from support.listening import RATE_HZ, heard_well, make_release, tone

from music_flamingo.core.errors import UserError
from music_flamingo.records.facts import Withheld
from music_flamingo.scoring.families import FAMILIES
from music_flamingo.serving import client
from music_flamingo.serving.bundle import TrainedQuestion
from music_flamingo.serving.client import EndpointAnswer, ask
from music_flamingo.serving.measured_answer import measured_answer
from music_flamingo.serving.notes import notes_on
from music_flamingo.serving.uploads import decode_file

TRAINED = [
    TrainedQuestion(family="mode", question="Is this piece in a major or a minor key?"),
    TrainedQuestion(family="cadence", question=None),
]


def test_thinking_answer_and_stretch_are_printed():
    answer = EndpointAnswer("<think>a</think><answer>b</answer>", "It sounds dark.", "minor", (3.0, 9.0), 12.0)
    assert str(answer).splitlines() == [
        "Thinking  It sounds dark.",
        "Answer    minor",
        "Heard     3.0 to 9.0 s of 12.0 s",
    ]


def test_words_without_an_answer_are_printed_as_they_were_said():
    answer = EndpointAnswer("<think>It \x1b[31m", None, None, (3.0, 9.0), 12.0, ("a note",))
    assert str(answer).splitlines() == [
        "Said      '<think>It \\x1b[31m'",
        "Heard     3.0 to 9.0 s of 12.0 s",
        "Note      a note",
    ]


def test_a_terminal_takes_no_command_from_a_model():
    assert "\x1b" not in str(EndpointAnswer("", "It is \x1b[2J dark.\n", "minor", (3.0, 9.0), 12.0))


def test_a_trained_question_needs_no_note_whatever_its_case():
    assert notes_on("is this piece in a major or a minor key", "released", TRAINED) == ()


def test_any_other_question_is_answered_with_a_note_of_what_was_trained():
    (note,) = notes_on("Who sings?", "released", TRAINED)
    assert "not trained on this question" in note
    assert "mode (Is this piece in a major or a minor key?); cadence (in several wordings)" in note


def test_a_model_that_was_never_evaluated_says_so_each_time():
    assert "never evaluated" in notes_on(TRAINED[0].question, "unevaluated", TRAINED)[0]


@pytest.mark.parametrize("suffix", ["", "/v1"])
@pytest.mark.parametrize(
    ("words", "thoughts", "answer", "thinking"),
    [
        ("<think>Drums play.</think><answer>yes</answer>", None, "yes", "Drums play."),
        ("yes", "Drums play.", "yes", "Drums play."),
        ("yes", None, "yes", None),
    ],
)
def test_a_song_is_answered_by_vllm(tmp_path, suffix, words, thoughts, answer, thinking):
    soundfile.write(tmp_path / "song.wav", tone(2.0), RATE_HZ)

    class Vllm(AudioEndpoint):
        def chat(self, body):
            reply = super().chat(body)
            reply["choices"][0]["message"]["reasoning"] = thoughts
            return reply

    with Vllm(lambda asked, sound: words) as server:
        server.models = [{"id": "music-flamingo", "owned_by": "vllm"}]
        address = server.url.removesuffix("/v1") + suffix
        told = ask(tmp_path / "song.wav", "Are drums heard?", endpoint=address, release=tmp_path)
    assert (told.answer, told.thinking, told.listened_s) == (answer, thinking, None)
    assert str(told).splitlines()[-1].startswith("Note      this server says neither")
    assert server.calls[0][0] == "Are drums heard?" and server.bodies[0]["model"] == "music-flamingo"


def test_an_address_without_openais_routes_is_named(tmp_path):
    soundfile.write(tmp_path / "song.wav", tone(2.0), RATE_HZ)
    with AudioEndpoint(lambda asked, sound: "yes") as server, pytest.raises(UserError, match="or vLLM"):
        ask(tmp_path / "song.wav", "Drums?", endpoint=server.url, release=tmp_path)


def test_a_song_is_answered_by_the_release_itself(tmp_path):
    release = make_release(tmp_path, *heard_well())
    soundfile.write(tmp_path / "song.mp3", tone(9.0), RATE_HZ)
    answer = ask(tmp_path / "song.mp3", "Are drums heard?", endpoint=None, release=release)
    assert answer.listened_s == pytest.approx((1.5, 7.5), abs=0.1)
    assert answer == ask(tmp_path / "song.mp3", "Are drums heard?", endpoint=None, release=release)


@pytest.mark.parametrize("question", [" ", "x" * 3000, "<sound>"])
def test_a_question_that_is_none_is_refused_with_the_songs_name(tmp_path, question):
    release = make_release(tmp_path, *heard_well())
    soundfile.write(tmp_path / "song.wav", tone(9.0), RATE_HZ)
    with pytest.raises(UserError, match=r"song\.wav: (a|the) question"):
        ask(tmp_path / "song.wav", question, endpoint=None, release=release)


def test_a_missing_or_unreadable_song_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.mp3 is not a file"):
        ask(tmp_path / "nothing.mp3", "Drums?", endpoint=None, release=tmp_path)
    (tmp_path / "text.mp3").write_text("no sound at all")
    with pytest.raises(UserError, match=r"text\.mp3 cannot be used: unreadable"):
        ask(tmp_path / "text.mp3", "Drums?", endpoint=None, release=make_release(tmp_path, *heard_well()))


def test_a_refused_release_does_not_answer(tmp_path):
    soundfile.write(tmp_path / "song.wav", tone(9.0), RATE_HZ)
    release = make_release(tmp_path, *heard_well(low_shuffled=0.0))
    with pytest.raises(UserError, match="was refused and holds no weights"):
        ask(tmp_path / "song.wav", "Drums?", endpoint=None, release=release)


def test_where_the_model_was_never_trained_the_measured_fact_is_said_and_marked(tmp_path):
    release = make_release(tmp_path, *heard_well())
    soundfile.write(tmp_path / "song.wav", tone(9.0), RATE_HZ)
    facts = songs.make_facts()
    answer = ask(tmp_path / "song.wav", "What key is it in?", endpoint=None, release=release, measure=lambda *_: facts)
    assert answer.measured == f"{facts.key.label} ({facts.key.tool}, confidence {facts.key.confidence:.2f})"
    assert str(answer).splitlines()[0] == f"Measured  {answer.measured}"


@pytest.mark.parametrize(
    ("question", "begins"),
    [
        ("How fast is it?", f"{songs.make_facts().tempo.bpm:.0f} BPM"),
        ("What is the time signature?", f"{songs.make_facts().beats.beats_per_bar} beats in a bar"),
        ("Is this piece in a major or a minor key?", songs.make_facts().key.mode),
        ("Which chords are played?", songs.make_facts().chords.segments[0].label),
    ],
)
def test_what_is_asked_is_found_among_the_facts(question, begins):
    assert measured_answer(question, songs.make_facts()).startswith(begins)


def test_a_claim_of_the_sound_is_said_with_its_own_confidence():
    sound = songs.make_facts().sound.model_copy(update={"confidence": 0.55, "texture_confidence": 0.97})
    answer = measured_answer(FAMILIES["texture"].question, songs.make_facts(sound=sound))
    assert answer == f"{sound.texture} ({sound.tool}, confidence 0.97)"


def test_nothing_is_said_of_what_nobody_measured_or_trusts():
    assert measured_answer("Who sings?", songs.make_facts()) is None
    unsure = songs.make_facts(withheld=[Withheld(fact="key", reason="unsure")])
    assert measured_answer("What key is it in?", unsure) is None


def test_without_a_model_tools_answer_and_it_is_said_so(tmp_path):
    recording = tmp_path / "song.wav"
    recording.write_bytes(b"sound")
    given = {"endpoint": None, "release": tmp_path / "release", "measure": lambda *_: songs.make_facts()}
    answer = ask(recording, "In which key is it?", **given)
    assert str(answer).splitlines() == [
        "Measured  C major (by hand, confidence 0.90)",
        "Heard     0.0 to 16.0 s of 16.0 s",
        "Note      no model is here: tools alone answer. `make run` trains one",
    ]
    with pytest.raises(UserError, match="no model is here"):
        ask(recording, "Who wrote it?", **given)


def test_one_s_own_file_may_be_as_long_as_the_model_hears(tmp_path):
    """Audio Flamingo Next hears 30 minutes."""
    soundfile.write(tmp_path / "long.flac", tone(20.5 * 60), RATE_HZ)
    with pytest.raises(UserError, match="1230"):
        decode_file(tmp_path / "long.flac", 6.0)
    assert len(decode_file(tmp_path / "long.flac", 1800.0)) == round(20.5 * 60 * RATE_HZ)


def test_a_recording_that_no_request_holds_is_refused_with_what_to_do(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 4 * RATE_HZ), RATE_HZ)
    monkeypatch.setattr(client, "MAX_UPLOAD_BYTES", 2**16)
    with pytest.raises(UserError, match=r"(?s)too large to be sent.*64 kbit/s.*--endpoint"):
        client._upload(tmp_path / "noise.wav")
