"""Instruments and voice, on a checkpoint of the published layout that learned three sounds."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from support import tiny_tagger
from support.tiny_tagger import sound

from music_flamingo.core.errors import ConfigError, MissingInputError
from music_flamingo.mir import RATE_HZ, Signal
from music_flamingo.mir.audioset import INSTRUMENTS, VOICES
from music_flamingo.mir.choices.sound import TaggedInstruments
from music_flamingo.mir.lyrics import UNAVAILABLE
from music_flamingo.mir.tagger import AudioTagger, columns, runs, spread, window_starts
from music_flamingo.mir.transcripts import Recogniser, no_lyrics
from music_flamingo.records import Genre, HeardTag, Instrument, Instruments, Lyrics, Segment, Track, Vocals
from music_flamingo.stages.facts import Toolbox, measure
from music_flamingo.teachers.payloads import SongFacts

STAMP = {"tool": "ear", "tool_version": "1", "confidence": 0.9}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagger")
    tiny_tagger.save_trained(folder)
    return folder


def tagger(model: Path, **changes: object) -> AudioTagger:
    plain = {"kind": "tagger", "model": str(model), "device": "cpu", "window_s": tiny_tagger.WINDOW_S, "hop_s": 0.64}
    plain |= {"labels": None, "min_probability": 0.5, "min_voice_probability": 0.5}
    opened = TaggedInstruments.model_validate(plain | changes).open()
    assert isinstance(opened, AudioTagger)
    return opened


def scene(*parts: tuple[str | None, float]) -> Signal:
    rng = np.random.default_rng(7)
    return Signal(np.concatenate([sound(name, duration_s, rng, RATE_HZ) for name, duration_s in parts]))


def test_instruments_and_the_stretches_of_a_voice_are_heard_over_the_whole_song(model: Path) -> None:
    heard = tagger(model).tag(scene(("Piano", 4.0), ("Singing", 6.0), ("Drum kit", 4.0), ("Singing", 3.0)))
    labels, voice = heard.instruments.labels, heard.voice
    assert {i.name for i in labels} == {"piano", "drum kit"}
    (piano,) = [i for i in labels if i.name == "piano"]
    assert [(s.start_s, s.label) for s in piano.heard] == [(0.0, "sounds")] and piano.heard[0].end_s < 6
    assert voice is not None and voice.present and {s.label for s in voice.heard} == {"singing"}
    edges = [t for s in voice.heard for t in (s.start_s, s.end_s)]
    assert edges == pytest.approx([4.0, 10.0, 14.0, 17.0], abs=tiny_tagger.WINDOW_S)
    assert heard.instruments.tool == "audio-spectrogram-transformer" and 0.5 <= heard.instruments.confidence <= 1
    assert voice.confidence > 0.5 and heard.genre is not None and heard.genre.labels == []


def test_without_a_voice_there_is_none_and_no_lyrics_are_looked_for(model: Path) -> None:
    class Ear:
        def read(self, track: Track, signal: Signal, has_voice: bool | None) -> Lyrics:
            return UNAVAILABLE if has_voice else no_lyrics(Recogniser("ear", "1"), "no_voice")

    tools = Toolbox(**dict.fromkeys(Toolbox.__dataclass_fields__) | {"instruments": tagger(model), "lyrics": Ear()})
    facts = measure(Track.model_construct(id="t", work_id="w"), scene(("Piano", 3.0)), tools)
    assert facts.voice is not None and not facts.voice.present and facts.voice.heard == []
    assert facts.lyrics is not None and facts.lyrics.why_not == "no_voice"


def test_hiss_has_neither_instruments_nor_a_voice(model: Path) -> None:
    heard = tagger(model).tag(scene((None, 3.0)))
    assert (heard.instruments.labels, heard.instruments.confidence) == ([], 0.0)
    assert heard.voice is not None and not heard.voice.present and heard.voice.confidence > 0.5


def test_a_recording_shorter_than_a_window_is_heard(model: Path) -> None:
    assert tagger(model).tag(scene(("Piano", 0.9))).instruments.labels != []


def test_a_model_without_audiosets_labels_is_refused(tmp_path: Path) -> None:
    tiny_tagger.save_trained(tmp_path, steps=0, labels=("rock", "pop", "jazz", "folk", "soul"))
    with pytest.raises(ConfigError, match="AudioSet"):
        tagger(tmp_path)


def test_a_missing_model_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="nowhere"):
        tagger(tmp_path / "nowhere")


def test_labels_of_one_instrument_are_one_and_others_are_left_out() -> None:
    labels = {0: "Snare drum", 1: "Jazz", 2: "Rimshot", 3: "Choir"}
    assert columns(labels, INSTRUMENTS) == {"snare drum": [0, 2]}
    assert columns(labels, VOICES) == {"singing": [3]}


@pytest.mark.parametrize(
    ("duration_s", "starts_s"),
    [(0.5, [0.0]), (10.0, [0.0]), (10.1, [0.0, 0.1]), (20.0, [0.0, 5.0, 10.0]), (22.0, [0.0, 5.0, 10.0, 12.0])],
)
def test_the_last_window_lies_at_the_end(duration_s: float, starts_s: list[float]) -> None:
    assert window_starts(duration_s, 10.0, 5.0) == pytest.approx(starts_s)


def test_windows_with_gaps_are_refused() -> None:
    with pytest.raises(ValueError, match="hop_s"):
        window_starts(30.0, 5.0, 6.0)


def test_a_stretch_is_the_mean_of_the_windows_over_it() -> None:
    values = np.array([[0.0], [1.0], [0.5]])
    cells = spread(values, [0.0, 5.0, 10.0], 10.0, 5.0, 20.0)
    assert cells[:, 0] == pytest.approx([0.0, 0.5, 0.75, 0.5])


def test_neighbouring_stretches_are_one_segment_and_end_with_the_recording() -> None:
    assert runs([None, "singing", "singing", "speech"], 5.0, 17.5) == [
        Segment(start_s=5.0, end_s=15.0, label="singing"),
        Segment(start_s=15.0, end_s=17.5, label="speech"),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": [{"name": "a", "probability": 0.5}, {"name": "b", "probability": 0.6}]},
        {"labels": [{"name": "a", "probability": 1.5}]},
    ],
    ids=["rising", "above one"],
)
def test_a_record_of_instruments_that_contradicts_itself_is_refused(changes: dict[str, object]) -> None:
    plain: dict[str, object] = {"labels": [], **STAMP}
    Instruments.model_validate(plain)
    with pytest.raises(ValidationError):
        Instruments.model_validate(plain | changes)


def test_a_teacher_is_told_what_the_tagger_heard() -> None:
    from support import songs

    voice = [Segment(start_s=1.0, end_s=2.0, label="singing")]
    labels = [Instrument(name="harp", probability=0.9), Instrument(name="oboe", probability=0.4)]
    heard = {
        "instruments": Instruments(labels=labels, **STAMP),
        "voice": Vocals(present=True, heard=voice, register_heard="female", **STAMP),
        "genre": Genre(labels=[HeardTag(name="jazz", probability=0.8)], **STAMP),
    }
    told = SongFacts.of(songs.make_facts(**heard), 30.0)
    assert (told.instruments, told.voice) == (["harp", "oboe"], voice)
    assert (told.has_voice, told.singer, told.genres) == (True, "female", ["jazz"])
    untold = SongFacts.of(songs.make_facts(), 30.0)
    assert (untold.instruments, untold.voice) == ([], [])


@pytest.mark.parametrize(
    "changes",
    [{"heard": [Segment(start_s=0, end_s=1, label="singing")]}, {"register_heard": "male"}],
    ids=["a voice denied", "a register of nobody"],
)
def test_a_record_of_a_voice_that_contradicts_itself_is_refused(changes: dict[str, object]) -> None:
    plain: dict[str, object] = {"present": False, "heard": [], **STAMP}
    Vocals.model_validate(plain)
    with pytest.raises(ValidationError, match="no voice is present"):
        Vocals.model_validate(plain | changes)


def test_labels_of_any_classifier_are_mapped_by_a_file(tmp_path: Path) -> None:
    labels = ("speak", "sing", "keys", "kit", "swinging")
    tiny_tagger.save_trained(tmp_path, steps=60, labels=labels)
    mapping = tmp_path / "labels.yaml"
    mapping.write_text("instruments: {keys: piano, kit: drums}\nvoices: {sing: singing}\ngenres: {swinging: jazz}\n")
    heard = tagger(tmp_path, labels=str(mapping), min_probability=0.3).tag(scene(("Piano", 3.0)))
    assert [i.name for i in heard.instruments.labels] == ["piano"] and heard.genre is not None
    mapping.write_text("instruments: {keys: piano}\nvoices: {sing: humming}\n")
    with pytest.raises(ConfigError, match="no mapping of labels"):
        tagger(tmp_path, labels=str(mapping))
