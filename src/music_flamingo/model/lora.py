"""Low-rank adapters on the language model by peft, and the parts of the model that a stage trains.

AF3's stage 3.5 lengthens the context with adapters; the same adapters let one GPU tune the published 8 billion.
No torch at import: parameters are read without it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from music_flamingo.core.errors import ConfigError
from music_flamingo.core.ranges import Count

PROJECTOR = "multi_modal_projector"

Trains = Literal["projector", "encoder_and_projector", "language_model", "all"]
"""Which parts learn: AF3's stages 1, 2 and 3; or the language model alone, with the ears as they are."""

PARTS: Mapping[str, tuple[str, ...]] = {
    "projector": (PROJECTOR,),
    "encoder_and_projector": (PROJECTOR, "audio_tower"),
    "language_model": ("language_model", "lm_head"),
    "all": (PROJECTOR, "audio_tower", "language_model", "lm_head"),
}
FROZEN_ALWAYS = ("embed_positions",)
"""The encoder's positions are sinusoids, not weights."""


class LoraSettings(BaseModel):
    """Adapters next to chosen projections; everything else stays as it is."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: Literal["lora"]
    rank: Count
    alpha: Count
    """The adapters' output is multiplied by alpha / rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    targets: str
    r"""A regular expression that the whole name of a linear layer must match, such as
    `.*language_model.*\.[qkvo]_proj`: the bare name `q_proj` would hit the audio encoder as well."""
    train_projector: bool
    """Also train the projector between sound and words, in full."""
    train_marks: bool
    """Also train the embeddings of the marks around the sound: new tokens, where Audio Flamingo 3 was taken over."""
    keep: Literal["merged", "apart"]
    """What the stage leaves: one model with the adapters added in, or links to the weights that it began with and the
    adapters next to them, in peft's layout."""

    @field_validator("targets")
    @classmethod
    def _names_its_tower(cls, targets: str) -> str:
        if "language_model" not in targets and "audio_tower" not in targets:
            raise ValueError("name the tower (language_model or audio_tower): both have layers of the same names")
        return targets


class FullTuning(BaseModel):
    """The weights of the trained parts themselves."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: Literal["full"]
    trains: Trains


def lora_config(settings: LoraSettings, marks: Sequence[int] = ()) -> Any:
    """peft's LoraConfig; its adapters begin at zero, so that the model begins as it was. `marks`: their token ids."""
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.targets,
        modules_to_save=[PROJECTOR] if settings.train_projector else None,
        trainable_token_indices={"embed_tokens": list(marks)} if settings.train_marks else None,
    )


def add_lora(model: Any, settings: LoraSettings, seed: int = 0) -> Any:
    """A peft.PeftModel around the model (changed in place) in which only the adapters learn.

    The adapters are drawn from `seed`. Raises ConfigError where no layer has a name that `targets` matches.
    """
    import torch
    from peft import get_peft_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            marks = (model.config.audio_bos_token_id, model.config.audio_eos_token_id)
            return get_peft_model(model, lora_config(settings, marks))
        except ValueError as error:
            raise ConfigError(f"tuning.targets {settings.targets!r} matches no layer of the model: {error}") from error


def merge_lora(model: Any) -> Any:
    """The model with the adapters added into its weights: the same class, names, dtype and (within rounding) logits."""
    from peft import PeftModel

    return model.merge_and_unload().to(bare(model).dtype) if isinstance(model, PeftModel) else model


def bare(model: Any) -> Any:
    """The model itself, without peft's hull; its layers keep their adapters."""
    from peft import PeftModel

    return model.get_base_model() if isinstance(model, PeftModel) else model


@contextmanager
def switched_off(model: Any) -> Iterator[None]:
    """Within it the model is the one that it was before it had adapters.

    peft's own `disable_adapter` also takes the adapters' `requires_grad` away and gives it back: where weights lie in
    pieces, to other tensors than it was taken from. Here the switches alone move.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    parts = [module for module in model.modules() if isinstance(module, (BaseTunerLayer, AuxiliaryTrainingWrapper))]
    for part in parts:
        part._disable_adapters = True
    try:
        yield
    finally:
        for part in parts:
            part._disable_adapters = False


def choose_parts(model: Any, trains: Trains) -> None:
    """Let exactly these parts of the model learn."""
    for name, parameter in model.named_parameters():
        parts = name.split(".")
        parameter.requires_grad_(any(p in parts for p in PARTS[trains]) and not any(p in parts for p in FROZEN_ALWAYS))


def tuned(model: Any, tuning: FullTuning | LoraSettings, seed: int) -> Any:
    """The model as it is trained: with adapters, or with its chosen parts free. What learns is float32."""
    if isinstance(tuning, LoraSettings):
        model = add_lora(model, tuning, seed)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
        return model
    choose_parts(model, tuning.trains)
    return model


def stays_apart(tuning: FullTuning | LoraSettings) -> bool:
    """Whether adapters are kept next to the weights instead of being merged into them."""
    return isinstance(tuning, LoraSettings) and tuning.keep == "apart"
