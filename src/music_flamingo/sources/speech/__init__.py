"""Sources of speech: one file per corpus layout, and synthesised speech.

A source lists its units in a fixed order and turns a unit into utterances. A unit is what is read at once: a clip, a
talk, a session; a text that says all a worker needs. Words of a corpus are untrusted text.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

from music_flamingo.audio.decode import BadAudioError, DecodeLimits, QuarantineReason
from music_flamingo.audio.flac import MODEL_RATE_HZ, encode_flac
from music_flamingo.core.record import OK, QUARANTINED, Provenance
from music_flamingo.records import Audio, SpokenSegment, Utterance
from music_flamingo.records.speech import END_TOLERANCE_S
from music_flamingo.records.track import Split

log = logging.getLogger(__name__)

NO_WORDS = "no_words"
BAD_TIMES = "bad_times"
TOO_LONG = str(QuarantineReason.TOO_LONG)


class SpeechSettings(BaseModel):
    """Parameters of a speech source."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


@dataclass(frozen=True)
class Whole:
    """One speaker's words over all of a recording: a corpus of clips gives no times."""

    speaker: str
    text: str


@dataclass(frozen=True)
class SpokenUtterance:
    """One utterance as its source gives it, not yet decoded. Times count from the start of its audio."""

    id: str
    """Within the corpus."""
    language: str
    split: Split
    words: Whole | tuple[SpokenSegment, ...]
    read: Callable[[], np.ndarray]
    """Gives mono float32 samples at 16 kHz. Raises BadAudioError or OSError."""
    licence: str | None
    is_sung: bool = False
    request: str | None = None
    problem: str | None = None
    """A reason to quarantine it unopened: `no_words`, `bad_times: ...`."""
    seed: int | None = None
    """Of what was made on the spot."""


class SpeechSource(Protocol):
    """Units are given in a fixed order; `utterances` gives the same always."""

    tool: str

    def tool_version(self) -> str:
        """Version of what decodes or synthesises the speech."""

    def units(self) -> Sequence[str]:
        """All units of the corpus, in a fixed order."""

    def utterances(self, unit: str) -> Iterator[SpokenUtterance]:
        """Read the utterances of one unit."""


def take_in(corpus: str, said: SpokenUtterance, limits: DecodeLimits, provenance: Provenance) -> Utterance:
    """The utterance with its audio; one that cannot be used is quarantined with its reason."""
    samples, problem = None, said.problem or (None if _has_words(said) else NO_WORDS)
    try:
        if problem is None:
            samples = _checked(said, limits)
    except BadAudioError as error:
        log.warning("%s/%s is quarantined: %s", corpus, said.id, error)
        problem = str(error.reason)
    except OSError as error:
        log.warning("%s/%s cannot be read: %s", corpus, said.id, error)
        problem = str(QuarantineReason.UNREADABLE)
    name = f"{corpus}/{said.id}"
    return Utterance(
        id=name,
        status=OK if problem is None else QUARANTINED + problem,
        corpus=corpus,
        language=said.language,
        licence=said.licence,
        split=said.split,
        audio=Audio(bytes=encode_flac(samples), path=f"{name}.flac") if samples is not None else None,
        duration_s=_duration_s(samples) if samples is not None else None,
        segments=_segments(said, samples),
        is_sung=said.is_sung,
        request=said.request,
        provenance=provenance.model_copy(update={"seed": said.seed}),
    )


def _has_words(said: SpokenUtterance) -> bool:
    return bool(said.words.text.strip() if isinstance(said.words, Whole) else said.words)


def _checked(said: SpokenUtterance, limits: DecodeLimits) -> np.ndarray:
    samples = said.read()
    duration_s = _duration_s(samples)
    if duration_s < limits.min_duration_s:
        raise BadAudioError(
            QuarantineReason.TOO_SHORT, f"{duration_s:.2f} s; the shortest is {limits.min_duration_s} s"
        )
    if duration_s > limits.max_duration_s:
        raise BadAudioError(QuarantineReason.TOO_LONG, f"{duration_s:.2f} s; the longest is {limits.max_duration_s} s")
    last_s = max(segment.end_s for segment in _segments(said, samples))
    if last_s > duration_s + END_TOLERANCE_S:
        raise BadAudioError(
            QuarantineReason.TRUNCATED, f"words go on until {last_s:.2f} s, the sound ends at {duration_s:.2f} s"
        )
    return samples


def _segments(said: SpokenUtterance, samples: np.ndarray | None) -> list[SpokenSegment]:
    """Words over all of a recording that could not be decoded have no times, and stay with the corpus."""
    if not isinstance(said.words, Whole):
        return list(said.words)
    if samples is None:
        return []
    text = said.words.text.strip()
    return [SpokenSegment(speaker=said.words.speaker, start_s=0.0, end_s=_duration_s(samples), text=text)]


def _duration_s(samples: np.ndarray) -> float:
    return round(len(samples) / MODEL_RATE_HZ, 6)
