"""A plugin of vLLM that serves `MusicFlamingoForConditionalGeneration`, of 0.24 and of later versions, which have no
Music Flamingo of their own.

Installed with the package by two entry points: `vllm.general_plugins` (this module's `register`) and
`vllm.logits_processors` (`suppressed.SuppressedTokens`). It imports nothing of the rest of the project, and vLLM only
once vLLM calls it: this folder can be copied out and used alone.

windowing.py    which samples of a recording are heard, and how many audio tokens they give
processing.py   prompts and recordings to the model's inputs
model.py        encoder, RoTE, projector and language model
tags.py         thinking and answer, parted by their tags
reasoning.py    the same as vLLM's reasoning parser `music_flamingo`
suppressed.py   tokens that a release never says
"""

import functools
import logging

ARCHITECTURE = "MusicFlamingoForConditionalGeneration"
MODEL_TYPE = "musicflamingo"
REASONING_PARSER = "music_flamingo"
"""To be named to `vllm serve` with --reasoning-parser."""

log = logging.getLogger(__name__)


def register() -> None:
    """Register the model and the reasoning parser, and let the weights' own dtype stand where none is asked for.

    vLLM calls it in each of its processes, more than once in some.
    """
    from vllm.model_executor.models.registry import ModelRegistry
    from vllm.reasoning import ReasoningParserManager

    ModelRegistry.register_model(ARCHITECTURE, f"{__name__}.model:MusicFlamingoOnVllm")
    ReasoningParserManager.register_lazy_module(REASONING_PARSER, f"{__name__}.reasoning", "MusicFlamingoReasoning")
    _keep_dtype()


def _keep_dtype() -> None:
    """Keep `--dtype auto` from making bfloat16 of this model's float32 weights: its answers would be other words."""
    from vllm.config import model as config

    resolve = getattr(config, "_resolve_auto_dtype", None)
    if resolve is None:
        log.warning("this vLLM chooses the dtype in a place that is not known: name the weights' own with --dtype.")
    elif not hasattr(resolve, "__wrapped__"):

        @functools.wraps(resolve)
        def resolved(model_type, config_dtype, **options):
            return config_dtype if model_type == MODEL_TYPE else resolve(model_type, config_dtype, **options)

        config._resolve_auto_dtype = resolved
