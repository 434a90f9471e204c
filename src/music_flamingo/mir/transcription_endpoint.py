"""Lyrics by a server with OpenAI's `POST /audio/transcriptions` (vLLM, whisper.cpp, speaches ...), asked for words with
times (`response_format` verbose_json, `timestamp_granularities[]` word).

Stock servers give segments or the text alone: then lines are known, and words stand in them without times of their own.
The server hears the song in overlapping windows, as FLAC of 16 kHz. Some servers give a probability a segment
(`avg_logprob`), some a word (`probability`); one that gives none is taken at `assumed_confidence`.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from music_flamingo.audio.flac import encode_flac
from music_flamingo.core.errors import UserError
from music_flamingo.core.http import Endpoint, Failed, JsonClient, RequestBody
from music_flamingo.mir import Signal
from music_flamingo.mir.transcripts import (
    HeardWindow,
    HeardWord,
    LyricsRules,
    Recogniser,
    join,
    no_lyrics,
    parts,
    spread_words,
    to_lyrics,
)
from music_flamingo.records import Lyrics, Track

MAX_FAILED_IN_A_ROW = 10
"""After so many songs that failed one after the other the server is taken for gone, and the stage stops."""


class TranscriptionFailedError(RuntimeError):
    """No try of a window gave words. The song keeps its other facts."""


class WordReply(BaseModel):
    """One word of the server's reply, with times (s)."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)
    word: str
    start: float
    end: float
    probability: float | None = None


class SegmentReply(BaseModel):
    """One segment of the server's reply, with times (s), its text and mean log probability."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)
    start: float
    end: float
    text: str = ""
    avg_logprob: float | None = None


class TranscriptionReply(BaseModel):
    """What of a verbose_json reply is read: words, or segments with text, or the text alone."""

    model_config = ConfigDict(extra="ignore")
    language: str | None = None
    words: list[WordReply] | None = None
    segments: list[SegmentReply] = []
    text: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "TranscriptionReply":
        if self.words is None and self.text is None and not any(s.text for s in self.segments):
            raise ValueError("neither words nor segments nor text")
        return self

    def heard(self, assumed_confidence: float, length_s: float) -> list[HeardWord]:
        """Words in order, within the window; ones without letters or outside of it are dropped."""
        if self.words is None or (not self.words and any(s.text.strip() for s in self.segments)):
            return self._unplaced(assumed_confidence, length_s)
        said = [
            HeardWord(max(0.0, w.start), min(w.end, length_s), w.word.strip(), self._probability(w, assumed_confidence))
            for w in self.words or ()
            if w.word.strip() and w.start <= w.end and 0 <= w.start < length_s
        ]
        return sorted(said, key=lambda w: w.start_s)

    def _unplaced(self, assumed_confidence: float, length_s: float) -> list[HeardWord]:
        """Words of segments, or of the text: by their letters within them."""
        texts = [(s.text, s.start, min(s.end, length_s), s.avg_logprob) for s in self.segments if s.text.strip()]
        words: list[HeardWord] = []
        for text, start_s, end_s, likely in texts or [(self.text or "", 0.0, length_s, None)]:
            if 0 <= start_s < end_s:
                sure = assumed_confidence if likely is None else math.exp(min(0.0, likely))
                words += spread_words(text, start_s, end_s, sure)
        return sorted(words, key=lambda w: w.start_s)

    def _probability(self, word: WordReply, assumed_confidence: float) -> float:
        if word.probability is not None:
            return min(1.0, max(0.0, word.probability))
        middle_s = (word.start + word.end) / 2
        said = [s.avg_logprob for s in self.segments if s.avg_logprob is not None and s.start <= middle_s <= s.end]
        return min(1.0, math.exp(min(0.0, said[0]))) if said else assumed_confidence


@dataclass
class EndpointLyrics:
    """Transcribes lyrics by an OpenAI-compatible server."""

    endpoint: Endpoint
    model: str
    revision: str
    window_s: float
    overlap_s: float
    assumed_confidence: float
    rules: LyricsRules
    seed: int
    _failed_in_a_row: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._client = JsonClient(self.endpoint, self.seed)
        self._recogniser = Recogniser(f"transcription_endpoint:{self.model}", self.revision)

    def read(self, track: Track, signal: Signal, has_voice: bool | None) -> Lyrics:
        """Raises TranscriptionFailedError, or UserError once the server seems to be gone."""
        if has_voice is False:
            return no_lyrics(self._recogniser, "no_voice")
        heard, languages = self._hear(track.id, signal)
        words = join(heard)
        # the language of the window with the most words
        spoken = max(zip(heard, languages, strict=True), key=lambda pair: len(pair[0].words))[1]
        if spoken:
            return to_lyrics(self._recogniser, words, self.rules, language_code(spoken), "model")
        return to_lyrics(self._recogniser, words, self.rules, track.language, "source")

    def _hear(self, track_id: str, signal: Signal) -> tuple[list[HeardWindow], list[str | None]]:
        heard, languages = [], []
        for start_s, end_s, part in parts(signal, self.window_s, self.overlap_s):
            reply = self._ask(part, f"{track_id}@{start_s:.3f}")
            words = reply.heard(self.assumed_confidence, end_s - start_s)
            heard.append(HeardWindow(start_s, end_s, [w.later(start_s) for w in words]))
            languages.append(reply.language)
        return heard, languages

    def _ask(self, samples: np.ndarray, call: str) -> TranscriptionReply:
        form = RequestBody(
            fields={
                "model": self.model,
                "response_format": "verbose_json",
                "timestamp_granularities[]": ["word", "segment"],
                "temperature": "0",
            },
            files={"file": ("window.flac", encode_flac(samples), "audio/flac")},
        )
        made = self._client.post("/audio/transcriptions", lambda _: form, TranscriptionReply.model_validate, call=call)
        if isinstance(made, Failed):
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= MAX_FAILED_IN_A_ROW:
                raise UserError(
                    f"{self._failed_in_a_row} songs in a row could not be transcribed; the last: {made.message}. "
                    "See to the server, then run again: finished shards stay."
                )
            raise TranscriptionFailedError(f"{made.reason} after {made.num_tries} tries: {made.message}")
        self._failed_in_a_row = 0
        return made.value


def language_code(language: str) -> str:
    """`english` or `en` -> `en`: servers say either."""
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    name = language.strip().casefold()
    return str(TO_LANGUAGE_CODE.get(name, name))
