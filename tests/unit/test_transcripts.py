"""Heard words become lyrics: seams, lines, and what is believed."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_flamingo.mir.languages import LanguageRule, load_identifier, recognise_language
from music_flamingo.mir.transcripts import (
    HeardWindow,
    HeardWord,
    LyricsRules,
    Recogniser,
    join,
    no_lyrics,
    to_lyrics,
    windows,
)
from music_flamingo.records import Track

WHO = Recogniser("ear", "1")
RULES = LyricsRules(line_pause_s=1.0, min_confidence=0.3)


def word(start_s: float, end_s: float, text: str = "la", probability: float = 0.9) -> HeardWord:
    return HeardWord(start_s, end_s, text, probability)


@st.composite
def sung(draw: st.DrawFn) -> list[HeardWord]:
    """Words of 0.1 to 1.5 s, one after the other, with rests."""
    lengths = draw(st.lists(st.tuples(st.floats(0.0, 4.0), st.floats(0.1, 1.5)), min_size=0, max_size=60))
    words, at_s = [], 0.0
    for number, (rest_s, length_s) in enumerate(lengths):
        words.append(word(at_s + rest_s, at_s + rest_s + length_s, f"w{number}"))
        at_s += rest_s + length_s
    return words


def hear(words: list[HeardWord], window: tuple[float, float], jitter_s: float, seed: int) -> HeardWindow:
    """What a recogniser gives: words inside the window, a little misplaced; words that its edges cut, as scraps."""
    rng = np.random.default_rng([seed, round(window[0] * 1000)])
    heard = []
    for w in words:
        start_s, end_s = max(w.start_s, window[0]), min(w.end_s, window[1])
        if end_s <= start_s:
            continue
        whole = (start_s, end_s) == (w.start_s, w.end_s)
        shift_s = float(rng.uniform(-jitter_s, jitter_s)) if whole else 0.0
        heard.append(word(start_s + shift_s, end_s + shift_s, w.text if whole else "scrap"))
    return HeardWindow(*window, heard)


@given(sung(), st.floats(6.0, 60.0), st.floats(3.2, 5.0))
def test_windows_of_any_length_give_the_words_of_one_window(
    words: list[HeardWord], window_s: float, overlap_s: float
) -> None:
    duration_s = (words[-1].end_s if words else 0.0) + 1.0
    parts = [hear(words, w, 0.0, 0) for w in windows(duration_s, window_s, overlap_s)]
    assert join(parts) == join([hear(words, (0.0, duration_s), 0.0, 0)]) == words


@given(sung(), st.floats(6.0, 60.0), st.floats(3.4, 5.0), st.integers(0, 9))
def test_no_word_is_doubled_or_lost_where_two_windows_place_it_a_little_apart(
    words: list[HeardWord], window_s: float, overlap_s: float, seed: int
) -> None:
    """The shift between two windows stays below half of the shortest word."""
    duration_s = (words[-1].end_s if words else 0.0) + 1.0
    parts = [hear(words, w, 0.024, seed) for w in windows(duration_s, window_s, overlap_s)]
    assert [w.text for w in join(parts)] == [w.text for w in words]


def test_a_scrap_that_the_edge_of_a_window_leaves_of_a_word_is_none() -> None:
    """Shorter than the windows' disagreement about the end of its word."""
    whole, after = word(24.8, 25.48, "whole"), word(27.0, 27.6, "after")
    later = [word(25.46, 25.5, "scrap"), after]
    assert join([HeardWindow(0.0, 30.0, [whole, after]), HeardWindow(25.46, 40.0, later)]) == [whole, after]


@given(st.floats(0.1, 1300.0), st.floats(1.0, 100.0), st.floats(0.1, 0.9))
def test_windows_cover_the_whole_and_share_the_overlap(duration_s: float, window_s: float, share: float) -> None:
    parts = list(windows(duration_s, window_s, share * window_s))
    assert parts[0][0] == 0.0 and parts[-1][1] == duration_s
    for before, after in pairwise(parts):
        assert before[1] - after[0] == pytest.approx(share * window_s)
        assert after[1] > before[1]


@pytest.mark.parametrize("overlap_s", [0.0, 30.0, 31.0])
def test_windows_without_an_overlap_or_with_too_much_are_refused(overlap_s: float) -> None:
    with pytest.raises(ValueError, match="overlap"):
        list(windows(60.0, 30.0, overlap_s))


def test_a_rest_or_the_end_of_a_sentence_begins_a_line() -> None:
    words = [word(0.0, 0.5, "swing"), word(0.6, 1.0, "low."), word(1.1, 1.5, "sweet"), word(2.5, 3.0, "chariot")]
    lyrics = to_lyrics(WHO, words, RULES, "en", "text")
    assert [(s.start_s, s.end_s, s.label) for s in lyrics.lines] == [
        (0.0, 1.0, "swing low."),
        (1.1, 1.5, "sweet"),
        (2.5, 3.0, "chariot"),
    ]
    assert [s.label for s in lyrics.words] == ["swing", "low.", "sweet", "chariot"]
    assert (lyrics.language, lyrics.language_from, lyrics.confidence) == ("en", "text", 0.9)


def test_words_without_a_length_or_out_of_order_still_run_forward() -> None:
    lyrics = to_lyrics(WHO, [word(1.0, 1.0), word(0.99, 0.99)], RULES, None, None)
    assert [(s.start_s, s.end_s) for s in lyrics.words] == [(1.0, 1.02), (1.0, 1.02)]


def test_without_words_there_are_no_lyrics_and_the_record_says_why() -> None:
    lyrics = to_lyrics(WHO, [], RULES, "en", "source")
    assert (lyrics.available, lyrics.why_not, lyrics.language, lyrics.confidence) == (False, "no_words", None, 0.0)


def test_words_that_the_recogniser_does_not_believe_are_no_lyrics() -> None:
    lyrics = to_lyrics(WHO, [word(0, 1, probability=0.2), word(1, 2, probability=0.3)], RULES, "en", "text")
    assert (lyrics.available, lyrics.why_not, lyrics.words, lyrics.confidence) == (False, "unsure", [], 0.25)


def test_a_song_without_a_voice_has_no_lyrics() -> None:
    assert no_lyrics(WHO, "no_voice").why_not == "no_voice"


def test_the_language_may_be_the_sources_tag() -> None:
    track = Track.model_construct(language="hu")
    assert LanguageRule(None).of("la la la", track) == ("hu", "source")


def identifier() -> None:
    pytest.importorskip("py3langid", reason="needs py3langid: pip install py3langid")
    load_identifier()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("swing low sweet chariot coming for to carry me home", "en"),
        ("am brunnen vor dem tore da steht ein lindenbaum", "de"),
        ("la vie en rose quand il me prend dans ses bras", "fr"),
        ("besame mucho como si fuera esta noche la ultima vez", "es"),
    ],
)
def test_the_language_is_recognised_in_the_text(text: str, language: str) -> None:
    identifier()
    assert LanguageRule(0.8).of(text, Track.model_construct(language="xx")) == (language, "text")


@pytest.mark.parametrize("text", ["", "la la la", "mi so la mi so la"])
def test_a_text_that_says_too_little_has_no_language(text: str) -> None:
    assert recognise_language(text, 0.8) is None
