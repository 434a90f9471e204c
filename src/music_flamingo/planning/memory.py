"""GPU memory in training: weights, gradients, optimiser state, activations, logits; and of GRPO's sampling between the
steps. Formulas: docs/reference/planning.md."""

from dataclasses import dataclass, replace
from typing import Literal

from music_flamingo.model.lora import FullTuning
from music_flamingo.planning.shape import Shape
from music_flamingo.planning.work import StageSample, Tuning, trained_parameters, trained_parts

Parallel = Literal["single", "zero2", "zero3", "fsdp2"]
PARALLEL: tuple[Parallel, ...] = ("single", "zero2", "zero3", "fsdp2")
Precision = Literal["fp32", "bf16"]

GIB = 2**30
FP32, BF16 = 4, 2
ADAM = 2 * FP32
"""First and second moment."""
LOGIT_COPIES = 3
"""The logits in float32, their softmax, and its gradient."""
GATHERED_LAYERS = 2
"""A layer at work and the next one on its way, where weights lie in pieces."""


@dataclass(frozen=True)
class Memory:
    """Bytes on each GPU. The backward pass (activations, logits) and drawing are never there at once."""

    weights: float
    gradients: float
    optimiser: float
    activations: float
    logits: float
    drawing: float = 0.0

    @property
    def total(self) -> float:
        """At the fullest moment."""
        return self.weights + self.gradients + self.optimiser + max(self.activations + self.logits, self.drawing)


@dataclass(frozen=True)
class RolloutGroup:
    """What a GPU has of GRPO's draw: all answers of its step, however many parts the step is learned in."""

    answers: int
    """Drawn at once, each with keys and values of all its tokens."""
    prompts: int
    """Read at once."""
    in_a_part: int
    """Answers that stand behind one copy of their prompt in a part of the step."""


def memory(
    shape: Shape,
    tuning: Tuning,
    sample: StageSample,
    *,
    micro_batch: int,
    parallel: Parallel,
    gpus: int,
    precision: Precision,
    checkpointing: bool,
    with_reference: bool = False,
    group: RolloutGroup | None = None,
) -> Memory:
    """`sample`: the longest. `micro_batch`: samples of a GPU at once. `with_reference`: a second, frozen model (GRPO,
    full tuning). `group`: of GRPO."""
    weights, gradients, optimiser = states(shape, tuning, parallel, gpus, precision, with_reference)
    element = BF16 if precision == "bf16" else FP32
    spoken = micro_batch * sample.taught_tokens
    rows, row = (
        (-(-micro_batch // group.in_a_part), _behind_one_prompt(sample, group)) if group else (micro_batch, sample)
    )
    return Memory(
        weights=weights,
        gradients=gradients,
        optimiser=optimiser,
        activations=rows
        * (activations(shape, tuning, row, element, checkpointing) + _mask(shape, row, element, group)),
        logits=spoken * shape.vocabulary * (LOGIT_COPIES * FP32 + (element if element != FP32 else 0)),
        drawing=drawing(shape, sample, group, parallel, precision) if group else 0.0,
    )


def _behind_one_prompt(sample: StageSample, group: RolloutGroup) -> StageSample:
    return replace(sample, taught_tokens=sample.taught_tokens * group.in_a_part)


def _mask(shape: Shape, row: StageSample, element: int, group: RolloutGroup | None) -> int:
    """Answers behind one prompt need a mask that says who sees whom; elsewhere causality says it."""
    return row.length(shape) ** 2 * element if group else 0


def drawing(shape: Shape, sample: StageSample, group: RolloutGroup, parallel: Parallel, precision: Precision) -> float:
    """Keys and values of all answers, one layer's inside for the prompts being read, and the weights, which are whole
    in every rank while answers are drawn."""
    element = BF16 if precision == "bf16" else FP32
    # float32 weights: the rotation gives float32 keys, and the cache takes values as it takes keys
    cached = FP32 if parallel == "single" else element
    kept = group.answers * sample.length(shape) * key_value_bytes(shape, cached)
    prompt = sample.length(shape) - sample.taught_tokens
    inside = group.prompts * prompt * language_elements(shape) * element
    whole = sum(shape.parameters().values()) * element if parallel in ("zero3", "fsdp2") else 0.0
    return kept + inside + whole


def states(
    shape: Shape, tuning: Tuning, parallel: Parallel, gpus: int, precision: Precision, with_reference: bool
) -> tuple[float, float, float]:
    """(weights, gradients, optimiser) in bytes.

    single and fsdp2 hold float32 weights and compute in bfloat16 copies, but single leaves weights next to adapters in
    bfloat16, as they are published; DeepSpeed holds bfloat16 weights and gradients, and a float32 master next to Adam's
    moments (Rajbhandari et al. 2020, ZeRO).
    """
    every, trained = sum(shape.parameters().values()), trained_parameters(shape, tuning)
    if not isinstance(tuning, FullTuning):
        every += shape.adapters(tuning.rank, tuning.targets)
    half = precision == "bf16"
    held = BF16 if half and parallel in ("zero2", "zero3") else FP32
    frozen = BF16 if half and parallel == "single" and not isinstance(tuning, FullTuning) else held
    weights: float = (trained * held + (every - trained) * frozen) * (1 + with_reference)
    gradients: float = trained * held
    optimiser: float = trained * (ADAM + (FP32 if held == BF16 else 0))
    if parallel in ("zero2", "zero3", "fsdp2"):
        gradients, optimiser = gradients / gpus, optimiser / gpus
    if parallel in ("zero3", "fsdp2"):
        weights = weights / gpus + GATHERED_LAYERS * largest_layer(shape) * (BF16 if half else FP32)
    elif parallel == "single" and half:
        weights += trained * BF16  # autocast keeps a copy of each weight that learns until the step is done
    return weights, gradients, optimiser


def largest_layer(shape: Shape) -> int:
    """Parameters gathered at once: a layer of the language model, or its embeddings."""
    layer = sum(m.parameters for m in shape.linears() if m.part == "language") // shape.language_layers
    return max(layer, shape.vocabulary * shape.width)


def activations(shape: Shape, tuning: Tuning, sample: StageSample, element: int, checkpointing: bool) -> float:
    """Bytes that one sample's backward pass needs. With checkpointing each layer keeps its input alone, and one layer
    at a time is computed again."""
    length, trained = sample.length(shape), trained_parts(tuning)
    positions = shape.windows(sample.audio_s) * shape.encoder_positions
    per_layer = language_elements(shape) * length * element
    kept = shape.width * length * element
    layers = shape.language_layers
    total = kept * layers + per_layer if checkpointing else per_layer * layers
    if "encoder" in trained:
        inner = encoder_elements(shape) * positions * element
        outer = shape.encoder_width * positions * element
        total += outer * shape.encoder_layers + inner if checkpointing else inner * shape.encoder_layers
        # the convolutions: what goes into each of their two nonlinearities, and comes out
        total += 2 * (2 + 1) * positions * shape.encoder_width * element
    if trained & {"encoder", "projector"}:
        total += sample.audio_tokens(shape) * (shape.encoder_width + 2 * shape.width) * element
    return total


def language_elements(shape: Shape) -> int:
    """Numbers that a layer of Qwen2 keeps of each token, attention without its matrix (FlashAttention's way).

    Norms: input, normed, scaled (twice). Attention: queries, keys, values as they are attended to, and the output.
    Feed-forward: the gate before and after its nonlinearity, the other half, and their product.
    """
    attention = 2 * shape.heads * shape.head_width + 2 * shape.key_value_heads * shape.head_width
    return 6 * shape.width + attention + 4 * shape.feed_forward


def encoder_elements(shape: Shape) -> int:
    """Of a layer of Whisper: two norms (input and output), queries, keys, values and output, two of the wide layer."""
    return 8 * shape.encoder_width + 2 * shape.encoder_feed_forward


def key_value_bytes(shape: Shape, element: int) -> int:
    """Of one token, in all layers."""
    return 2 * shape.language_layers * shape.key_value_heads * shape.head_width * element
