"""Supervised fine-tuning by TRL's SFTTrainer, with the audio it would drop and a weight for each token.

B lessons, L tokens, D width. TRL 1.16 knows images, not sounds: the collator gives the features, and `compute_loss`
passes them on. Only the assistant's words are trained on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import Sampler, SequentialSampler
from transformers import PrinterCallback
from trl import SFTConfig, SFTTrainer

from music_flamingo.model.packing import hidden_states
from music_flamingo.training.batches import LessonCollator
from music_flamingo.training.checkpoints import StopOnSigterm, WholeCheckpoints, last_good
from music_flamingo.training.log import Line, ShowProgress
from music_flamingo.training.plan import Lesson, samples_digest
from music_flamingo.training.settings import UNTRACKED, Optimiser, Tracking
from music_flamingo.training.tracking import Track

COMMON_ARGUMENTS: dict[str, Any] = {
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "disable_tqdm": True,
    "logging_steps": 1,
    "logging_nan_inf_filter": False,
    "activation_checkpointing": False,
    "remove_unused_columns": False,
    "dataloader_num_workers": 0,
    "dataloader_pin_memory": False,
}
"""Arguments of transformers' trainers that every run here shares. Every step is logged, so that logs of an
interrupted run and an undisturbed one agree line by line."""


class AudioSFTTrainer(WholeCheckpoints, SFTTrainer):
    """SFTTrainer on batches of LessonCollator."""

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler:
        return SequentialSampler(self.train_dataset)

    def compute_loss(
        self, model, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: int | None = None
    ) -> torch.Tensor:
        """Weighted mean of the cross-entropy over the tokens that have a weight."""
        weights_BL = inputs["weights"][:, 1:]
        taught = weights_BL > 0
        hidden_BLD = _hidden_states(model, inputs)[:, :-1]
        logits = model.lm_head(hidden_BLD[taught]).float()  # most positions teach nothing: no logits are made for them
        labels, weights = inputs["input_ids"][:, 1:][taught], weights_BL[taught]
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        self._metrics["train"]["accuracy"].append(_accuracy(logits, labels, weights))
        self._samples = [*getattr(self, "_samples", []), *inputs["sample_ids"]]
        return (losses * weights).sum() / weights.sum()

    def log(self, logs: Line, start_time: float | None = None) -> None:
        if "loss" in logs:
            logs["samples"] = samples_digest(self._samples)
            self._samples = []
        super().log(logs, start_time)


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


@torch.no_grad()
def _accuracy(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> float:
    """Weighted part of the tokens that the model would have said itself."""
    right = (logits.argmax(-1) == labels).float()
    return ((right * weights).sum() / weights.sum()).item()


def train(
    model,
    processor,
    lessons: Sequence[Lesson],
    collator: LessonCollator,
    optimiser: Optimiser,
    *,
    batch_size: int,
    checkpoint_every: int,
    seed: int,
    work: Path,
    label: str,
    tracking: Tracking = UNTRACKED,
) -> list[Line]:
    """Train the model in place on the lessons, in order; gives the trainer's log history.

    Goes on from the last whole checkpoint in `work`; N + N steps equal 2N to the bit.
    """
    steps = len(lessons) // (batch_size * optimiser.accumulation)
    args = SFTConfig(
        output_dir=str(work),
        per_device_train_batch_size=batch_size,
        save_strategy="steps",
        save_steps=checkpoint_every,
        seed=seed,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        **COMMON_ARGUMENTS,
        **optimiser.arguments(steps),
    )
    trainer = AudioSFTTrainer(
        model=model,
        args=args,
        train_dataset=Dataset.from_dict({"lesson": range(len(lessons))}),
        processing_class=processor,
        data_collator=collator,
        callbacks=[ShowProgress(label), Track(tracking, label, work), StopOnSigterm()],
    )
    trainer.remove_callback(PrinterCallback)
    checkpoint = last_good(work)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return list(trainer.state.log_history)
