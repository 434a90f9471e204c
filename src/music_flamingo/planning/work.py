"""Floating-point operations of training: forward and backward by what is trained, and GRPO's sampling."""

from collections.abc import Mapping
from dataclasses import dataclass

from music_flamingo.model.lora import PARTS as TRAINED
from music_flamingo.model.lora import FullTuning, LoraSettings
from music_flamingo.planning.shape import PARTS, Shape

Tuning = FullTuning | LoraSettings
MODULES = {
    "encoder": "audio_tower",
    "projector": "multi_modal_projector",
    "language": "language_model",
    "head": "lm_head",
}


@dataclass(frozen=True)
class StageSample:
    """The mean of a stage's samples."""

    audio_s: float
    read_tokens: int
    """Questions, marks of turns and of sound."""
    taught_tokens: int
    """What is said: answers, chains."""

    def audio_tokens(self, shape: Shape) -> int:
        """Audio tokens of this sample under the given shape."""
        return shape.audio_tokens(self.audio_s)

    def length(self, shape: Shape) -> int:
        """Length of this sample in tokens: audio, prompt and target."""
        return self.audio_tokens(shape) + self.read_tokens + self.taught_tokens


def trained_parts(tuning: Tuning) -> set[str]:
    """The parts of which some weight learns."""
    if isinstance(tuning, FullTuning):
        return {part for part, module in MODULES.items() if module in TRAINED[tuning.trains]}
    found = {part for part in ("encoder", "language") if MODULES[part] in tuning.targets}
    return found | ({"projector"} if tuning.train_projector else set())


def trained_parameters(shape: Shape, tuning: Tuning) -> int:
    """Weights that learn; the encoder's positions never do."""
    counts = shape.parameters()
    counts["encoder"] -= shape.encoder_positions * shape.encoder_width
    if isinstance(tuning, FullTuning):
        return sum(counts[part] for part in trained_parts(tuning))
    return shape.adapters(tuning.rank, tuning.targets) + (counts["projector"] if tuning.train_projector else 0)


@dataclass(frozen=True)
class Passes:
    """Forward passes that a matrix is worth in a step: 1 forward, 1 for gradients passed on, 1 for its own."""

    matrices: Mapping[str, int]
    attention: Mapping[str, int]
    """Has no weights of its own: its backward pass is two forward passes, or none."""


def passes(tuning: Tuning) -> Passes:
    """Gradients flow down to the lowest part that learns. The sound comes before the words, so the projector's
    gradients pass the language model; the encoder is below both."""
    trained, order = trained_parts(tuning), PARTS
    lowest = min(order.index(part) for part in order if part in trained)
    own = trained if isinstance(tuning, FullTuning) else trained & {"projector"}
    return Passes(
        {part: 1 + (order.index(part) >= lowest) + (part in own) for part in order},
        {part: 3 if order.index(part) >= lowest else 1 for part in order},
    )


def forward(shape: Shape, sample: StageSample, spoken_tokens: int) -> dict[str, float]:
    """Operations of one forward pass by part, the attention of the language model apart. Logits are worked out for
    `spoken_tokens` alone."""
    length = sample.length(shape)
    return {
        "encoder": shape.encoder_operations(shape.windows(sample.audio_s)),
        "projector": shape.projector_operations(sample.audio_tokens(shape)),
        "language": shape.language_operations(length),
        "attention": shape.attention_operations(length),
        "head": shape.head_operations(spoken_tokens),
    }


def supervised(shape: Shape, sample: StageSample, tuning: Tuning) -> float:
    """Operations of a sample, forward and backward, without what checkpointing computes twice."""
    once, times = forward(shape, sample, sample.taught_tokens), passes(tuning)
    # the encoder's attention is a tenth of its work: it is counted with its matrices
    parts = sum(once[part] * times.matrices[part] for part in PARTS)
    return parts + once["attention"] * times.attention["language"]


@dataclass(frozen=True)
class Reinforced:
    """Operations of one question of GRPO with its G answers."""

    drawing: float
    """Word by word: bound by memory, at a small part of a GPU's peak."""
    reading: float
    """The prompts before the first word, and the reference's forward pass."""
    training: float

    @property
    def total(self) -> float:
        """Operations of sampling, reading and training together."""
        return self.drawing + self.reading + self.training


def reinforced(
    shape: Shape, sample: StageSample, tuning: Tuning, generations: int, with_reference: bool, readings: float = 1.0
) -> Reinforced:
    """A question's prompt, with its sound, is read once for all its answers, in drawing and in each pass. `readings`:
    rows in which it stands in a pass, where its group is divided among parts of a step or GPUs."""
    spoken, times = sample.taught_tokens, passes(tuning)
    prompt = sample.length(shape) - spoken
    sound = {
        "encoder": shape.encoder_operations(shape.windows(sample.audio_s)),
        "projector": shape.projector_operations(sample.audio_tokens(shape)),
    }
    read = {"language": shape.language_operations(prompt), "attention": shape.attention_operations(prompt)}
    said = {
        "language": generations * shape.language_operations(spoken),
        "attention": generations * shape.attention_operations(spoken, after=prompt),
        "head": generations * shape.head_operations(spoken),
    }
    prefill = sum(sound.values()) + sum(read.values()) + shape.head_operations(1)
    reference = readings * (sum(sound.values()) + sum(read.values())) + sum(said.values()) if with_reference else 0.0
    times_of = {**times.matrices, "attention": times.attention["language"]}
    training = sum(
        (readings * (sound.get(part, 0.0) + read.get(part, 0.0)) + said.get(part, 0.0)) * times_of[part]
        for part in ("encoder", "projector", "language", "attention", "head")
    )
    return Reinforced(sum(said.values()), prefill + reference, training)
