"""Group relative policy optimisation by TRL's GRPOTrainer, with the audio it would leave out.

B rows (G for each prompt), P prompt tokens, C completion tokens, V vocabulary.
TRL 1.16 knows images, not sounds: its roll-outs and its training forward would both be deaf. The roll-outs come in by
its own `rollout_func`; the log-probabilities are computed here, from the same sounds.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import GenerationConfig, PrinterCallback
from trl import GRPOConfig, GRPOTrainer

from music_flamingo.model.chat import Sound, Tokens, Turn, pad, tokenise
from music_flamingo.model.embed import embed
from music_flamingo.rewards.trl import CAPTION, QUESTION, reward_functions
from music_flamingo.training.checkpoints import StopOnSigterm, WholeCheckpoints, last_good
from music_flamingo.training.items import Item
from music_flamingo.training.log import Line, ShowProgress
from music_flamingo.training.plan import samples_digest
from music_flamingo.training.settings import Reinforcing
from music_flamingo.training.sft import COMMON_ARGUMENTS
from music_flamingo.training.sounds import SoundBank, Window
from music_flamingo.training.tracking import Track


@dataclass(frozen=True)
class Prompt:
    """One question about one window, answered G times."""

    window: Window
    item: Item


def prompt_tokens(processor, prompt: Prompt, bank: SoundBank) -> Tokens:
    """What the model reads before it answers."""
    return tokenise(processor, (Turn(prompt.item.prompt, None),), bank(prompt.window).num_tokens)


class AudioGRPOTrainer(WholeCheckpoints, GRPOTrainer):
    """GRPOTrainer over rows of `dataset_of`; hears `bank(prompts[row].window)`."""

    def __init__(self, *args: Any, processor: Any, prompts: Sequence[Prompt], bank: SoundBank, **kwargs: Any) -> None:
        self._processor = processor
        self._prompts = prompts
        self._bank = bank
        self._rows: list[int] = []
        self._samples: list[str] = []
        # TRL takes a processor for a vision one and asks for its image token: the tokenizer is all it needs
        super().__init__(*args, processing_class=processor.tokenizer, rollout_func=_roll_out, **kwargs)

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = ["prompt", "row"]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._rows = [row["row"] for row in inputs]
        self._samples += [self._prompts[row].item.id for row in self._rows[:: self.num_generations]]
        scored = super()._generate_and_score_completions(inputs)
        scored["row"] = torch.tensor([row["row"] for row in inputs])  # shuffled and split along with the rest
        return scored

    @torch.no_grad()
    def roll_out(self) -> tuple[list[list[int]], list[list[int]]]:
        """(prompt ids, completion ids) of the current rows, drawn from the policy, up to and with the end mark."""
        prompt_ids = [self.prompt_ids(row) for row in self._rows]
        longest = max(map(len, prompt_ids))
        pad_id = self._processor.tokenizer.pad_token_id
        ids_BP = torch.tensor([pad(ids, longest, pad_id, "left") for ids in prompt_ids])
        mask_BP = torch.tensor([pad([1] * len(ids), longest, 0, "left") for ids in prompt_ids])
        model = self.accelerator.unwrap_model(self.model)
        drawn_BC = model.generate(
            inputs_embeds=self._embed(model, ids_BP, self._rows),
            attention_mask=mask_BP,
            generation_config=self._sampling(),
        )
        return prompt_ids, [self._until_end(ids.tolist()) for ids in drawn_BC]

    def prompt_ids(self, row: int) -> list[int]:
        return list(prompt_tokens(self._processor, self._prompts[row], self._bank).ids)

    def _sampling(self) -> GenerationConfig:
        tokenizer = self._processor.tokenizer
        return GenerationConfig(
            do_sample=True,
            temperature=self.temperature,
            top_k=0,
            max_new_tokens=self.max_completion_length,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            suppress_tokens=list(self._processor.audio_token_ids),
        )

    def _until_end(self, ids: list[int]) -> list[int]:
        end = self._processor.tokenizer.eos_token_id
        return ids[: ids.index(end) + 1] if end in ids else ids

    def _embed(self, model, ids: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        windows = [self._prompts[row].window for row in rows]
        distinct = list(dict.fromkeys(windows))
        sounds: list[Sound] = [self._bank(window) for window in distinct]
        return embed(model, ids, sounds, [distinct.index(window) for window in windows])

    def _compute_loss(self, model, inputs: dict[str, Any]) -> torch.Tensor:
        self._rows = inputs["row"].tolist()
        return super()._compute_loss(model, inputs)

    def _get_per_token_logps_and_entropies(
        self,
        model,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        """Log-probabilities (B, C) of the completions given prompt and sound, and entropies if asked for."""
        assert len(self._rows) == len(input_ids), "the rows heard are not the rows asked about"
        hidden = model.base_model(
            inputs_embeds=self._embed(model, input_ids, self._rows), attention_mask=attention_mask, use_cache=False
        ).last_hidden_state[:, -logits_to_keep - 1 : -1]
        logps_BCV = (model.lm_head(hidden).float() / self.temperature).log_softmax(-1)
        logps_BC = logps_BCV.gather(-1, input_ids[:, -logits_to_keep:, None])[..., 0]
        entropies = -(logps_BCV.detach().exp() * logps_BCV.detach()).sum(-1) if compute_entropy else None
        return logps_BC, entropies, None

    def log(self, logs: Line, start_time: float | None = None) -> None:
        if "loss" in logs:
            logs["samples"] = samples_digest(self._samples)
            self._samples = []
        super().log(logs, start_time)


def _roll_out(prompts: list, trainer: AudioGRPOTrainer) -> dict[str, Any]:
    prompt_ids, completion_ids = trainer.roll_out()
    return {"prompt_ids": prompt_ids, "completion_ids": completion_ids, "logprobs": None}


def dataset_of(prompts: Sequence[Prompt]) -> Dataset:
    """One row a prompt, with what the rewards compare with."""
    items = [prompt.item for prompt in prompts]
    return Dataset.from_dict(
        {
            "prompt": [[{"role": "user", "content": item.prompt}] for item in items],
            "row": list(range(len(items))),
            "kind": [CAPTION if item.is_caption else QUESTION for item in items],
            "reference": [item.reference for item in items],
            "options": [list(item.options) for item in items],
            "structured": [json.dumps([c.model_dump() for c in item.structured]) for item in items],
        }
    )


def trainer_of(
    model,
    processor,
    prompts: Sequence[Prompt],
    bank: SoundBank,
    config: Reinforcing,
    work: Path,
    label: str,
) -> AudioGRPOTrainer:
    """The trainer of one run. `model` must be loaded from a folder: the reference is loaded from the same one."""
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"  # `rollout_func` warns that it may change; versions are pinned
    args = GRPOConfig(
        output_dir=str(work),
        per_device_train_batch_size=config.prompts_per_step * config.num_generations,
        num_generations=config.num_generations,
        max_completion_length=config.max_completion_tokens,
        loss_type="grpo",
        beta=config.beta,
        epsilon=config.epsilon,
        temperature=config.temperature,
        scale_rewards=config.scale_rewards,
        reward_weights=[config.weight_format, config.weight_accuracy, config.weight_structured],
        shuffle_dataset=False,
        save_strategy="steps",
        save_steps=config.checkpoint_every,
        seed=config.seed,
        **COMMON_ARGUMENTS,
        **config.optimiser.arguments(len(prompts) // (config.prompts_per_step * config.optimiser.accumulation)),
    )
    trainer = AudioGRPOTrainer(
        model=model,
        args=args,
        train_dataset=dataset_of(prompts),
        reward_funcs=reward_functions(config.structured_form),
        processor=processor,
        prompts=prompts,
        bank=bank,
        callbacks=[ShowProgress(label), Track(config.tracking, label, work), StopOnSigterm()],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def train(
    model, processor, prompts: Sequence[Prompt], bank: SoundBank, config: Reinforcing, *, work: Path, label: str
) -> list[Line]:
    """Train the policy in place on the prompts, in order and each once; gives the trainer's log history.

    Goes on from the last whole checkpoint in `work`.
    """
    trainer = trainer_of(model, processor, prompts, bank, config, work, label)
    checkpoint = last_good(work)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return list(trainer.state.log_history)
