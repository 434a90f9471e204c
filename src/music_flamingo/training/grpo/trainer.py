"""Group relative policy optimisation by TRL's GRPOTrainer, extended by audio inputs.

B rows (G for each prompt), P prompt tokens, C completion tokens, V vocabulary.
TRL 1.16 knows images, not sounds: its roll-outs and its training forward would both be deaf. The roll-outs come in by
its own `rollout_func`; the log-probabilities are computed here, from the same sounds. Each sound is encoded once and
each prompt read once, however many answers there are to it.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import split_tensor_dict

from music_flamingo.core.ranks import rank
from music_flamingo.model.lora import LoraSettings, stays_apart, switched_off, tuned
from music_flamingo.model.shared_prefix import Continued, hidden_before, share
from music_flamingo.records import Rollout
from music_flamingo.rewards.judge import PARTS
from music_flamingo.rewards.trl import reward_functions
from music_flamingo.training.data.audio import SoundBank
from music_flamingo.training.data.schedule import samples_digest
from music_flamingo.training.finite import require_finite_weights
from music_flamingo.training.grpo import vllm
from music_flamingo.training.grpo.drawing import DrawsAnswers
from music_flamingo.training.grpo.rollouts import RolloutBatch, is_kept, keep, measures, rollouts_of
from music_flamingo.training.grpo.tasks import GrpoPrompt, read, rules_of, task_of
from music_flamingo.training.log import Line
from music_flamingo.training.scale.checkpoints import StopOnSigterm, WholeCheckpoints, last_good
from music_flamingo.training.scale.distributed import arguments, gathered, within
from music_flamingo.training.scale.full_state import whole_model
from music_flamingo.training.settings import GrpoConfig
from music_flamingo.training.sft_trainer import COMMON_ARGUMENTS, told

WITHOUT_ADAPTERS = object()
"""Stands for the reference where it is the trained model with its adapters switched off."""


class AudioGRPOTrainer(DrawsAnswers, WholeCheckpoints, GRPOTrainer):
    """GRPOTrainer over rows of `dataset_of`; hears `bank(prompts[row].window)`."""

    _buffered_inputs: list[dict[str, Any]] | None

    def __init__(
        self,
        *args: Any,
        processor: Any,
        prompts: Sequence[GrpoPrompt],
        bank: SoundBank,
        reference: Any,
        config: GrpoConfig,
        **kwargs: Any,
    ) -> None:
        self._processor = processor
        self._prompts = prompts
        self._bank = bank
        self._config = config
        self._rows: list[int] = []
        self._samples: list[str] = []
        self._surprise: tuple[torch.Tensor, torch.Tensor] | None = None
        self.num_redrawn = 0
        # TRL takes a processor for a vision one and asks for its image token: the tokenizer is all it needs
        trl = {"processing_class": processor.tokenizer, "rollout_func": _roll_out, **kwargs}
        with vllm.handed(trl["model"].dtype) if config.generation.kind == "vllm" else nullcontext():
            super().__init__(*args, **trl)
        # told of beta before, TRL would load a reference by itself, in one piece, or copy the adapters for one
        self.beta = config.beta
        if config.beta:
            self.ref_model = reference if reference is WITHOUT_ADAPTERS else self.beside(reference)
        if self.use_vllm:
            vllm.require_plugin(self.vllm_generation)

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = ["prompt", "row"]

    def _prepare_inputs(self, generation_batch: list[dict[str, Any]]) -> dict[str, Any]:
        """TRL's, without its shuffling: a part of a step is whole groups, whose prompts are then read once each. The
        step's mean is the same in any order."""
        parts = self.args.steps_per_generation
        if self._step % (parts * self.num_iterations) == 0 or self._buffered_inputs is None:
            self._buffered_inputs = split_tensor_dict(self._generate_and_score_completions(generation_batch), parts)
        return self._buffered_inputs[self._step % parts]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._rows = [row["row"] for row in inputs]
        asked = [row for rows in gathered(self._rows) for row in rows][:: self.num_generations]
        self._samples += [self._prompts[row].item.id for row in asked]
        scored = super()._generate_and_score_completions(inputs)
        scored["row"] = torch.tensor(self._rows, device=scored["prompt_ids"].device)  # split along with the rest
        rollouts = self._tell(scored, asked)
        self._pass_over(scored, rollouts)
        self._leave_out_overlong(scored)
        return scored

    def _leave_out_overlong(self, scored: dict[str, Any]) -> None:
        """Take the tokens of answers without an end out of the loss, where that is wanted; count what is left."""
        mask = scored["completion_mask"]
        if self._config.objective.overlong == "leave_out":
            ended = (scored["completion_ids"] == self._processor.tokenizer.eos_token_id).any(dim=1)
            mask = mask * ended[:, None]
            scored["completion_mask"] = mask
        if self._config.objective.mean_over == "tokens":
            scored["num_items_in_batch"] = self.accelerator.gather(mask.sum()).sum()
            scored["share"] = torch.ones_like(scored["share"])

    def _pass_over(self, scored: dict[str, Any], rollouts: Sequence[Rollout]) -> None:
        """Leave groups without spread out of the step's mean, where that is wanted; count them.

        A row of such a group has no word left in its mask, and `share` makes the mean over all rows one over the rest.
        Where no group has spread, all stay: their loss is the KL term alone.
        """
        flat = [not rollout.has_spread for rollout in rollouts]
        self._metrics["train"]["redrawn"].append(float(self.num_redrawn))
        passed_over = self._config.exploration.no_spread == "pass_over" and not all(flat)
        self._metrics["train"]["passed_over"].append(float(sum(flat) if passed_over else 0))
        mask = scored["completion_mask"]
        scored["share"] = torch.ones(len(mask), device=mask.device)
        if passed_over:
            first = rank() * len(mask)
            mine = [flat[(first + i) // self.num_generations] for i in range(len(mask))]
            scored["completion_mask"] = mask * ~torch.tensor(mine, device=mask.device)[:, None]
            scored["share"] *= len(flat) / (len(flat) - sum(flat))

    def _tell(self, scored: dict[str, Any], asked: Sequence[int]) -> list[Rollout]:
        """Measures of the draw into the log, its answers into a file; gives its roll-outs, of all ranks."""
        said = [
            ids[mask.bool()].tolist()
            for ids, mask in zip(scored["completion_ids"], scored["completion_mask"], strict=True)
        ]
        step = self.state.global_step + 1
        # TRL keeps rewards and advantages of its last draw, of all processes
        drawn = RolloutBatch(
            items=[self._prompts[row].item for row in asked],
            said=[ids for of_rank in gathered(said) for ids in of_rank],
            parts={part: [_or_none(value) for value in self._logs["rewards"][part]] for part in PARTS},
            advantages=list(self._logs["advantages"]),
        )
        rollouts = rollouts_of(drawn, step, self.read)
        for name, value in measures(rollouts).items():
            self._metrics["train"][name].append(value)
        if self.accelerator.is_main_process and is_kept(step, self._config.rollouts_every):
            keep(Path(self.args.output_dir), step, rollouts)
        return rollouts

    def _compute_loss(self, model, inputs: dict[str, Any]) -> torch.Tensor:
        self._rows = inputs["row"].tolist()
        loss = super()._compute_loss(model, inputs) * inputs["share"][0]
        return loss + self._entropy_floor() / self.current_gradient_accumulation_steps

    def _entropy_floor(self) -> torch.Tensor | float:
        """What it costs that the answers' mean entropy lies below the floor: it hangs on this step alone, so that an
        interrupted run goes on to the same bits."""
        floor = self._config.exploration.entropy_floor
        if floor is None or self._surprise is None:
            return 0.0
        surprise_BC, is_said_BC = self._surprise
        mean = (surprise_BC * is_said_BC).sum() / is_said_BC.sum().clamp(min=1)
        return floor.weight * (floor.nats - mean).clamp(min=0)

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
        """Log-probabilities (B, C) of the completions given prompt and sound, and entropies if asked for.

        0 where a completion has ended: no loss counts those places.
        """
        if model is WITHOUT_ADAPTERS:
            with switched_off(self.model):
                return self._get_per_token_logps_and_entropies(
                    self.model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy
                )
        assert len(self._rows) == len(input_ids), "the rows heard are not the rows asked about"
        said_ids, is_said = input_ids[:, -logits_to_keep:], attention_mask[:, -logits_to_keep:].bool()
        rows = Continued(
            input_ids[:, :-logits_to_keep], attention_mask[:, :-logits_to_keep], said_ids, is_said, self._rows
        )
        logps_N, surprise_N = within(model, lambda inner: self._said_tokens(inner, rows, compute_entropy))
        entropies = _in_places(surprise_N, is_said) if compute_entropy else None
        if entropies is not None:
            self._surprise = entropies, is_said
            entropies = entropies.detach()
        return _in_places(logps_N, is_said), entropies, None

    def _said_tokens(self, model, rows: Continued, with_surprise: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(log-probability, entropy) of each of the N tokens said, of all rows: the vocabulary is worked out for them
        alone."""
        shared = share(rows, self._processor.tokenizer.pad_token_id, model.dtype)
        embeds = self._embed(model, shared.ids_UL, shared.prompts_U)
        hidden_ND = hidden_before(model, embeds, shared)[rows.said_mask_BC]
        logits_NV = model.lm_head(hidden_ND).float()
        if self.use_vllm:
            # vLLM's log-probabilities, by which TRL weighs each answer, leave these tokens out
            logits_NV[:, list(self._processor.audio_token_ids)] += vllm.UNLIKELY
        logps_NV = (logits_NV / self.temperature).log_softmax(-1)
        learned_NV = logps_NV if self._config.exploration.entropy_floor else logps_NV.detach()
        surprise_N = -(learned_NV.exp() * learned_NV).sum(-1) if with_surprise else None
        said_N = rows.said_ids_BC[rows.said_mask_BC]
        return logps_NV.gather(-1, said_N[:, None])[:, 0], surprise_N

    def log(self, logs: Line, start_time: float | None = None) -> None:
        """Log a line; one with a loss also gets the digest of the samples since the line before."""
        if "loss" in logs:
            logs["samples"] = samples_digest(self._samples)
            self._samples = []
        super().log(logs, start_time)


def _roll_out(prompts: list, trainer: AudioGRPOTrainer) -> dict[str, Any]:
    return trainer.roll_out()


def _or_none(value: float) -> float | None:
    return None if value != value else value


def _in_places(values_N: torch.Tensor, is_said_BC: torch.Tensor) -> torch.Tensor:
    return values_N.new_zeros(is_said_BC.shape).masked_scatter(is_said_BC, values_N)


def dataset_of(prompts: Sequence[GrpoPrompt]) -> Dataset:
    """One row a prompt; what it is about is looked up by `row`."""
    asked = [[{"role": "user", "content": prompt.item.prompt}] for prompt in prompts]
    return Dataset.from_dict({"prompt": asked, "row": list(range(len(prompts)))})


def trainer_of(
    load: Callable[[], Any],
    processor,
    prompts: Sequence[GrpoPrompt],
    bank: SoundBank,
    config: GrpoConfig,
    work: Path,
    label: str,
) -> AudioGRPOTrainer:
    """The trainer of one run. `load` gives the model that training starts from: the policy, and once more the
    reference, unless the policy has adapters that can be switched off."""
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"  # `rollout_func` warns that it may change; versions are pinned
    num_draws = len(prompts) // config.prompts_per_step
    start = load()
    has_adapters = isinstance(config.tuning, LoraSettings)
    reference = WITHOUT_ADAPTERS if has_adapters else load() if config.beta else None
    args = GRPOConfig(
        output_dir=str(work),
        num_generations=config.num_generations,
        max_completion_length=config.max_completion_tokens,
        loss_type="grpo" if config.objective.mean_over == "answers" else "dapo",
        beta=0.0,
        use_bias_correction_kl=False,  # the paper's objective has the plain KL term; TRL would weigh it by the ratio
        epsilon=config.epsilon,
        epsilon_high=config.exploration.epsilon_high,
        temperature=config.temperature,
        scale_rewards=config.scale_rewards,
        num_iterations=config.updates_per_draw,
        shuffle_dataset=False,
        save_strategy="steps",
        save_steps=config.checkpoint_every,
        seed=config.seed,
        **COMMON_ARGUMENTS,
        **arguments(config.hardware, config.prompts_per_step * config.num_generations, config.optimiser.accumulation),
        **vllm.trl_arguments(config.generation),
        **config.optimiser.arguments(num_draws * config.updates_per_draw),
    )
    trainer = AudioGRPOTrainer(
        model=tuned(start, config.tuning, config.seed),
        args=args,
        train_dataset=dataset_of(prompts),
        reward_funcs=reward_functions(
            [task_of(prompt.item) for prompt in prompts],
            rules_of(config),
            lambda ids: read(processor.tokenizer, ids),
        ),
        processor=processor,
        prompts=prompts,
        bank=bank,
        reference=reference,
        config=config,
        callbacks=[*told(label, config.tracking, work), StopOnSigterm(every=config.updates_per_draw)],
        hardware=config.hardware,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def train(
    load: Callable[[], Any],
    processor,
    prompts: Sequence[GrpoPrompt],
    bank: SoundBank,
    config: GrpoConfig,
    *,
    work: Path,
    label: str,
) -> tuple[Any, list[Line]]:
    """Train what `load` gives on the prompts, in order and each once; gives the model, whole, and the trainer's log
    history.

    Goes on from the last whole checkpoint in `work`. With several ranks all call it, after `join`, and the first one
    alone is given the model.
    """
    trainer = trainer_of(load, processor, prompts, bank, config, work, label)
    checkpoint = last_good(work)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    model = whole_model(trainer, lambda: tuned(load(), config.tuning, config.seed), stays_apart(config.tuning))
    if model is not None:
        require_finite_weights(model, label)
    return model, list(trainer.state.log_history)
