"""Sample answers by vLLM on the training GPUs: inputs with audio, sampling options, weight names.

TRL starts vLLM in the training processes, gives it the new weights before each draw, and weighs each answer by how
likely the trained model itself finds it. TRL hands no sounds over: the draw is made here, from the same prompts.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from music_flamingo.core.errors import UserError
from music_flamingo.training.settings import Generation, VllmGeneration

UNLIKELY = -100.0
"""Added to the logit of a token that is never to be drawn."""


def trl_arguments(generation: Generation) -> dict[str, Any]:
    """Keyword arguments of trl.GRPOConfig. Raises UserError where vLLM is asked for and missing."""
    if not isinstance(generation, VllmGeneration):
        return {"use_vllm": False}
    if find_spec("vllm") is None:
        raise UserError(
            "grpo.generation is `vllm`, and vLLM is not installed. Install it on a machine with GPUs with "
            "`pip install 'vllm[audio]==0.24.0'`, the last that knows Music Flamingo, or set grpo.generation to "
            "{kind: transformers}."
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
                "version counts audio tokens differently. Take a vLLM that knows MusicFlamingo's marks around the "
                "sound, or set grpo.generation to {kind: transformers}."
            )
    drawn = [output.outputs[0] for output in outputs]
    said_ids = [list(answer.token_ids) for answer in drawn]
    logprobs = [
        [said[token].logprob for token, said in zip(answer.token_ids, answer.logprobs, strict=True)] for answer in drawn
    ]
    return said_ids, logprobs


def speak_published_names(vllm_generation, names: Mapping[str, str]) -> None:
    """TRL passes on the names of transformers' modules, which vLLM does not know. `names`: see `published_names`."""
    plain = vllm_generation._fix_param_name_to_vllm

    def published(name: str, extra_prefixes: list[str] | None = None) -> str:
        fixed: str = plain(name, extra_prefixes)
        return names.get(fixed, fixed)

    vllm_generation._fix_param_name_to_vllm = published
