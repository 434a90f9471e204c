"""Ten steps of GRPO whose answers vLLM draws, in the environment of requirements/train-vllm.txt.

python grpo_on_vllm.py FOLDER prints {"differences": [mean difference of log-probabilities, a step], "dtype": ...}.
"""

import json
import sys
from functools import partial
from pathlib import Path

import torch
from trl.generation import vllm_generation

from music_flamingo.model.files import load_model, save_model
from music_flamingo.model.tiny import build_model
from music_flamingo.stages.grpo import GrpoConfig
from music_flamingo.training.data.audio import SoundBank, TrainingWindow
from music_flamingo.training.grpo import trainer as grpo
from music_flamingo.training.grpo.tasks import GrpoPrompt
from support import tiny_world as world

STEPS = 10
SIZE = world.SIZE.model_copy(update={"width": 64, "heads": 2})
"""Heads of 32 dimensions: vLLM's kernels for CPUs take no smaller ones."""


def keep_weights() -> None:
    """On a CPU vLLM packs a layer's weights and forgets them, so that no new ones can be loaded; on a GPU they stay."""
    from vllm.model_executor.layers import linear, utils, vocab_parallel_embedding

    def plain(layer: torch.nn.Module, remove_weight: bool) -> None:
        layer.cpu_linear = torch.nn.functional.linear

    for module in (linear, utils, vocab_parallel_embedding):
        if hasattr(module, "dispatch_cpu_unquantized_gemm"):
            module.dispatch_cpu_unquantized_gemm = plain


def main(folder: Path) -> None:
    processor, tracks = world.processor(), world.tracks(8)
    save_model(build_model(processor, SIZE, seed=1), processor, folder)
    generation = {"kind": "vllm", "gpu_memory_fraction": 0.3, "max_model_tokens": 512}
    # a random model earns no reward: the floor of the entropy moves its weights
    exploration = {**world.CONFIGS["grpo"]["exploration"], "entropy_floor": {"nats": 20.0, "weight": 1.0}}
    changes = {"steps": STEPS, "checkpoint_every": STEPS, "generation": generation, "exploration": exploration}
    config = GrpoConfig.model_validate_json(json.dumps({**world.CONFIGS["grpo"], **changes}))
    prompts = [
        GrpoPrompt(TrainingWindow(t.id, 0, 16_000 * (1 + i % 2)), world.item(t, think=bool(i % 2)))
        for i, t in enumerate((tracks * STEPS)[: STEPS * config.prompts_per_step])
    ]
    bank = SoundBank(processor, tracks)
    keep_weights()
    # compiling the tiny model takes minutes and says nothing of its numbers
    vllm_generation.LLM = partial(vllm_generation.LLM, enforce_eager=True)
    trainer = grpo.trainer_of(lambda: load_model(folder)[0], processor, prompts, bank, config, folder / "work", "grpo")
    trainer.train()
    lines = [line for line in trainer.state.log_history if "loss" in line]
    told = {
        "differences": [line["sampling/sampling_logp_difference/mean"] for line in lines],
        "moved": [line["grad_norm"] for line in lines],
        "dtype": str(trainer.vllm_generation.llm.llm_engine.vllm_config.model_config.dtype),
    }
    print("TOLD " + json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
