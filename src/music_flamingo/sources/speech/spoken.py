"""The `spoken` source: speech synthesised by espeak-ng, in several languages and voices.

Sentences have one word of each slot of a language's table, so that their words are few and their number is not: a
share of the sentences, and some voices, are kept from training, so that what is recognised was not learned by heart.
Three forms: `alone` (one speaker), `together` (two who overlap) and `sung` (a note for each word, over chords).
A unit is one utterance, `train/alone/17`; all that is drawn for it is drawn from the seed and the unit's name.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, model_validator

from music_flamingo.audio.decode import DecodeLimits
from music_flamingo.audio.flac import MODEL_RATE_HZ
from music_flamingo.core.ranges import (
    CountOrNone,
    CountRange,
    DecibelRange,
    Fraction,
    FractionRange,
    PercentRange,
    Seed,
)
from music_flamingo.records import SpokenSegment
from music_flamingo.records.track import Split
from music_flamingo.sources.licences import ESPEAK
from music_flamingo.sources.speech import SpeechSettings, SpokenUtterance
from music_flamingo.sources.speech.espeak import RATE_HZ, Speech, Voice, say, version

LICENCE = "CC0-1.0"
"""Of the sentences, which are the project's own; a program's output is not under the program's licence."""
MARGIN_S = 0.05
"""Of silence before and after the words."""
SILENT_BELOW = 0.003
SCALE_HZ = (196.0, 220.0, 246.9, 293.7, 329.6)
"""The notes of sung lines: a pentatonic scale on G, in reach of all voices."""
CHORDS_HZ = ((98.0, 123.5, 146.8), (130.8, 164.8, 196.0), (146.8, 185.0, 220.0))
"""G, C and D major below them."""
CHORD_S = 0.8


class Counts(BaseModel):
    """Utterances of each form."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    alone: CountOrNone
    together: CountOrNone
    sung: CountOrNone


class SpokenConfig(SpeechSettings):
    """Synthesised speech: languages, voices, counts, rates and what is held out."""

    uses: ClassVar = (ESPEAK,)
    kind: Literal["spoken"]
    seed: Seed
    languages: list[str]
    """Of sources/speech/phrases.yaml; utterances take them in turn."""
    voices: list[str]
    """espeak-ng's variants that training hears."""
    held_out_voices: list[str]
    held_out_sentences: Fraction
    """The share of all sentences that training never hears."""
    train: Counts
    dev: Counts
    """Of held-out sentences in held-out voices."""
    words_per_minute: CountRange
    pitch: PercentRange
    overlap: FractionRange
    """The second speaker begins when this share of the first one's words is still to come."""
    level_dbfs: DecibelRange
    """Of the words' loudest sample."""
    bed_db: DecibelRange
    """Of the chords under a sung line, next to its words."""

    @model_validator(mode="after")
    def _apart(self) -> "SpokenConfig":
        both = set(self.voices) & set(self.held_out_voices)
        if both:
            raise ValueError(f"voices of training cannot be held out: {sorted(both)}")
        unknown = set(self.languages) - set(phrases())
        if unknown:
            raise ValueError(f"no words for {sorted(unknown)}; there are words for {sorted(phrases())}")
        return self

    def open(self, limits: DecodeLimits) -> "SpokenSource":
        """Make the source."""
        return SpokenSource(self)

    def listing_sha256(self) -> None:
        """None: nothing is read from disk."""
        return None  # noqa: RET501


@cache
def phrases() -> dict[str, dict]:
    """Language -> its voice and the words of each slot."""
    loaded: dict[str, dict] = yaml.safe_load((Path(__file__).parent / "phrases.yaml").read_text())
    return loaded


class SpokenSource:
    """Synthesises utterances from a seed."""

    tool = "espeak-ng"

    def __init__(self, config: SpokenConfig) -> None:
        self.config = config

    def tool_version(self) -> str:
        """Version of espeak-ng."""
        return version()

    def units(self) -> Sequence[str]:
        """Units as SPLIT/FORM/INDEX."""
        counts = {"train": self.config.train, "dev": self.config.dev}
        return [
            f"{split}/{form}/{i}"
            for split, forms in counts.items()
            for form in ("alone", "together", "sung")
            for i in range(getattr(forms, form))
        ]

    def utterances(self, unit: str) -> Iterator[SpokenUtterance]:
        """Synthesise the utterance of one unit."""
        split, form, index = unit.split("/")
        rng = random.Random(f"{self.config.seed}/{unit}")
        language = self.config.languages[int(index) % len(self.config.languages)]
        draw = Draw(self.config, "train" if split == "train" else "dev", language, rng)
        segments, samples = {"alone": _alone, "together": _together, "sung": _sung}[form](draw)
        yield SpokenUtterance(
            id=f"{form}-{split}-{index}",
            language=language,
            split=draw.split,
            words=segments,
            read=partial(_levelled, samples, rng.uniform(*self.config.level_dbfs)),
            licence=LICENCE,
            is_sung=form == "sung",
            seed=self.config.seed,
        )


class Draw:
    """The draws of one utterance."""

    def __init__(self, config: SpokenConfig, split: Split, language: str, rng: random.Random) -> None:
        self.config = config
        self.split = split
        self.language = language
        self.rng = rng

    def sentence(self) -> list[str]:
        """Words of a sentence that the split may hear."""
        while True:
            words = [self.rng.choice(slot) for slot in phrases()[self.language]["slots"]]
            if is_held_out(words, self.config) == (self.split != "train"):
                return words

    def voice(self, *, other_than: str = "") -> Voice:
        """Draw a voice of the split, its rate (words per minute) and pitch."""
        variants = self.config.voices if self.split == "train" else self.config.held_out_voices
        variant = self.rng.choice([v for v in variants if v != other_than] or variants)
        words_per_minute, pitch = self.rng.randint(*self.config.words_per_minute), self.rng.randint(*self.config.pitch)
        return Voice(phrases()[self.language]["voice"], variant, words_per_minute, pitch)


def is_held_out(words: Sequence[str], config: SpokenConfig) -> bool:
    """Whether a sentence belongs to the held-out share, by its hash."""
    digest = hashlib.sha256(f"{config.seed}/{' '.join(words)}".encode()).digest()
    return int.from_bytes(digest[:4], "little") / 2**32 < config.held_out_sentences


def _alone(draw: Draw) -> tuple[tuple[SpokenSegment, ...], np.ndarray]:
    words, voice = draw.sentence(), draw.voice()
    speech = say(" ".join(words), voice)
    samples = _margins(_resampled(speech))
    return (_segment(voice, " ".join(words), speech, 0.0, len(samples)),), samples


def _together(draw: Draw) -> tuple[tuple[SpokenSegment, ...], np.ndarray]:
    """A second speaker begins before the first one ends."""
    first, first_voice = draw.sentence(), draw.voice()
    second, second_voice = draw.sentence(), draw.voice(other_than=first_voice.variant)
    one, other = say(" ".join(first), first_voice), say(" ".join(second), second_voice)
    a, b = _margins(_resampled(one)), _margins(_resampled(other))
    at = round((1 - draw.rng.uniform(*draw.config.overlap)) * len(a))
    mixed = np.zeros(max(len(a), at + len(b)), np.float32)
    mixed[: len(a)] += a
    mixed[at : at + len(b)] += b
    segments = (
        _segment(first_voice, " ".join(first), one, 0.0, len(a)),
        _segment(second_voice, " ".join(second), other, at / MODEL_RATE_HZ, len(b)),
    )
    return segments, mixed


def _sung(draw: Draw) -> tuple[tuple[SpokenSegment, ...], np.ndarray]:
    """Each word on its note, over chords."""
    words, voice = draw.sentence(), draw.voice()
    slow = Voice(voice.language, voice.variant, draw.config.words_per_minute[0], voice.pitch)
    notes = [
        Voice(slow.language, slow.variant, slow.words_per_minute, slow.pitch, draw.rng.choice(SCALE_HZ)) for _ in words
    ]
    spoken = [say(word, note) for word, note in zip(words, notes, strict=True)]
    line = np.concatenate([_margins(_resampled(speech)) for speech in spoken])
    phonemes = " ".join(speech.phonemes for speech in spoken)
    segment = _segment(voice, " ".join(words), Speech(line, phonemes), 0.0, len(line))
    gain = 10 ** (draw.rng.uniform(*draw.config.bed_db) / 20)
    return (segment,), line / np.abs(line).max() + gain * _bed(len(line), draw.rng)


def _bed(num_samples: int, rng: random.Random) -> np.ndarray:
    """Struck chords that die away, one after another; at most 1 in size."""
    chord_samples = round(CHORD_S * MODEL_RATE_HZ)
    times_s = np.arange(chord_samples) / MODEL_RATE_HZ
    decay = np.exp(-3 * times_s) * np.minimum(1, times_s / 0.01)
    struck = []
    for _ in range(-(-num_samples // chord_samples)):
        tones = [np.sin(2 * np.pi * hertz * times_s) for hertz in rng.choice(CHORDS_HZ)]
        struck.append(np.sum(tones, axis=0) / len(tones) * decay)
    return np.concatenate(struck)[:num_samples].astype(np.float32)


def _segment(voice: Voice, text: str, speech: Speech, start_s: float, num_samples: int) -> SpokenSegment:
    return SpokenSegment(
        speaker=voice.variant,
        start_s=round(start_s, 6),
        end_s=round(start_s + num_samples / MODEL_RATE_HZ, 6),
        text=text,
        phonemes=speech.phonemes,
    )


def _resampled(speech: Speech) -> np.ndarray:
    import soxr

    return np.asarray(soxr.resample(speech.samples, RATE_HZ, MODEL_RATE_HZ), dtype=np.float32)


def _margins(samples: np.ndarray) -> np.ndarray:
    """The words with a margin of silence at both ends."""
    heard = np.flatnonzero(np.abs(samples) > SILENT_BELOW)
    return np.pad(samples[heard[0] : heard[-1] + 1], round(MARGIN_S * MODEL_RATE_HZ))


def _levelled(samples: np.ndarray, level_dbfs: float) -> np.ndarray:
    return np.asarray(samples / np.abs(samples).max() * 10 ** (level_dbfs / 20), dtype=np.float32)
