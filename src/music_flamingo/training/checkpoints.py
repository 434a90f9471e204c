"""Checkpoints that are whole or passed over, and a stop on SIGTERM that leaves one behind.

transformers writes a checkpoint file by file. `complete.json`, written last and atomically with every file's
SHA-256, marks it whole; a checkpoint without it, or with a file that differs, is deleted when training goes on.
"""

import json
import logging
import shutil
import signal
from pathlib import Path
from types import FrameType
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.shards import write_atomic

log = logging.getLogger(__name__)

COMPLETE = "complete.json"
PATTERN = "checkpoint-*"
KEPT = 2
"""Checkpoints on disk; the one before the last remains should the last be damaged."""


def mark_complete(checkpoint: Path) -> None:
    """Write the last file of a checkpoint."""
    files = {str(p.relative_to(checkpoint)): sha256_file(p) for p in sorted(checkpoint.rglob("*")) if p.is_file()}
    write_atomic(checkpoint / COMPLETE, json.dumps(files, indent=1) + "\n")


def is_whole(checkpoint: Path) -> bool:
    try:
        files = json.loads((checkpoint / COMPLETE).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    paths = {checkpoint / name: digest for name, digest in files.items()}
    return all(path.is_file() and sha256_file(path) == digest for path, digest in paths.items())


def checkpoints(folder: Path) -> list[Path]:
    """In order of steps."""
    return sorted(folder.glob(PATTERN), key=lambda path: int(path.name.rpartition("-")[2]))


def last_good(folder: Path) -> Path | None:
    """The latest whole checkpoint; damaged ones are deleted."""
    good = None
    for checkpoint in checkpoints(folder):
        if is_whole(checkpoint):
            good = checkpoint
        else:
            log.warning("%s was cut in writing: passed over", checkpoint.name)
            shutil.rmtree(checkpoint)
    return good


class WholeCheckpoints(Trainer):
    """To stand before TRL's trainer among the bases: checkpoints that are marked complete and really loaded."""

    def _save_checkpoint(self, model, trial) -> None:
        # TRL's own method would write a model card first; a checkpoint needs none
        Trainer._save_checkpoint(self, model, trial)
        folder = Path(self.args.output_dir)
        mark_complete(folder / f"checkpoint-{self.state.global_step}")
        for old in checkpoints(folder)[:-KEPT]:
            shutil.rmtree(old)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        # transformers 5.23 saves MusicFlamingo's weights under the names of the published checkpoint, and its trainer
        # would match none of them on the way back: it warns, and trains on from random weights
        loaded = type(self.model).from_pretrained(resume_from_checkpoint, use_safetensors=True, dtype=self.model.dtype)
        self.model.load_state_dict(loaded.state_dict(), strict=True)


class StopOnSigterm(TrainerCallback):
    """Saves a checkpoint at the end of the step in which SIGTERM comes, then ends the process with status 143.

    `every`: steps that belong together, between which no run can go on (updates on one draw of answers).
    """

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self.asked = False
        self._previous = signal.getsignal(signal.SIGTERM)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._previous = signal.signal(signal.SIGTERM, self._ask)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.asked and state.global_step % self.every == 0:
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.asked:
            raise SystemExit(128 + signal.SIGTERM)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        signal.signal(signal.SIGTERM, self._previous)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
