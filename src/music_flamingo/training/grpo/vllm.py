"""Sample answers by vLLM on the training GPUs: inputs with audio, sampling options, weight names.

TRL starts vLLM in the training processes, gives it the new weights before each draw, and weighs each answer by how
likely the trained model itself finds it. TRL hands no sounds over: the draw is made here, from the same prompts.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from music_flamingo.core.errors import UserError
from music_flamingo.training.settings import Generation, VllmGeneration

UNLIKELY = -100.0
"""Added to the logit of a token that is never to be drawn, and to the trained model's own: both weigh alike."""
SERVED_BY = "MusicFlamingoOnVllm"
"""The model of music_flamingo.vllm_plugin."""


def trl_arguments(generation: Generation) -> dict[str, Any]:
    """Keyword arguments of trl.GRPOConfig. Raises UserError where vLLM is asked for and missing."""
    if not isinstance(generation, VllmGeneration):
        return {"use_vllm": False}
    if find_spec("vllm") is None:
        raise UserError(
            "grpo.generation is `vllm`, and vLLM is not installed. Install it on a machine with GPUs with "
            "`pip install -r requirements/train-vllm.txt`, or set grpo.generation to {kind: transformers}."
        )
    return {
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": generation.gpu_memory_fraction,
        "vllm_max_model_length": generation.max_model_tokens,
    }


def payload(ids: Sequence[int], samples: np.ndarray, sample_rate_hz: int, audio_ids: Sequence[int]) -> dict[str, Any]:
    """One prompt as vllm.LLM.generate takes it.

    vLLM counts the audio tokens by itself and puts the marks around them, so that the prompt holds one audio token in
    their place. `audio_ids`: of the audio token, of the mark before, of the mark behind.
    """
    audio, *_ = audio_ids
    short = [i for n, i in enumerate(ids) if i not in audio_ids or (i == audio and ids[n - 1] != audio)]
    return {
        "prompt_token_ids": short,
        "multi_modal_data": {"audio": (np.asarray(samples, dtype=np.float32), float(sample_rate_hz))},
    }


def draw(
    llm,
    payloads: Sequence[dict[str, Any]],
    prompts: Sequence[Sequence[int]],
    *,
    temperature: float,
    max_new_tokens: int,
    never: Sequence[int],
) -> tuple[list[list[int]], list[list[float]]]:
    """(token ids, their log-probabilities) of an answer to each payload, by a vllm.LLM.

    Raises UserError where vLLM reads another prompt than the trained model (`prompts`): the two would not speak of
    the same audio tokens.
    """
    from vllm import SamplingParams

    sampling = SamplingParams(
        n=1,
        temperature=temperature,
        top_p=1.0,
        top_k=-1,
        max_tokens=max_new_tokens,
        logprobs=0,
        logit_bias=dict.fromkeys(never, UNLIKELY),
    )
    outputs = llm.generate(list(payloads), sampling_params=sampling, use_tqdm=False)
    for output, ids in zip(outputs, prompts, strict=True):
        if list(output.prompt_token_ids) != list(ids):
            raise UserError(
                f"vLLM reads a prompt of {len(output.prompt_token_ids)} tokens where the model reads {len(ids)}: its "
                "version counts audio tokens differently. Take the vLLM of requirements/train-vllm.txt, or set "
                "grpo.generation to {kind: transformers}."
            )
    drawn = [output.outputs[0] for output in outputs]
    said_ids = [list(answer.token_ids) for answer in drawn]
    logprobs = [
        [said[token].logprob for token, said in zip(answer.token_ids, answer.logprobs, strict=True)] for answer in drawn
    ]
    return said_ids, logprobs


@contextmanager
def handed(dtype: Any) -> Iterator[None]:
    """While TRL starts vLLM: hand it the dtype of the weights that are trained.

    TRL names none, and vLLM would take the checkpoint's, or draw in bfloat16 for a float32 policy.
    """
    from trl.generation import vllm_generation

    plain = vllm_generation.LLM
    vllm_generation.LLM = partial(plain, dtype=str(dtype).removeprefix("torch."))
    try:
        yield
    finally:
        vllm_generation.LLM = plain


def require_plugin(vllm_generation: Any) -> None:
    """Raise UserError unless vLLM serves the policy by music_flamingo.vllm_plugin.

    Its model loads weights under the names of transformers' modules, by which TRL hands them over, and refuses others.
    """
    model = vllm_generation.llm.llm_engine.model_executor.driver_worker.model_runner.model
    if type(model).__name__ != SERVED_BY:
        raise UserError(
            f"vLLM serves the policy by its own {type(model).__name__}, which does not know the names of the weights "
            "that are trained: install this package into vLLM's environment, so that it finds the plugin."
        )
