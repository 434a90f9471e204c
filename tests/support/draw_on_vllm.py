"""Greedy answers of several models to sounds, by vLLM alone: nothing of the project but its plugin is imported.

python draw_on_vllm.py asked.json NEW_TOKENS prints "TOLD " and JSON: name -> dtype and answers. asked.json: name ->
[folder of the model, [[samples, token ids of the prompt], ...]]; the sounds lie next to the folder in sounds.npz.
"""

import gc
import json
import sys
from pathlib import Path

import numpy as np


def main(asked: Path, new_tokens: int) -> None:
    from vllm import LLM, SamplingParams
    from vllm.distributed import cleanup_dist_env_and_memory

    sampling, told = SamplingParams(temperature=0, max_tokens=new_tokens, logprobs=0), {}
    for name, (folder, prompts) in json.loads(asked.read_text()).items():
        llm = LLM(model=folder, enforce_eager=True, max_num_seqs=2)
        sounds = np.load(Path(folder).parent / "sounds.npz")
        answers = []
        for place, (_, ids) in enumerate(prompts):
            data = {"audio": (sounds[f"arr_{place}"], 16_000.0)}
            payload = {"prompt_token_ids": ids, "multi_modal_data": data}
            (out,) = llm.generate([payload], sampling, use_tqdm=False)
            said = out.outputs[0]
            logprobs = [step[token].logprob for token, step in zip(said.token_ids, said.logprobs, strict=True)]
            answers.append({"ids": list(out.prompt_token_ids), "said": list(said.token_ids), "logprobs": logprobs})
        told[name] = {"dtype": str(llm.llm_engine.vllm_config.model_config.dtype), "answers": answers}
        del llm
        gc.collect()
        cleanup_dist_env_and_memory()
    print("TOLD " + json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
