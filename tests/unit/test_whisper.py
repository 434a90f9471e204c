"""Whisper's lyrics, on a checkpoint of the published layout with random weights: windows, times, refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import tiny_whisper

from music_flamingo.core.errors import ConfigError
from music_flamingo.mir import RATE_HZ, Signal
from music_flamingo.mir.choices.lyrics import WhisperChoice
from music_flamingo.mir.transcripts import spread_words
from music_flamingo.mir.whisper import WhisperLyrics
from music_flamingo.records import Track

TRACK = Track.model_construct(id="t", language=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("whisper")
    tiny_whisper.save(made)
    return made


def recogniser(folder: Path, **changes: Any) -> WhisperLyrics:
    plain = {"kind": "whisper", "model": str(folder), "device": "cpu", "window_s": 12.0, "overlap_s": 3.0}
    plain |= {"line_pause_s": 1.0, "min_confidence": 0.0, "max_no_speech": 0.9, "language": None}
    opened = WhisperChoice.model_validate(plain | changes).open()
    assert isinstance(opened, WhisperLyrics)
    return opened


def noise(duration_s: float) -> Signal:
    return Signal(np.random.default_rng(1).normal(0, 0.1, round(duration_s * RATE_HZ)).astype(np.float32))


def test_words_of_overlapping_windows_stand_in_order_with_times_and_a_language(folder: Path) -> None:
    lyrics = recogniser(folder).read(TRACK, noise(20.0), None)
    assert lyrics.available and lyrics.tool == "whisper" and len(lyrics.tool_version) == 12
    assert all(0 <= w.start_s < w.end_s <= 20.1 for w in lyrics.words) and lyrics.words
    assert lyrics.language in ("en", "de") and lyrics.language_from == "model"


def test_without_heads_that_align_lines_are_known_and_words_are_not_placed(tmp_path: Path) -> None:
    tiny_whisper.save(tmp_path, aligns=False)
    lyrics = recogniser(tmp_path).read(TRACK, noise(8.0), True)
    assert lyrics.available and lyrics.lines and lyrics.words == []


def test_nothing_is_heard_where_nobody_sings_or_the_model_takes_it_for_silence(folder: Path) -> None:
    assert recogniser(folder).read(TRACK, noise(4.0), False).why_not == "no_voice"
    assert recogniser(folder, max_no_speech=0.0).read(TRACK, noise(4.0), True).why_not == "no_words"


def test_a_window_longer_than_the_encoder_hears_and_another_model_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Whisper hears 30\.0 s"):
        recogniser(folder, window_s=60.0)
    from support import tiny_tagger

    tiny_tagger.save_trained(tmp_path, steps=0)
    with pytest.raises(ConfigError, match="audio-spectrogram-transformer"):
        recogniser(tmp_path)


def test_words_of_a_text_without_times_stand_in_it_by_their_letters() -> None:
    words = spread_words("a bcd", 2.0, 4.0, 0.5)
    assert [(w.text, w.start_s, w.end_s, w.is_placed) for w in words] == [
        ("a", 2.0, 2.5, False),
        ("bcd", 2.5, 4.0, False),
    ]
    assert spread_words("  ", 0.0, 1.0, 0.5) == []
