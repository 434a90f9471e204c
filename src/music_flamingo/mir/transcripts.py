"""Transcribed words to lyrics: windows over a whole song, merging at seams, lines, thresholds.

A recogniser hears a song in overlapping windows. The rule at a seam: the earlier window's words count up to the middle
of what both heard, the later window's from where the last of those ends, but for the first quarter of what both heard,
where its edge cuts words; a word lies where its own middle lies. So no word is doubled or lost as long as the overlap
is longer than two words and the two windows place a word less than half its length apart. Times are seconds from the
start of the recording.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from music_flamingo.audio.flac import MODEL_RATE_HZ
from music_flamingo.mir import Signal, at_model_rate
from music_flamingo.records import Lyrics, Segment
from music_flamingo.records.facts import LanguageSource, WhyNoLyrics

LINE_ENDS = (".", "?", "!", "。", "？", "！")
MIN_WORD_S = 0.02
"""A word that a recogniser gives no length gets this one: a segment runs forward."""


@dataclass(frozen=True)
class HeardWord:
    """A transcribed word with times (s) and probability."""

    start_s: float
    end_s: float
    text: str
    probability: float
    """0 to 1, by the recogniser."""
    is_placed: bool = True
    """False where its times are only those of its share of a longer text."""

    @property
    def middle_s(self) -> float:
        """Middle of the word, in seconds."""
        return (self.start_s + self.end_s) / 2

    def later(self, by_s: float) -> "HeardWord":
        """The word moved later by `by_s` seconds."""
        return replace(self, start_s=self.start_s + by_s, end_s=self.end_s + by_s)


@dataclass(frozen=True)
class HeardWindow:
    """What one window gave, in the recording's time."""

    start_s: float
    end_s: float
    words: Sequence[HeardWord]


@dataclass(frozen=True)
class LyricsRules:
    """The pause that ends a line (s), and the least confidence of lyrics."""

    line_pause_s: float
    """A rest this long between two words begins a new line, and so does the end of a sentence."""
    min_confidence: float
    """Words whose mean probability lies below this are not taken for lyrics: what was heard is no singing."""


@dataclass(frozen=True)
class Recogniser:
    """Who heard the words, for the record."""

    tool: str
    version: str


def spread_words(text: str, start_s: float, end_s: float, probability: float) -> list[HeardWord]:
    """The words of a text without times of their own, one after the other by their numbers of letters."""
    words = text.split()
    letters = sum(map(len, words))
    found, said = [], 0
    for word in words:
        begin_s = start_s + (end_s - start_s) * said / letters
        said += len(word)
        until_s = start_s + (end_s - start_s) * said / letters
        found.append(HeardWord(begin_s, until_s, word, probability, is_placed=False))
    return found


def windows(duration_s: float, window_s: float, overlap_s: float) -> Iterator[tuple[float, float]]:
    """(start_s, end_s) of windows that cover the whole, each sharing `overlap_s` with the one before it.

    The last one may be shorter, but is never a part of the one before.
    """
    if not 0 < overlap_s < window_s:
        raise ValueError(f"an overlap of {overlap_s} s does not fit windows of {window_s} s: make it shorter")
    start_s = 0.0
    while True:
        end_s = min(start_s + window_s, duration_s)
        yield start_s, end_s
        if end_s >= duration_s:
            return
        start_s = end_s - overlap_s


def parts(signal: Signal, window_s: float, overlap_s: float) -> Iterator[tuple[float, float, np.ndarray]]:
    """(start_s, end_s, 16 kHz samples) of each window of a recording."""
    samples = signal.shared(at_model_rate)
    for start_s, end_s in windows(len(samples) / MODEL_RATE_HZ, window_s, overlap_s):
        yield start_s, end_s, samples[round(start_s * MODEL_RATE_HZ) : round(end_s * MODEL_RATE_HZ)]


def join(heard: Sequence[HeardWindow]) -> list[HeardWord]:
    """The words of the whole, by the rule at the top."""
    words: list[HeardWord] = []
    from_s = 0.0
    for index, window in enumerate(heard):
        until_s = (window.end_s + heard[index + 1].start_s) / 2 if index + 1 < len(heard) else float("inf")
        if index:
            from_s = max(from_s, window.start_s + (heard[index - 1].end_s - window.start_s) / 4)
        for word in window.words:
            if from_s <= word.middle_s < until_s:
                words.append(word)
                from_s = word.end_s
    return words


def to_lyrics(
    recogniser: Recogniser,
    words: Sequence[HeardWord],
    rules: LyricsRules,
    language: str | None,
    language_from: LanguageSource | None,
) -> Lyrics:
    """Lyrics of the words, or none and why: no word was heard, or the recogniser is too unsure of them."""
    if not words:
        return no_lyrics(recogniser, "no_words")
    confidence = sum(w.probability for w in words) / len(words)
    if confidence < rules.min_confidence:
        return no_lyrics(recogniser, "unsure", confidence)
    segments = _forward(words)
    return Lyrics(
        tool=recogniser.tool,
        tool_version=recogniser.version,
        confidence=round(confidence, 4),
        available=True,
        lines=_lines(segments, rules.line_pause_s),
        language=language,
        words=segments if all(word.is_placed for word in words) else [],
        language_from=language_from if language else None,
    )


def no_lyrics(recogniser: Recogniser, why: WhyNoLyrics, confidence: float = 0.0) -> Lyrics:
    """Lyrics that are unavailable for this reason."""
    return Lyrics(
        tool=recogniser.tool,
        tool_version=recogniser.version,
        confidence=round(confidence, 4),
        available=False,
        lines=[],
        language=None,
        why_not=why,
    )


def _forward(words: Sequence[HeardWord]) -> list[Segment]:
    """Words as segments that begin one after the other, each with a length."""
    segments: list[Segment] = []
    for word in words:
        start_s = round(max(word.start_s, segments[-1].start_s if segments else 0.0), 3)
        end_s = round(max(word.end_s, start_s + MIN_WORD_S), 3)
        segments.append(Segment(start_s=start_s, end_s=end_s, label=word.text))
    return segments


def _lines(words: Sequence[Segment], pause_s: float) -> list[Segment]:
    lines: list[list[Segment]] = []
    for word in words:
        last = lines[-1][-1] if lines else None
        if last is None or last.label.endswith(LINE_ENDS) or word.start_s - last.end_s >= pause_s:
            lines.append([])
        lines[-1].append(word)
    return [
        Segment(start_s=line[0].start_s, end_s=max(w.end_s for w in line), label=" ".join(w.label for w in line))
        for line in lines
    ]
