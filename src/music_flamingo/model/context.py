"""Context budget: how much audio and text fit. Audio tokens are counted and truncated here alone.

A frame of the log-mel spectrogram is `hop` samples; four frames make one audio token (stride 2, then average
pooling by 2). With the published model that is 40 ms a token and 750 tokens a window of 30 s.
Nothing is cut silently: `window_of` follows a stated rule and gives the window that is heard.
"""

import json
import random
from dataclasses import dataclass, replace
from pathlib import Path

from music_flamingo.audio.windows import Rule, choose_window
from music_flamingo.core.errors import UserError

MIN_FRAMES = 3
"""A window of one or two mel frames gives no audio token, and transformers 5.23 fails on it (IndexError)."""

MARKS = 2
"""Tokens before and after the sound."""

QUESTION_TOKENS = 512
"""Kept free of sound for a question in its prompt, whatever the question, so that all hear the same."""


@dataclass(frozen=True)
class Hearing:
    """What a model can hear at once."""

    sample_rate_hz: int
    hop_samples: int
    encoder_window_s: float
    """The audio encoder works on windows of this length; longer sound is several of them."""
    max_audio_s: float
    context_tokens: int

    @classmethod
    def of(cls, processor, model_config) -> "Hearing":
        """Read off a MusicFlamingoProcessor and a MusicFlamingoConfig."""
        extractor = processor.feature_extractor
        return cls(
            sample_rate_hz=extractor.sampling_rate,
            hop_samples=extractor.hop_length,
            encoder_window_s=float(extractor.chunk_length),
            max_audio_s=float(processor.max_audio_len),
            context_tokens=model_config.text_config.max_position_embeddings,
        )

    def for_answers(self, max_new_tokens: int) -> "Hearing":
        """The same, with no more sound than fits next to a question and so long an answer.

        Raises UserError where none does.
        """
        words = QUESTION_TOKENS + max_new_tokens
        samples = self.room_for_audio(words)
        if not samples:
            raise UserError(
                f"a context of {self.context_tokens} tokens has no room for sound next to {words} of words: "
                "allow shorter answers."
            )
        return replace(self, max_audio_s=min(self.max_audio_s, samples / self.sample_rate_hz))

    @classmethod
    def read(cls, model: Path) -> "Hearing":
        """Read off the files of a saved model, without loading it."""
        processor = json.loads((model / "processor_config.json").read_text())
        config = json.loads((model / "config.json").read_text())
        extractor = processor["feature_extractor"]
        return cls(
            sample_rate_hz=extractor["sampling_rate"],
            hop_samples=extractor["hop_length"],
            encoder_window_s=float(extractor["chunk_length"]),
            max_audio_s=float(processor["max_audio_len"]),
            context_tokens=config["text_config"]["max_position_embeddings"],
        )

    @property
    def max_samples(self) -> int:
        """Longest audio that the model accepts, in samples at its own rate."""
        return int(self.max_audio_s * self.sample_rate_hz)

    @property
    def min_samples(self) -> int:
        """Shortest audio that yields enough log-mel frames, in samples at the model's rate."""
        return (MIN_FRAMES - 1) * self.hop_samples + 1

    def audio_tokens(self, num_samples: int) -> int:
        """Audio tokens of that many samples, the marks at both ends not counted."""
        frames = -(-num_samples // self.hop_samples)
        return ((frames - 1) // 2 + 1 - 2) // 2 + 1

    def trimmed(self, num_samples: int) -> int:
        """`num_samples` without a last encoder window too short to give an audio token."""
        window = int(self.encoder_window_s * self.sample_rate_hz)
        tail = num_samples % window
        return num_samples - tail if num_samples > window and 0 < tail < self.min_samples else num_samples

    def window_of(
        self, num_samples: int, rule: Rule, rng: random.Random | None = None, max_samples: int | None = None
    ) -> tuple[int, int]:
        """The segment (start, end) in samples that the model hears of a track.

        `rule` is one of audio.windows.choose_window; `max_samples` narrows the model's own limit. Raises UserError
        for a track too short to hear.
        """
        if num_samples < self.min_samples:
            raise UserError(
                f"a track of {num_samples} samples is too short to hear: give at least {self.min_samples} samples "
                f"({1000 * self.min_samples / self.sample_rate_hz:.0f} ms)."
            )
        limit = min(self.max_samples, max_samples or self.max_samples)
        start, end = choose_window(num_samples, limit, rule, rng)
        return start, start + self.trimmed(end - start)

    def window_around(
        self,
        num_samples: int,
        heard: tuple[int, int],
        rule: Rule,
        rng: random.Random | None = None,
        max_samples: int | None = None,
    ) -> tuple[int, int]:
        """A segment (start, end) in samples that holds `heard`, which must not be longer than a window.

        `random` draws among all such segments; `first` takes the earliest, `middle` the one around its middle.
        """
        length = min(num_samples, self.max_samples, max_samples or self.max_samples)
        first, last = max(0, heard[1] - length), min(heard[0], num_samples - length)
        if first > last:
            raise ValueError(f"samples {heard[0]} to {heard[1]} do not fit into a window of {length}")
        if rule == "random":
            if rng is None:
                raise ValueError("the rule `random` needs a generator: pass rng=random.Random(seed)")
            start = rng.randint(first, last)
        else:
            start = first if rule == "first" else min(max((sum(heard) - length) // 2, first), last)
        return start, start + self.trimmed(length)

    def room_for_audio(self, num_text_tokens: int) -> int:
        """The most samples whose tokens fit next to that much text and the two marks; 0 where none do."""
        tokens = self.context_tokens - MARKS - num_text_tokens
        if tokens < 1:
            return 0
        samples = (4 * tokens + 2) * self.hop_samples
        return self.trimmed(samples) if samples >= self.min_samples else 0

    def fits(self, num_audio_tokens: int, num_text_tokens: int, max_new_tokens: int) -> bool:
        """Sound, its two marks, text and the answer to come, together within the context."""
        return num_audio_tokens + MARKS + num_text_tokens + max_new_tokens <= self.context_tokens

    def require_fit(self, num_audio_tokens: int, num_text_tokens: int, max_new_tokens: int) -> None:
        """Raise UserError naming the numbers when they do not fit."""
        if not self.fits(num_audio_tokens, num_text_tokens, max_new_tokens):
            raise UserError(
                f"{num_audio_tokens} audio tokens, {num_text_tokens} of text and {max_new_tokens} for the answer "
                f"exceed the context of {self.context_tokens}: shorten the audio window or the answer."
            )
