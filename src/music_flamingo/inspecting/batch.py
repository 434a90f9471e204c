"""Reconstruct samples from a collated batch's tensors.

B rows, L tokens of a row, N tokens of a packed row, S samples.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Literal

from music_flamingo.model.context import Hearing
from music_flamingo.training.data.audio import TrainingWindow
from music_flamingo.training.data.items import TrainingItem

Kind = Literal["audio", "read", "taught"]


@dataclass(frozen=True)
class Subject:
    """What a sample should be about, as planned."""

    window: TrainingWindow
    items: tuple[TrainingItem, ...]
    num_audio_tokens: int
    """As many as the encoder will give for the window."""


@dataclass(frozen=True)
class InspectedToken:
    """One token of a batch: id, text, loss weight, position, and the question it belongs to."""

    id: int
    text: str
    weight: float
    """Of its loss; 0 for what is only read."""
    position: int
    question: int
    """0: seen by all of the sample; else the question that alone sees it."""
    is_audio: bool

    @property
    def kind(self) -> Kind:
        """ "audio", "taught" (a loss weight above 0) or "read"."""
        return "audio" if self.is_audio else "taught" if self.weight > 0 else "read"


@dataclass(frozen=True)
class TokenRun:
    """Neighbouring tokens of one kind, one weight and one question."""

    kind: Kind
    tokens: tuple[InspectedToken, ...]
    text: str

    @property
    def weight(self) -> float:
        """Loss weight of the run's tokens."""
        return self.tokens[0].weight

    @property
    def question(self) -> int:
        """Number of the question that the run belongs to."""
        return self.tokens[0].question


@dataclass(frozen=True)
class InspectedSample:
    """One reconstructed sample: window (s), tokens, runs of tokens, padding."""

    subject: Subject
    window_s: tuple[float, float]
    track_s: float
    tokens: tuple[InspectedToken, ...]
    pieces: tuple[TokenRun, ...]
    num_padding: int

    def count(self, kind: Kind) -> int:
        """Number of tokens of this kind."""
        return sum(token.kind == kind for token in self.tokens)

    @property
    def name(self) -> str:
        """The track's id and the window in seconds."""
        return f"{self.subject.window.track_id}, {self.window_s[0]:.2f} to {self.window_s[1]:.2f} s"


@dataclass(frozen=True)
class Batch:
    """One reconstructed batch of a stage's step, with its samples."""

    stage: str
    step: int
    num_steps: int
    is_packed: bool
    num_windows: int
    """Windows that the audio encoder works on."""
    token_s: float
    """Seconds of sound in an audio token."""
    samples: tuple[InspectedSample, ...]
    notes: tuple[str, ...]

    def count(self, kind: Kind) -> int:
        """Number of tokens of this kind over all samples."""
        return sum(sample.count(kind) for sample in self.samples)

    @property
    def num_padding(self) -> int:
        """Number of padding tokens over all samples."""
        return sum(sample.num_padding for sample in self.samples)

    @property
    def num_tokens(self) -> int:
        """Padding included: what is computed on."""
        return sum(len(sample.tokens) for sample in self.samples) + self.num_padding


def take_apart(
    tensors: Mapping[str, Any],
    subjects: Sequence[Subject],
    processor: Any,
    hearing: Hearing,
    num_samples: Mapping[str, int],
) -> tuple[InspectedSample, ...]:
    """The samples of a batch in order. `num_samples`: of each track, at the model's rate."""
    rows = _packed_rows(tensors) if "bounds" in tensors else _padded_rows(tensors)
    made = []
    for subject, (ids, weights, positions, questions, num_padding) in zip(subjects, rows, strict=True):
        texts = processor.tokenizer.batch_decode([[i] for i in ids])
        is_audio = [i == processor.audio_token_id for i in ids]
        tokens = tuple(map(InspectedToken, ids, texts, weights, positions, questions, is_audio))
        window, rate = subject.window, hearing.sample_rate_hz
        made.append(
            InspectedSample(
                subject=subject,
                window_s=(window.start / rate, window.end / rate),
                track_s=num_samples[window.track_id] / rate,
                tokens=tokens,
                pieces=tuple(_pieces(tokens, processor)),
                num_padding=num_padding,
            )
        )
    return tuple(made)


Row = tuple[list[int], list[float], list[int], list[int], int]
"""ids, weights, positions, questions, and how much padding stands next to them."""


def _padded_rows(tensors: Mapping[str, Any]) -> Iterator[Row]:
    for ids_L, mask_L, weights_L in zip(
        tensors["input_ids"], tensors["attention_mask"], tensors["weights"], strict=True
    ):
        inside = mask_L.bool()
        ids = ids_L[inside].tolist()
        yield ids, weights_L[inside].tolist(), list(range(len(ids))), [0] * len(ids), int((~inside).sum())


def _packed_rows(tensors: Mapping[str, Any]) -> Iterator[Row]:
    columns = [tensors[name][0].tolist() for name in ("input_ids", "weights", "position_ids", "segments")]
    for start, end in pairwise(tensors["bounds"].tolist()):
        ids, weights, positions, questions = (column[start:end] for column in columns)
        yield ids, weights, positions, questions, 0


def _pieces(tokens: Sequence[InspectedToken], processor: Any) -> Iterator[TokenRun]:
    for (kind, _, _), group in groupby(tokens, key=lambda token: (token.kind, token.weight, token.question)):
        run = tuple(group)
        yield TokenRun(kind, run, "" if kind == "audio" else processor.tokenizer.decode([token.id for token in run]))
