"""Choose the samples of a recording that the model receives, count their audio tokens. Needs neither vLLM nor PyTorch.

A frame of the log-mel spectrogram is `hop` samples; four frames make one audio token (stride 2, then pooling by 2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MIN_FRAMES = 3
"""A window of one or two mel frames gives no audio token."""

RULE_KEY = "audio_window"
"""In config.json: `{"rule": "middle", "max_audio_s": 936.0}`. Published checkpoints have none."""


@dataclass(frozen=True)
class SoundWindows:
    """The windows of a model's encoder, and the rule for recordings that are longer than the model hears."""

    hop_samples: int
    window_samples: int
    """Of the encoder; longer sound is several of them."""
    max_samples: int
    rule: str = "first"
    """`first` (as transformers' processor) or `middle`."""

    @classmethod
    def of(cls, processor: Any, rules: Mapping[str, Any]) -> "SoundWindows":
        """Of transformers' MusicFlamingoProcessor and what config.json says under `audio_window`.

        Raises ValueError for a rule that is not known.
        """
        extractor = processor.feature_extractor
        window = int(extractor.chunk_length * extractor.sampling_rate)
        most_s = processor.max_audio_len // extractor.chunk_length * extractor.chunk_length
        most_s = min(most_s, rules.get("max_audio_s", most_s))
        rule = rules.get("rule", "first")
        if rule not in ("first", "middle"):
            raise ValueError(f"config.json: {RULE_KEY}.rule {rule!r} is not known: first, middle.")
        return cls(extractor.hop_length, window, int(most_s * extractor.sampling_rate), rule)

    @property
    def min_samples(self) -> int:
        """Shortest sound that gives an audio token."""
        return (MIN_FRAMES - 1) * self.hop_samples + 1

    def heard(self, num_samples: int) -> tuple[int, int]:
        """(start, end) of what is heard. Raises ValueError for a recording too short to hear."""
        if num_samples < self.min_samples:
            raise ValueError(f"a recording of {num_samples} samples is too short: give at least {self.min_samples}.")
        spare = max(0, num_samples - self.max_samples)
        start = spare // 2 if self.rule == "middle" else 0
        length = num_samples - spare
        tail = length % self.window_samples
        if length > self.window_samples and 0 < tail < self.min_samples:
            length -= tail  # a last window that would give no audio token
        return start, start + length

    def chunks(self, num_samples: int) -> list[tuple[int, int]]:
        """(start, end) of each encoder window of the samples that are heard."""
        return [
            (start, min(start + self.window_samples, num_samples))
            for start in range(0, num_samples, self.window_samples)
        ]


def audio_tokens(frames: Any) -> Any:
    """Audio tokens of so many mel frames of one window; takes integers and tensors."""
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1
