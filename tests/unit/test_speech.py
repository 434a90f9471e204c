"""Speech: the record, the loaders' reading of each corpus's marks and times, the spoken source, the stage."""

import json

import numpy as np
import pytest
from pydantic import ValidationError
from support import speech_corpora as corpora
from support.songs import run_stage

from music_flamingo import stages
from music_flamingo.audio.decode import BadAudioError, DecodeLimits
from music_flamingo.audio.flac import decode_flac, encode_flac
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.record import Provenance, read_parquet
from music_flamingo.core.shards import shard_paths
from music_flamingo.records import Audio, SpokenSegment, Utterance
from music_flamingo.sources.speech.chime import _seconds
from music_flamingo.sources.speech.espeak import RATE_HZ, Voice, say
from music_flamingo.sources.speech.reading import cut_at_pauses, inside, read_segment
from music_flamingo.sources.speech.spoken import SpokenConfig, is_held_out, phrases
from music_flamingo.sources.speech.switchboard import words
from music_flamingo.sources.speech.text_grid import read_text_grid

# --- the record -------------------------------------------------------------------------------------------------


def segment(start_s=0.0, end_s=1.0, text="two birds", speaker="a", **changes) -> SpokenSegment:
    return SpokenSegment(speaker=speaker, start_s=start_s, end_s=end_s, text=text, **changes)


def utterance(**changes) -> Utterance:
    values = {
        "id": "c/1",
        "corpus": "c",
        "language": "en",
        "licence": None,
        "split": "train",
        "audio": Audio(bytes=encode_flac(np.zeros(32000, np.float32)), path="c/1.flac"),
        "duration_s": 2.0,
        "segments": [segment()],
        "is_sung": False,
        "request": None,
        "provenance": Provenance(made_by="test", tool="test", tool_version="1"),
    }
    return Utterance.model_validate({**values, **changes})


def test_a_segment_runs_forward_and_has_words():
    assert segment(0.0, 1e-6).end_s == 1e-6
    for wrong in ({"start_s": 1.0, "end_s": 1.0}, {"start_s": -0.1}, {"text": "  "}):
        with pytest.raises(ValidationError):
            segment(**wrong)


def test_segments_may_overlap_but_stand_by_their_starts():
    assert utterance(segments=[segment(0.0, 1.5), segment(0.0, 1.0), segment(1.0, 2.0)]).speakers == ("a",)
    with pytest.raises(ValidationError, match="stand by their starts"):
        utterance(segments=[segment(0.5, 1.0), segment(0.4, 1.0)])


def test_a_segment_ends_with_its_recording_give_or_take_rounding():
    assert utterance(segments=[segment(0.0, 2.1)]).is_ok
    with pytest.raises(ValidationError, match=r"ends at 2\.2 s"):
        utterance(segments=[segment(0.0, 2.2)])
    assert not utterance(status="quarantined:truncated", segments=[segment(0.0, 2.2)]).is_ok


def test_only_a_quarantined_utterance_may_lack_audio_or_words():
    for missing in ({"audio": None}, {"duration_s": None}, {"segments": []}):
        with pytest.raises(ValidationError, match="has audio"):
            utterance(**missing)
        assert utterance(status="quarantined:unreadable", **missing).status == "quarantined:unreadable"


def test_speakers_come_in_the_order_in_which_they_are_heard():
    said = [segment(0.0, 1.0, speaker="b"), segment(0.5, 1.2, speaker="a"), segment(1.3, 1.4, speaker="b")]
    assert utterance(segments=said).speakers == ("b", "a")


# --- cutting sessions -------------------------------------------------------------------------------------------


def spans(groups):
    return [[(s.start_s, s.end_s) for s in group] for group in groups]


def test_stretches_are_cut_at_pauses_and_as_long_as_allowed():
    said = [segment(0.0, 2.0), segment(2.0, 3.0), segment(4.0, 5.0), segment(5.5, 7.0)]
    assert spans(cut_at_pauses(said, 5.0)) == [[(0.0, 2.0), (2.0, 3.0), (4.0, 5.0)], [(5.5, 7.0)]]
    assert spans(cut_at_pauses(said, 4.9)) == [[(0.0, 2.0), (2.0, 3.0)], [(4.0, 5.0), (5.5, 7.0)]]


def test_an_overlap_is_never_cut_even_where_it_is_too_long():
    said = [segment(0.0, 4.0), segment(3.9, 8.0), segment(1.0, 2.0), segment(8.0, 9.0)]
    assert spans(cut_at_pauses(said, 5.0)) == [[(0.0, 4.0), (1.0, 2.0), (3.9, 8.0)], [(8.0, 9.0)]]


def test_a_stretch_is_read_from_its_place_and_its_channel(tmp_path):
    import soundfile

    two = np.zeros((32000, 2), np.float32)
    two[16000:24000, 1] = 0.5
    soundfile.write(tmp_path / "two.wav", two, 16000)
    assert np.allclose(read_segment(tmp_path / "two.wav", 1.0, 1.5, [1]), 0.5, atol=1e-3)
    assert np.allclose(read_segment(tmp_path / "two.wav", 1.0, 1.5), 0.25, atol=1e-3)
    assert not read_segment(tmp_path / "two.wav", 1.0, 1.5, [0]).any()
    with pytest.raises(BadAudioError, match="2 channels, 3 are asked for"):
        read_segment(tmp_path / "two.wav", 0.0, 1.0, [2])
    with pytest.raises(BadAudioError, match="truncated"):
        read_segment(tmp_path / "two.wav", 2.0, 3.0)


def test_a_name_in_a_table_cannot_lead_out_of_its_folder(tmp_path):
    assert inside(tmp_path, "a/b.mp3") == tmp_path / "a/b.mp3"
    with pytest.raises(BadAudioError, match="leads out"):
        inside(tmp_path, "../other.mp3")


# --- the corpora ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Kind -> id within the corpus -> utterance."""

    def of(kind: str) -> dict[str, Utterance]:
        root = tmp_path_factory.mktemp(kind)
        config = corpora.speech_config(**{kind: corpora.CORPORA[kind](root / "corpus")})
        run_stage(stages.load("speech"), config, root / "data")
        found = [u for path in shard_paths(root / "data/speech") for u in read_parquet(path, Utterance)]
        return {u.id.removeprefix(f"{kind}/"): u for u in found}

    return of


def told(found: dict[str, Utterance]) -> dict[str, list[tuple[str, float, float, str]]]:
    return {
        name: [(s.speaker, s.start_s, round(s.end_s, 2), s.text) for s in u.segments]
        for name, u in found.items()
        if u.is_ok
    }


def reasons(found: dict[str, Utterance]) -> dict[str, str]:
    return {name: u.status.removeprefix("quarantined:") for name, u in found.items() if not u.is_ok}


def test_emilia_is_read_from_tars_and_from_json_lines(read):
    found = read("emilia")
    texts = {name: (u.language, u.segments[0].speaker, u.segments[0].text) for name, u in found.items() if u.is_ok}
    assert texts == {
        "EN_B00000_S00010_W000000": ("en", "EN_S00010", "Two red birds sing."),
        "ZH_B00000_S00011_W000001": ("zh", "ZH_S00011", "两只红鸟唱歌。"),
        "DE_B00001_S00000_W000000": ("de", "DE_S0", "Drei Hunde laufen."),
    }
    assert found["EN_B00000_S00010_W000000"].duration_s == pytest.approx(1.5, abs=0.1)
    assert reasons(found) == {
        "EN_B00000_S00010_W000002": "unreadable",
        "DE_B00001-2": "bad_row:no text, speaker, language",
    }


def test_covost_takes_each_clip_once_however_many_targets_it_has(read):
    found = read("covost")
    assert {n: (u.language, u.split, u.segments[0].text) for n, u in found.items() if u.is_ok} == {
        "fr-common_voice_fr_1": ("fr", "train", 'Il dit "bonjour'),
        "cy-common_voice_cy_9": ("cy", "dev", "Mae dau aderyn yn canu"),
    }
    assert reasons(found) == {"fr-common_voice_fr_2": "unreadable"}


def test_a_table_without_the_columns_of_common_voice_is_refused(tmp_path):
    source = corpora.covost(tmp_path)
    (tmp_path / "cy/dev.tsv").write_text("file\ttext\na\tb\n")
    with pytest.raises(ValueError, match=r"cy/dev.tsv has no column client_id, path, sentence"):
        run_stage(stages.load("speech"), corpora.speech_config(covost=source), tmp_path / "data")


def test_must_c_cuts_talks_by_offset_and_duration(read):
    found = read("must_c")
    assert told(found) == {
        "train-ted_1-0000": [("spk.1", 0.0, 1.5, "Two red birds sing.")],
        "train-ted_1-0001": [("spk.1", 0.0, 2.25, "They sing of rain.")],
    }
    whole = corpora.sound(6.0, 16000)[:, 0]
    heard = decode_flac(found["train-ted_1-0001"].audio.bytes)
    assert np.allclose(heard, whole[48000:84000], atol=1e-3)
    assert reasons(found) == {"train-ted_1-0002": "truncated", "train-ted_2-0000": "unreadable"}


def test_must_c_with_more_segments_than_lines_is_refused(tmp_path):
    source = corpora.must_c(tmp_path)
    (tmp_path / "data/train/txt/train.en").write_text("One line.\n")
    with pytest.raises(ValueError, match="has 4 segments, its text 1 lines"):
        run_stage(stages.load("speech"), corpora.speech_config(must_c=source), tmp_path / "data")


def test_sift_keeps_a_request_with_its_answer_and_no_transcript(read):
    found = read("sift")
    (good,) = (u for u in found.values() if u.is_ok)
    assert (good.request, good.segments[0].text, good.language) == ("What is said?", "Two red birds sing.", "en")
    assert reasons(found) == {
        "train-closed_ended-content_level-en-split0-2": "unreadable",
        "train-closed_ended-content_level-en-split0-3": "not_one_recording",
        "train-closed_ended-content_level-en-split0-4": "not_one_recording",
    }


def test_chime_gives_stretches_with_their_overlaps_and_without_marks_of_noise(read):
    found = read("chime")
    assert told(found) == {
        "S02-00000": [("P05", 0.0, 1.5, "two red birds"), ("P06", 1.0, 2.0, "where")],
        "S02-00001": [("P07", 0.0, 1.0, "over there")],
    }
    assert found["S02-00000"].duration_s == pytest.approx(2.0)
    assert reasons(found) == {
        "S02-line00003": "bad_times:15.0 to 14.0",
        "S09-00000": "unreadable",
        "S10-transcript": "unreadable",
    }


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("0:01:15.92", 75.92),
        ("1:00:00.00", 3600.0),
        (75.92, 75.92),
        ("75.92", 75.92),
        ({"original": "0:00:01.00"}, 1.0),
    ],
)
def test_chime_states_times_in_three_ways(time, seconds):
    assert _seconds(time, "U01") == seconds
    assert _seconds({"original": "0:00:01.00", "U01": "0:00:02.00"}, "U01") == 2.0


def test_switchboard_mixes_both_sides_of_a_call(read):
    found = read("switchboard")
    assert told(found) == {
        "sw2001-00000": [
            ("sw2001A", 0.0, 2.52, "hi um yeah th- because"),
            ("sw2001B", pytest.approx(1.522375), 3.02, "space indeed"),
        ],
        "sw2001-00001": [("sw2001A", 0.0, 2.0, "alrighty")],
    }
    # 8 kHz on disk
    assert len(decode_flac(found["sw2001-00001"].audio.bytes)) == 32000
    assert reasons(found) == {"sw2102-00000": "unreadable"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[silence]", ""),
        ("[laughter-yes] right", "yes right"),
        ("[splace/space]", "space"),
        ("{alrighty} then", "alrighty then"),
        ("because_1 i", "because i"),
        ("th[ey]- they", "th- they"),
        ("-[th]ey are", "-ey are"),
        ("<b_aside> no <e_aside> yes", "no yes"),
        ("a [vocalized-noise] b", "a b"),
    ],
)
def test_marks_of_isip_transcripts(line, said):
    assert words(line) == said


def test_alimeeting_is_read_from_text_grids(read):
    found = read("alimeeting")
    assert told(found) == {
        "R8001_M8004-00000": [("N_SPK8013", 0.0, 1.5, "两只红鸟"), ("N_SPK8014", 1.0, 3.0, "唱歌")],
        "R8001_M8004-00001": [("N_SPK8013", 0.0, 1.5, '他说"好"')],
    }
    assert {u.split for u in found.values()} == {"dev"}
    assert reasons(found) == {"R8002_M8005-00000": "unreadable"}


def test_a_text_grid_that_is_not_whole_is_refused(tmp_path):
    path = tmp_path / "a.TextGrid"
    whole = corpora.text_grid({"a": [(0.0, 1.0, "x"), (1.0, 2.0, "y")]})
    for encoding in ("utf-8", "utf-16"):
        path.write_text(whole, encoding=encoding)
        assert [i.text for i in read_text_grid(path)["a"]] == ["x", "y"]
    path.write_text(whole.replace("text =", "txt =", 1))
    with pytest.raises(ValueError, match="claims 2 intervals and holds 1"):
        read_text_grid(path)
    path.write_text("a text")
    with pytest.raises(ValueError, match="no TextGrid"):
        read_text_grid(path)


# --- speech made on the spot ------------------------------------------------------------------------------------


def test_the_same_text_in_the_same_voice_sounds_the_same_whatever_was_said_before():
    voice = Voice("en", "f2", 170, 50)
    first = say("two red birds sing", voice)
    say("zehn alte Hunde", Voice("de", "m1", 150, 40))
    again = say("two red birds sing", voice)
    assert np.array_equal(first.samples, again.samples)
    assert first.phonemes == again.phonemes == "t uː ɹ ɛ d b ɜː d z s ɪ ŋ"
    assert not np.array_equal(first.samples, say("two red birds sing", Voice("en", "m1", 170, 50)).samples)


def test_a_sung_word_keeps_its_note():
    for hertz in (196.0, 293.7):
        samples = say("sing", Voice("en", "f2", 150, 50, hertz)).samples
        middle = samples[len(samples) // 3 : len(samples) // 3 + 4096]
        lags = np.correlate(middle, middle, "full")[len(middle) - 1 :]
        low, high = round(RATE_HZ / 400), round(RATE_HZ / 150)
        assert RATE_HZ / (low + int(np.argmax(lags[low:high]))) == pytest.approx(hertz, rel=0.03)


def test_a_voice_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"no voice 'xx\+f2'"):
        say("hello", Voice("xx", "f2", 170, 50))


def spoken_config(**changes) -> SpokenConfig:
    return SpokenConfig.model_validate_json(json.dumps({**corpora.SPOKEN, **changes}))


def test_held_out_sentences_and_voices_are_never_heard_in_training():
    config = spoken_config(train={"alone": 40, "together": 0, "sung": 0}, dev={"alone": 12, "together": 0, "sung": 0})
    source = config.open(DecodeLimits(**corpora.LIMITS))
    said = [s for unit in source.units() for s in source.utterances(unit)]
    sentences = {split: {s.words[0].text for s in said if s.split == split} for split in ("train", "dev")}
    voices = {split: {s.words[0].speaker for s in said if s.split == split} for split in ("train", "dev")}
    assert sentences["train"] and sentences["dev"]
    assert all(is_held_out(text.split(), config) for text in sentences["dev"])
    assert not any(is_held_out(text.split(), config) for text in sentences["train"])
    assert voices == {"train": {"m1", "f1"}, "dev": {"f3", "m3"}}


def test_the_share_of_held_out_sentences_is_about_what_was_asked_for():
    from itertools import product

    config = spoken_config(held_out_sentences=0.2)
    everything = list(product(*phrases()["en"]["slots"]))
    held = sum(is_held_out(words, config) for words in everything)
    assert held / len(everything) == pytest.approx(0.2, abs=0.04)


def test_every_language_has_slots_of_four_words_and_no_word_twice_in_a_slot():
    for language, told in phrases().items():
        assert [len(set(slot)) for slot in told["slots"]] == [4, 4, 4, 4], language


def test_two_who_speak_together_overlap_by_the_stated_share():
    config = spoken_config(overlap=[0.3, 0.5])
    source = config.open(DecodeLimits(**corpora.LIMITS))
    for index in range(4):
        (said,) = source.utterances(f"train/together/{index}")
        first, second = said.words
        share = (first.end_s - second.start_s) / first.end_s
        assert 0.3 <= share <= 0.5
        assert first.speaker != second.speaker


def test_a_voice_of_training_cannot_be_held_out():
    with pytest.raises(ValidationError, match="cannot be held out"):
        spoken_config(held_out_voices=["m1"])
    with pytest.raises(ValidationError, match=r"no words for \['xx'\]"):
        spoken_config(languages=["xx"])


# --- the stage --------------------------------------------------------------------------------------------------


def test_a_second_run_gives_the_same_bytes_in_two_processes(tmp_path):
    for name, workers in (("one", 1), ("two", 2)):
        config = {**corpora.speech_config(spoken=corpora.SPOKEN), "workers": workers}
        run_stage(stages.load("speech"), config, tmp_path / name)
    digests = {read_manifest(tmp_path / name / "speech").digest for name in ("one", "two")}
    assert len(digests) == 1


def test_the_stage_goes_on_from_the_shards_that_it_finds(tmp_path, monkeypatch):
    from music_flamingo.stages import speech

    calls = []
    original = speech.take_in_unit

    def counted(*args, **kwargs):
        calls.append(args)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(speech, "take_in_unit", counted)
    config = corpora.speech_config(spoken=corpora.SPOKEN)
    with pytest.raises(KeyboardInterrupt):
        run_stage(stages.load("speech"), config, tmp_path)
    manifest = run_stage(stages.load("speech"), config, tmp_path)["speech"]
    assert manifest.num_records == 15
    # seven of the first run, four of them in a whole shard
    assert len(calls) == 7 + 15 - 4


def test_metrics_count_by_corpus_language_split_and_reason(tmp_path):
    source = corpora.must_c(tmp_path / "corpus")
    metrics = run_stage(stages.load("speech"), corpora.speech_config(talks=source), tmp_path / "data")["speech"].metrics
    assert metrics["num_ok"] == 2
    assert metrics["reasons"] == {"truncated": 1, "unreadable": 1}
    assert metrics["utterances_by_corpus"] == {"talks": 2}
    assert metrics["minutes"] == {"talks": pytest.approx(3.75 / 60, abs=0.01)}


def test_a_corpus_that_changes_makes_a_new_run(tmp_path):
    source = corpora.must_c(tmp_path / "corpus")
    config = corpora.speech_config(talks=source)
    keys = [run_stage(stages.load("speech"), config, tmp_path / "data")["speech"].key for _ in range(2)]
    (tmp_path / "corpus/data/train/txt/train.yaml").touch()
    keys.append(run_stage(stages.load("speech"), config, tmp_path / "data")["speech"].key)
    assert keys[0] == keys[1] != keys[2]


def test_a_source_that_a_profile_sets_to_null_is_left_out(tmp_path):
    config = corpora.speech_config(spoken=None)
    manifest = run_stage(stages.load("speech"), config, tmp_path)["speech"]
    assert manifest.num_records == 0
