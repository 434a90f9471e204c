"""Parameters that SFT, warm-up and GRPO share. No torch here: reading parameters stays quick."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from music_flamingo.audio.windows import Rule
from music_flamingo.core.ranges import (
    Count,
    CountOrNone,
    Fraction,
    NonNegative,
    Positive,
    PositiveFraction,
    Seed,
)
from music_flamingo.core.stage import NOT_IDENTITY, StageConfig
from music_flamingo.model.lora import FullTuning, LoraSettings
from music_flamingo.rewards.structured import StructuredForm
from music_flamingo.training.optimiser import Optimiser, TrainingSettings

Turns = Literal["conversation", "isolated"]
OnOverflow = Literal["window_by_references", "quarantine"]


class Windows(TrainingSettings):
    """Which segment of a track is heard in training (evaluation and serving hear the middle)."""

    rule: Rule
    per_track: Count
    """Different windows drawn from each track where the rule is `random`: their features are kept in memory."""
    max_s: Positive
    """At most this much; the model's own limit may be less."""


class Mixture(TrainingSettings):
    """How much of each source is taught: a part of the lessons ~ (weight * samples) ** (1 / temperature)."""

    temperature: float = Field(gt=0)
    """1: by size and weight. Larger: the sources come closer to each other."""
    sources: dict[str, NonNegative]
    """Name -> weight. What is not named is not taught."""


class Context(TrainingSettings):
    """What becomes of questions that the windows, or the model's context, have no room for."""

    on_overflow: OnOverflow
    """`window_by_references`: a window of its own that holds the seconds which the question's references name, short
    enough for the context; set aside, with the reason, where there is none. `quarantine`: set aside."""
    whole_above: Fraction
    """A reference that spans this part of a recording speaks of the whole, and any window will do for it."""


class Filling(TrainingSettings):
    """Rows filled with lessons up to a budget."""

    max_tokens: Count
    """Of a row: sound, marks and words. A lesson has at most this many as well."""
    look_ahead: Count
    """Lessons of the plan among which a row finds those that fill it."""


class MLflow(TrainingSettings):
    """Where runs are kept: an MLflow server or a folder."""

    uri: str
    """`http(s)://server:5000`, or `file:folder`. A server's user and password come from MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD, never from here."""
    experiment: str
    """Made where there is none of that name; each stage is a run of it."""


class Tracking(TrainingSettings):
    """Trackers that log each step while training runs. No result depends on them: `log.jsonl` is always written."""

    tensorboard: str | None
    """A folder of event files, one folder a stage in it; null for none."""
    mlflow: MLflow | None


UNTRACKED = Tracking(tensorboard=None, mlflow=None)


class OneProcess(TrainingSettings):
    """No torchrun."""

    kind: Literal["single"]


class DeepSpeed(TrainingSettings):
    """ZeRO: every rank holds a part of the optimiser's state and of the gradients (2), and of the weights (3)."""

    kind: Literal["deepspeed"]
    stage: Literal[2, 3]


class Fsdp2(TrainingSettings):
    """Weights, gradients and optimiser's state sharded over the ranks by torch itself, layer by layer."""

    kind: Literal["fsdp2"]
    reshard_after_forward: bool
    """Give gathered weights back after the forward pass: less memory, more traffic. False keeps them for the
    backward pass."""


class Hardware(TrainingSettings):
    """Where a run computes, how exactly, and in how many processes.

    All that changes the last bits of a result is part of its identity. The number of ranks is not: torchrun says it,
    and an interrupted run may go on with another.
    """

    device: Literal["auto", "cpu", "cuda"]
    """`auto`: the GPU where there is one."""
    precision: Literal["fp32", "bf16"]
    """`bf16`: weights stay in float32, products are in bfloat16."""
    gradient_checkpointing: bool = Field(json_schema_extra=NOT_IDENTITY)
    """Recompute a layer's inside in the backward pass: a third more time, a fraction of the memory, the same bits."""
    parallel: Annotated[OneProcess | DeepSpeed | Fsdp2, Field(discriminator="kind")]


Tuning = Annotated[FullTuning | LoraSettings, Field(discriminator="kind")]


ONE_PROCESSOR = Hardware(
    device="cpu", precision="fp32", gradient_checkpointing=False, parallel=OneProcess(kind="single")
)
FULL = FullTuning(kind="full", trains="all")


class SupervisedConfig(StageConfig):
    """What SFT and warm-up have in common: supervised lessons of a window and some questions."""

    seed: Seed
    threads: Count
    """Threads of torch. Part of the result's identity: another number adds in another order."""
    families: dict[str, NonNegative]
    """Question families that are taught -> weight of their loss. A family with fewer than two different answers in
    the training split is left out, and said so."""
    steps: Count
    batch_size: Count
    """Rows a step, of all ranks and parts together (paper: 128 samples). Each rank takes its share."""
    max_turns: Count
    """Questions a lesson: one pass over the sound supervises them all."""
    turns: Turns
    """`conversation`: a question follows the answers before it. `isolated`: each sees the sound alone, as it will be
    asked; nothing can be copied from an earlier answer."""
    mixture: Mixture
    context: Context
    fill: Filling | None
    """With a budget, a row holds as many lessons as fit, `batch_size` counts rows, and rows are packed. None: a row
    is one lesson."""
    packing: bool
    """Lessons of a batch in one row, none seeing another, without padding: for songs of many lengths. Needs no more
    than the sum of their own costs, where padding costs the longest for each."""
    branch_weight: NonNegative
    """Weight of the tokens at which a family's targets part ways, against 1 for all others."""
    windows: Windows
    optimiser: Optimiser
    tuning: Tuning
    hardware: Hardware
    checkpoint_every: Count
    """Steps; an interrupted run goes on from there, and to the same bits."""
    tracking: Tracking = Field(json_schema_extra=NOT_IDENTITY)


class QuestionWeights(TrainingSettings):
    """Weights of the reward's parts for questions: format and accuracy (paper), and faithful chains."""

    format: NonNegative
    accuracy: NonNegative
    faithful: NonNegative
    """Of composite questions: every part is checked, and the answer follows from the checks. No part of the paper's
    reward: from accuracy alone a model learns to be faithful, as far as that pays."""
    timed: NonNegative
    """Of questions whose chain in MF-Think has what was measured when: the seconds named in a thought hold. No part of
    the paper's reward."""
    repeated: NonNegative
    """What an answer loses in which all is said again and again. No part of the paper's reward."""


class CaptionWeights(TrainingSettings):
    """Weights of the reward's parts for captions: format and structured truth."""

    format: NonNegative
    structured: NonNegative
    repeated: NonNegative
    """As for questions."""


class RewardWeights(TrainingSettings):
    """Kind of task -> what each part of its reward counts; 0 leaves a part out."""

    question: QuestionWeights
    caption: CaptionWeights


class EntropyFloor(TrainingSettings):
    """Keep answers from becoming all alike: falling below so many nats of mean entropy a token costs."""

    nats: Positive
    weight: Positive
    """Of the shortfall in the loss."""


class Exploration(TrainingSettings):
    """What keeps groups of answers different, so that there is something to choose from."""

    redraws: CountOrNone
    """Times that a group whose answers all earn the same is drawn again; 0 never."""
    no_spread: Literal["keep", "pass_over"]
    """A group that still has none: `keep` counts it in the step's mean, where its advantages are 0; `pass_over` leaves
    it out, so that the others weigh more. Either way it is counted."""
    epsilon_high: PositiveFraction | None
    """Clip of the ratio upwards (clip-higher), which lets unlikely words grow; null: `epsilon`, as downwards."""
    entropy_floor: EntropyFloor | None


class Objective(TrainingSettings):
    """What the loss is a mean of."""

    mean_over: Literal["answers", "tokens"]
    """`answers`: of each answer the mean over its tokens, then over answers (paper: GRPO). `tokens`: over all tokens of
    a step alike (DAPO's token-level loss), so that a long answer weighs by its length."""
    overlong: Literal["keep", "leave_out"]
    """An answer cut off at `max_completion_tokens`: counted like any other, or none of its tokens is (DAPO's overlong
    filtering). Its reward stays in the group's mean either way."""


class TransformersGeneration(TrainingSettings):
    """Answers are drawn by the model that is trained: on any machine."""

    kind: Literal["transformers"]


class VllmGeneration(TrainingSettings):
    """Answers are drawn by vLLM: a copy of the weights on each GPU that trains, renewed before every draw."""

    kind: Literal["vllm"]
    gpu_memory_fraction: PositiveFraction
    """Of each GPU's memory for vLLM; what is left trains."""
    max_model_tokens: Count
    """Prompt with its sound, and answer."""


Generation = Annotated[TransformersGeneration | VllmGeneration, Field(discriminator="kind")]


AskFirst = Literal["think", "think_and_new"]


class GrpoConfig(StageConfig):
    """What GRPO samples, how it is rewarded, and how far the policy may move.

    Paper: G 5, global batch 64, rate 1e-6; beta, epsilon, temperature, lengths and weights are not published.
    """

    seed: Seed
    threads: Count
    """Threads of torch. Part of the result's identity: another number adds in another order."""
    families: dict[str, NonNegative]
    """Question families -> share of the prompts."""
    steps: Count
    """Of the optimiser; each draw of answers serves `updates_per_draw` of them."""
    prompts_per_step: Count
    num_generations: Annotated[int, Field(ge=2)]
    """G (paper: 5)."""
    candidates: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    """Draw this many times the prompts needed and keep those the model is least sure of; 1 keeps all."""
    ask_first: AskFirst
    """Questions that are drawn before the rest of MF-Skills: those of MF-Think, which were chosen for being hard; or
    those in turns with composite ones of parts that no chain puts together, where an answer by heart fails and going
    through all parts pays."""
    beta: NonNegative
    """Weight of the KL divergence to the model that training starts from."""
    epsilon: PositiveFraction
    """Clip of the probability ratio; with one update per draw the ratio is 1 and never clipped."""
    exploration: Exploration
    objective: Objective
    updates_per_draw: Count
    """Steps taken on each draw of answers; from the second one on the clip bites."""
    temperature: Positive
    """Of the drawing, and of the log-probabilities."""
    max_completion_tokens: Count
    """Room for a chain and its answer; an answer cut off has no format."""
    max_think_words: Count
    """Thinking that is longer has no format (paper: chains of at most 250 words)."""
    reward_weights: RewardWeights
    structured_form: StructuredForm
    """`matched_categories` is bounded by 1; `matched_words` is the paper's literal form."""
    scale_rewards: Literal["group", "batch", "none"]
    """`group`: advantages are divided by the group's standard deviation (paper)."""
    windows: Windows
    context: Context
    """A question whose words leave no room for its window and an answer is set aside: windows are not made shorter."""
    optimiser: Optimiser
    tuning: Tuning
    """With adapters the model that training starts from is the same one with its adapters switched off; in full it is
    a second copy of the weights."""
    batch_size: Count
    """Of the listening that finds doubtful questions; changes speed alone."""
    hardware: Hardware
    checkpoint_every: Count
    tracking: Tracking = Field(json_schema_extra=NOT_IDENTITY)
    rollouts_every: CountOrNone
    """Steps; the answers drawn at the first step and at every such one are kept in rollouts.jsonl. 0 keeps none."""
    generation: Generation

    @model_validator(mode="after")
    def _vllm_is_given_whole_weights(self) -> "GrpoConfig":
        if isinstance(self.generation, VllmGeneration) and isinstance(self.hardware.parallel, Fsdp2):
            raise ValueError(
                "generation is `vllm` and hardware.parallel is `fsdp2`, whose pieces vLLM cannot be given: choose "
                "`deepspeed`, or generation {kind: transformers}."
            )
        return self

    @model_validator(mode="after")
    def _whole_draws(self) -> "GrpoConfig":
        for name in ("steps", "checkpoint_every"):
            if getattr(self, name) % self.updates_per_draw:
                raise ValueError(
                    f"{name} is {getattr(self, name)}, which is no multiple of updates_per_draw "
                    f"({self.updates_per_draw}): a draw of answers would be cut in two. Change one of them."
                )
        return self
