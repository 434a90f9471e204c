"""Supervised fine-tuning by TRL's SFTTrainer, extended by audio inputs and a loss weight per token.

B samples, L tokens, D width. TRL 1.16 takes images and no audio: the collator gives the features, and `compute_loss`
passes them on. Only the assistant's words are trained on.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import Sampler, SequentialSampler
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from music_flamingo.core.ranks import is_first, num_ranks
from music_flamingo.model.lora import FullTuning, LoraSettings, stays_apart, tuned
from music_flamingo.model.packing import hidden_states
from music_flamingo.training.data.collator import LessonCollator
from music_flamingo.training.data.schedule import Lesson, samples_digest
from music_flamingo.training.finite import RequireFinite, require_finite_weights
from music_flamingo.training.log import Line, ShowProgress
from music_flamingo.training.optimiser import Optimiser
from music_flamingo.training.scale.checkpoints import StopOnSigterm, WholeCheckpoints, last_good
from music_flamingo.training.scale.distributed import arguments, gathered, within
from music_flamingo.training.scale.full_state import whole_model
from music_flamingo.training.settings import FULL, ONE_PROCESSOR, UNTRACKED, Hardware, Tracking
from music_flamingo.training.tracking import TrackingCallback

COMMON_ARGUMENTS: dict[str, Any] = {
    "report_to": "none",
    "disable_tqdm": True,
    "logging_steps": 1,
    "logging_nan_inf_filter": False,
    "remove_unused_columns": False,
    "dataloader_num_workers": 0,
    "dataloader_pin_memory": False,
}
"""Arguments of transformers' trainers that every run here shares. Every step is logged, so that logs of an
interrupted run and an undisturbed one agree line by line."""


class AudioSFTTrainer(WholeCheckpoints, SFTTrainer):
    """SFTTrainer on batches of LessonCollator."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loss_is_scaled_for_ga = True  # by the weights of the whole step
        self._samples: list[list[str]] = []
        self._right = self._asked = 0.0

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler:
        return SequentialSampler(self.train_dataset)

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, Any]], device: torch.device) -> float:
        """The weights of a step, over all its parts and ranks: what its loss is a mean over."""
        return self.summed(sum(_taught_weights(batch).sum(dtype=torch.float64).item() for batch in batch_samples))[0]

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        # DeepSpeed would have every input in the precision of the weights
        return {**super()._prepare_inputs(inputs), "weights": inputs["weights"].to(self.args.device)}

    def compute_loss(
        self, model, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: float | None = None
    ) -> torch.Tensor:
        """This rank's part of the weighted mean of the cross-entropy over the tokens that have a weight.

        The mean is over the whole step, and gradients are averaged over the ranks: hence the factor.
        """
        losses, right, weights = within(model, lambda inner: _taught_tokens(inner, inputs))
        total = num_items_in_batch or weights.sum(dtype=torch.float64).item()
        self._right += (right * weights).sum().item()
        self._asked += weights.sum().item()
        self._samples.append(inputs["sample_ids"])
        return (losses * weights).sum() / total * (num_ranks() if num_items_in_batch else 1)

    def log(self, logs: Line, start_time: float | None = None) -> None:
        """Log a line; one with a loss also gets accuracy and the digest of the samples, over all ranks."""
        if "loss" in logs:
            right, asked = self.summed(self._right, self._asked)
            logs["accuracy"] = right / asked
            logs["samples"] = samples_digest(_in_order(gathered(self._samples)))
            self._samples, self._right, self._asked = [], 0.0, 0.0
        super().log(logs, start_time)


def _in_order(by_rank: Sequence[Sequence[Sequence[str]]]) -> list[str]:
    """The sample ids of a step as the plan has them: the ranks take turns at each part."""
    return [sample for part in zip(*by_rank, strict=True) for samples in part for sample in samples]


def _taught_weights(batch: dict[str, Any]) -> torch.Tensor:
    """Of the tokens that are predicted: all but the first."""
    return batch["weights"][:, 1:]


def _taught_tokens(model, inputs: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(cross-entropy, whether the model would have said it itself, weight) of each token that has a weight."""
    weights_BL = _taught_weights(inputs)
    taught = weights_BL > 0
    hidden_BLD = _hidden_states(model, inputs)[:, :-1]
    logits = model.lm_head(hidden_BLD[taught]).float()  # most positions teach nothing: no logits are made for them
    labels = inputs["input_ids"][:, 1:][taught]
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    return losses, (logits.detach().argmax(-1) == labels).float(), weights_BL[taught]


def _hidden_states(model, inputs: dict[str, Any]) -> torch.Tensor:
    """(B, L, D); B is 1 where the lessons are packed into one row."""
    if "bounds" in inputs:
        return hidden_states(model, inputs)
    return model.base_model(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        input_features=inputs["input_features"],
        input_features_mask=inputs["input_features_mask"],
        use_cache=False,
    ).last_hidden_state


def train(
    load: Callable[[], Any],
    processor,
    lessons: Sequence[Lesson] | Sequence[tuple[Lesson, ...]],
    collator: LessonCollator,
    optimiser: Optimiser,
    *,
    batch_size: int,
    checkpoint_every: int,
    seed: int,
    work: Path,
    label: str,
    tuning: FullTuning | LoraSettings = FULL,
    hardware: Hardware = ONE_PROCESSOR,
    tracking: Tracking = UNTRACKED,
) -> tuple[Any, list[Line]]:
    """Train what `load` gives on the lessons, in order; gives the model, whole, and the trainer's log history.

    Goes on from the last whole checkpoint in `work`; N + N steps equal 2N to the bit. With several ranks all call it,
    after `join`, and the first one alone is given the model.
    """
    trainer = trainer_of(
        tuned(load(), tuning, seed),
        processor,
        len(lessons),
        collator,
        optimiser,
        batch_size=batch_size,
        checkpoint_every=checkpoint_every,
        seed=seed,
        work=work,
        hardware=hardware,
        callbacks=[*told(label, tracking, work), StopOnSigterm()],
    )
    checkpoint = last_good(work)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    model = whole_model(trainer, lambda: tuned(load(), tuning, seed), stays_apart(tuning))
    if model is not None:
        require_finite_weights(model, label)
    return model, list(trainer.state.log_history)


def trainer_of(
    model,
    processor,
    num_lessons: int,
    collator: Callable[[list[dict[str, int]]], dict[str, Any]],
    optimiser: Optimiser,
    *,
    batch_size: int,
    checkpoint_every: int,
    seed: int,
    work: Path,
    hardware: Hardware,
    callbacks: Sequence[TrainerCallback],
) -> AudioSFTTrainer:
    """The trainer of a run, with nothing done yet. `collator`: numbers of lessons to a batch, as LessonCollator's."""
    trainer = AudioSFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(work),
            save_strategy="steps",
            save_steps=checkpoint_every,
            seed=seed,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            **COMMON_ARGUMENTS,
            **arguments(hardware, batch_size, optimiser.accumulation),
            **optimiser.arguments(num_lessons // batch_size),
        ),
        train_dataset=Dataset.from_dict({"lesson": range(num_lessons)}),
        processing_class=processor,
        data_collator=collator,
        callbacks=list(callbacks),
        hardware=hardware,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def told(label: str, tracking: Tracking, work: Path) -> list[TrainerCallback]:
    """Those who follow a run: the first rank speaks for all, every rank watches for what is not finite."""
    shown = [ShowProgress(label), TrackingCallback(tracking, label, work)] if is_first() else []
    return [RequireFinite(label), *shown]
