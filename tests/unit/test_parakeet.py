"""Parakeet's lyrics, on checkpoints of the published layout: a small one that learned six words, a random one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support import tiny_parakeet
from support.tiny_parakeet import WORD_S

from music_flamingo.core.errors import ConfigError, MissingInputError
from music_flamingo.mir import RATE_HZ, Signal, to_signal
from music_flamingo.mir.choices.lyrics import LanguageOfSource, ParakeetChoice
from music_flamingo.mir.parakeet import ParakeetLyrics
from music_flamingo.records import Track

TRACK = Track.model_construct(id="t", language="en")


@pytest.fixture(scope="module")
def ctc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parakeet-ctc")
    tiny_parakeet.save_trained_ctc(folder)
    return folder


@pytest.fixture(scope="module")
def tdt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parakeet-tdt")
    tiny_parakeet.save_random_tdt(folder)
    return folder


def choice(model: Path, **changes: object) -> ParakeetChoice:
    plain = {"kind": "parakeet", "model": str(model), "device": "cpu", "window_s": 60.0, "overlap_s": 2.0}
    plain |= {"line_pause_s": 1.0, "min_confidence": 0.3, "language": LanguageOfSource(kind="source")}
    return ParakeetChoice.model_validate(plain | changes)


def recogniser(model: Path, **changes: object) -> ParakeetLyrics:
    opened = choice(model, **changes).open()
    assert isinstance(opened, ParakeetLyrics)
    return opened


def a_song(num_words: int, seed: int) -> tuple[Signal, list[str], list[tuple[float, float]]]:
    samples, words, times = tiny_parakeet.song(num_words, seed, RATE_HZ)
    return Signal(samples), words, times


def test_words_and_their_times_are_heard(ctc: Path) -> None:
    signal, words, times = a_song(10, seed=1)
    lyrics = recogniser(ctc).read(TRACK, signal, None)
    assert [w.label for w in lyrics.words] == words
    for heard, (start_s, end_s) in zip(lyrics.words, times, strict=True):
        assert start_s - 0.1 <= heard.start_s < heard.end_s <= end_s + 0.1
    assert lyrics.available and lyrics.tool == "parakeet_ctc" and len(lyrics.tool_version) == 12
    assert lyrics.confidence > 0.8
    assert (lyrics.language, lyrics.language_from) == ("en", "source")
    assert " ".join(line.label for line in lyrics.lines) == " ".join(words)


@pytest.mark.parametrize("window_s", [4.0, 7.0, 15.5])
def test_a_whole_song_is_heard_in_windows_without_doubled_or_lost_words(ctc: Path, window_s: float) -> None:
    signal, words, times = a_song(60, seed=2)
    assert signal.duration_s > 40
    heard = recogniser(ctc, window_s=window_s, overlap_s=2.0).words(signal)
    assert [w.text for w in heard] == words
    middles = np.array([w.middle_s for w in heard])
    assert np.abs(middles - np.mean(times, axis=1)).max() < WORD_S / 2 + 0.08


def test_silence_has_no_lyrics(ctc: Path) -> None:
    rng = np.random.default_rng(0)
    lyrics = recogniser(ctc).read(TRACK, Signal(rng.normal(0, 1e-3, 4 * RATE_HZ).astype("f4")), None)
    assert not lyrics.available and lyrics.why_not in ("no_words", "unsure") and lyrics.lines == []


def test_where_a_tagger_hears_no_voice_nothing_is_transcribed(ctc: Path) -> None:
    signal, _, _ = a_song(4, seed=3)
    lyrics = recogniser(ctc).read(TRACK, signal, False)
    assert (lyrics.available, lyrics.why_not) == (False, "no_voice")


def test_hearing_twice_gives_the_same_lyrics(ctc: Path) -> None:
    signal, _, _ = a_song(6, seed=4)
    assert recogniser(ctc).read(TRACK, signal, True) == recogniser(ctc).read(TRACK, signal, True)


def test_tdt_words_have_the_times_of_the_processors_own_decoding(tdt: Path) -> None:
    """transformers' `decode(sequences, durations=...)` is the second source."""
    import torch
    from transformers import AutoModelForTDT, AutoProcessor

    samples, _, _ = tiny_parakeet.song(8, seed=5)
    processor, model = AutoProcessor.from_pretrained(tdt), AutoModelForTDT.from_pretrained(tdt).eval()
    with torch.inference_mode():
        output = model.generate(**processor(samples, sampling_rate=16000), return_dict_in_generate=True)
    text, stamps = processor.decode(output.sequences, durations=output.durations, skip_special_tokens=True)
    words = recogniser(tdt)._spell(recogniser(tdt)._tokens(samples))
    assert " ".join(w.text for w in words) == text[0].strip()
    begun = [s for i, s in enumerate(stamps[0]) if i == 0 or s["token"].startswith(" ")]
    assert len(begun) == len(words) > 3
    assert [w.start_s for w in words] == pytest.approx([s["start"] for s in begun])
    assert all(0 < w.probability <= 1 and w.end_s > w.start_s for w in words)


def test_a_tdt_checkpoint_reads_a_whole_song(tdt: Path) -> None:
    signal, _, _ = a_song(30, seed=6)
    words = recogniser(tdt, window_s=8.0, overlap_s=2.0).words(signal)
    middles = [w.middle_s for w in words]
    assert middles == sorted(middles) and middles[0] >= 0 and middles[-1] <= signal.duration_s + 0.5


def test_pieces_join_their_word_and_punctuation_takes_no_time(ctc: Path) -> None:
    from music_flamingo.mir.parakeet import ParakeetToken

    ids = tiny_parakeet.tokenizer(blank=False).get_vocab()
    emitted = [("\u2581la", 2, 4), ("ia", 5, 7), (",", 20, 21), ("\u2581sky", 30, 30)]
    words = recogniser(ctc)._spell([ParakeetToken(ids[t], a, b, 0.5) for t, a, b in emitted])
    assert [(w.text, round(w.start_s, 2), round(w.end_s, 2)) for w in words] == [
        ("laia,", 0.16, 0.56),
        ("sky", 2.4, 2.48),
    ]


def test_a_missing_model_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="nowhere"):
        choice(tmp_path / "nowhere").open()


def test_a_model_of_another_kind_is_refused_by_name(ctc: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(ctc, other)
    (other / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertModel"]}))
    with pytest.raises(ConfigError, match="bert"):
        choice(other).open()


@pytest.mark.security
def test_pickled_weights_are_not_loaded(ctc: Path, tmp_path: Path) -> None:
    other = tmp_path / "pickled"
    shutil.copytree(ctc, other)
    (other / "model.safetensors").rename(other / "pytorch_model.bin")
    with pytest.raises(MissingInputError, match="safetensors"):
        choice(other).open()


def test_a_model_counts_by_its_weights_and_not_by_its_place(ctc: Path, tdt: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(ctc, moved)
    assert choice(ctc).identity() == choice(moved).identity() != choice(tdt).identity()
    assert choice(ctc).identity() != choice(ctc, window_s=30.0).identity()


def test_other_rates_come_by_the_signal(ctc: Path) -> None:
    samples, words, _ = tiny_parakeet.song(5, seed=7, rate_hz=48000)
    assert [w.text for w in recogniser(ctc).words(to_signal(samples, 48000))] == words
