"""Checkpoints that are complete or ignored, and a stop on SIGTERM that saves one first.

A checkpoint holds whole tensors of the weights that learn and of the optimiser (safetensors, each rank writes its
share), the step, the log and the random state. `complete.json`, written last and atomically with every file's
SHA-256, marks it whole; one without it, or with a file that differs, is deleted when training goes on.
"""

import json
import logging
import shutil
import signal
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.ranks import is_first, num_ranks, rank
from music_flamingo.core.shards import write_atomic
from music_flamingo.training.finite import require_finite_tensors
from music_flamingo.training.scale.checkpoint_store import COMPLETE, checkpoint_store_of
from music_flamingo.training.scale.distributed import AcrossRanks, from_first, gathered
from music_flamingo.training.scale.full_state import put_back, whole_tensors

log = logging.getLogger(__name__)

TRAINER_STATE = "trainer_state.json"
SCHEDULE = "schedule.json"
PATTERN = "checkpoint-*"
KEPT = 2
"""Checkpoints on disk; the one before the last remains should the last be damaged."""


def mark_complete(checkpoint: Path, written: list[Path]) -> None:
    """Write the last file of a checkpoint, once every rank has said what it wrote. All ranks must call it."""
    mine = {str(path.relative_to(checkpoint)): sha256_file(path) for path in written}
    files = {name: digest for digests in gathered(mine) for name, digest in digests.items()}
    if is_first():
        write_atomic(checkpoint / COMPLETE, json.dumps(files, indent=1, sort_keys=True) + "\n")


def is_whole(checkpoint: Path) -> bool:
    """Whether every file of the checkpoint is there with its digest."""
    try:
        files = json.loads((checkpoint / COMPLETE).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    paths = {checkpoint / name: digest for name, digest in files.items()}
    return all(path.is_file() and sha256_file(path) == digest for path, digest in paths.items())


def checkpoints(folder: Path) -> list[Path]:
    """In order of steps."""
    return sorted(folder.glob(PATTERN), key=lambda path: int(path.name.rpartition("-")[2]))


def forget_old(folder: Path, needed: Path | None) -> None:
    """The last KEPT stay, and the one that is still needed."""
    for old in checkpoints(folder)[:-KEPT]:
        if old != needed:
            shutil.rmtree(old)


def last_good(folder: Path) -> Path | None:
    """The latest whole checkpoint, here or in the object store, the same in every rank; damaged ones are deleted."""
    return from_first(lambda: _last_good(folder))


def _last_good(folder: Path) -> Path | None:
    if checkpoint_store := checkpoint_store_of(folder):
        checkpoint_store.fetch(folder)
    good = None
    for checkpoint in checkpoints(folder):
        if is_whole(checkpoint):
            good = checkpoint
        else:
            log.warning("%s was cut in writing: passed over", checkpoint.name)
            shutil.rmtree(checkpoint)
    return good


class WholeCheckpoints(AcrossRanks):
    """To stand before TRL's trainer among the bases: checkpoints that are marked complete and really loaded."""

    def _save_checkpoint(self, model, trial) -> None:
        folder = Path(self.args.output_dir)
        checkpoint = folder / f"checkpoint-{self.state.global_step}"
        checkpoint.mkdir(parents=True, exist_ok=True)
        share = checkpoint / f"state-{rank():05d}-of-{num_ranks():05d}.safetensors"
        tensors = whole_tensors(self)
        require_finite_tensors(tensors, f"checkpoint of step {self.state.global_step}")
        save_file(tensors, share)
        self._save_rng_state(str(checkpoint))
        written = [share, checkpoint / ("rng_state.pth" if num_ranks() == 1 else f"rng_state_{rank()}.pth")]
        if is_first():
            self.state.save_to_json(str(checkpoint / TRAINER_STATE))
            write_atomic(checkpoint / SCHEDULE, json.dumps(self.lr_scheduler.state_dict()) + "\n")
            written += [checkpoint / TRAINER_STATE, checkpoint / SCHEDULE]
        mark_complete(checkpoint, written)
        if is_first():
            checkpoint_store = checkpoint_store_of(folder)
            forget_old(folder, checkpoint_store.sending if checkpoint_store else None)
            if checkpoint_store:
                checkpoint_store.send(checkpoint)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        """Nothing yet: weights are put back where the optimiser's state is, when both are in their pieces."""

    def _prepare_for_training(self, max_steps, train_dataloader, resume_from_checkpoint):
        prepared = super()._prepare_for_training(max_steps, train_dataloader, None)
        if resume_from_checkpoint is not None:
            put_back(self, read_tensors(Path(resume_from_checkpoint)))
            self.lr_scheduler.load_state_dict(json.loads((Path(resume_from_checkpoint) / SCHEDULE).read_text()))
            for group, rate in zip(self.optimizer.param_groups, self.lr_scheduler.get_last_lr(), strict=True):
                group["lr"] = rate
        return prepared


def read_tensors(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint, whatever number of ranks wrote it."""
    tensors = {}
    for path in sorted(checkpoint.glob("state-*.safetensors")):
        with safe_open(path, framework="pt") as file:
            tensors.update({name: file.get_tensor(name) for name in file.offset_keys()})
    return tensors


class StopOnSigterm(TrainerCallback):
    """Saves a checkpoint at the end of the step in which SIGTERM comes to any rank; then all end with status 143.

    `every`: steps that belong together, between which no run can go on (updates on one draw of answers).
    """

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self.asked = False
        self._previous = signal.getsignal(signal.SIGTERM)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Install the signal handler."""
        self._previous = signal.signal(signal.SIGTERM, self._ask)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Share the request among ranks, and save where one of them was asked to stop."""
        self.asked = any(gathered(self.asked))
        if self.asked and state.global_step % self.every == 0:
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Exit with the status of SIGTERM once the checkpoint is saved."""
        if self.asked:
            raise SystemExit(128 + signal.SIGTERM)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Restore the previous signal handler."""
        signal.signal(signal.SIGTERM, self._previous)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
