"""The backbone's training on speech, phase by phase (paper, section on the backbone; AF3's stages 1, 2, 3, 3.5 and 4).

Each phase starts from the weights that the one before left on disk, so that a run that was interrupted between two
phases, or within one, ends with the same bits as one that was not. With several ranks all of them train; the first one
alone holds the exams, with whole weights, while the others wait.
"""

import gc
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from music_flamingo.core.ranks import is_first
from music_flamingo.core.shards import write_atomic
from music_flamingo.model.context import Hearing
from music_flamingo.model.files import load_model, load_processor, save_trained
from music_flamingo.model.lora import merge_lora
from music_flamingo.records import Utterance
from music_flamingo.training.backbone.evaluation import TranscriptErrorRate, examine, logged
from music_flamingo.training.backbone.schedule import SpeechPlan, plan_phase
from music_flamingo.training.backbone.settings import TASKS, Phase, SpeechTask, SpeechTraining
from music_flamingo.training.backend import supervised_backend
from music_flamingo.training.data.audio import SoundBank
from music_flamingo.training.data.collator import Branches, LessonCollator
from music_flamingo.training.log import Line, log_lines
from music_flamingo.training.scale.distributed import device_of, from_first, starting_model
from music_flamingo.training.settings import Hardware, Tracking

log = logging.getLogger(__name__)

DONE = "phase.json"
"""Written last into a phase's folder: its log and its exam."""
EVEN = 1.0
"""No token of a transcript weighs more than another: sound decides them all."""


def train_on_speech(
    training: SpeechTraining,
    utterances: Sequence[Utterance],
    start: Path,
    work: Path,
    *,
    seed: int,
    threads: int,
    hardware: Hardware,
    tracking: Tracking,
) -> tuple[Path, list[Line], dict[str, Any]]:
    """Train the model of `start` through all phases in `work`. With several ranks all call it, after `join`.

    Gives the folder of the last model, the lines of the log (step 0 is the exam before the first phase) and the plan.
    """
    torch.set_num_threads(threads)
    tasks = tuple(t for t in TASKS if any(phase.tasks.get(t, 0.0) > 0 for phase in training.phases))
    first = _first_exam(training, utterances, tasks, start, work / "before", hardware)
    lines: list[Line] = [{"step": 0, "phase": "before", **logged(first)}]
    plan: dict[str, Any] = {"exams": {"before": _plain(first)}, "phases": {}}
    folder = start
    for number, phase in enumerate(training.phases):
        name = f"{number + 1}-{phase.name}"
        done = _phase(training, phase, utterances, tasks, folder, work / name, seed + number, hardware, tracking)
        folder = work / name
        at = lines[-1]["step"]
        lines += [{**line, "step": at + line["step"], "phase": phase.name} for line in done["lines"]]
        rates = {task: TranscriptErrorRate(**rate) for task, rate in done["exam"].items()}
        lines[-1] = {**lines[-1], **logged(rates)}
        plan["exams"][name], plan["phases"][name] = done["exam"], done["plan"]
        log.info("backbone: after %s %s", phase.name, _in_words(rates))
    return folder, lines, plan


def _first_exam(
    training: SpeechTraining,
    utterances: Sequence[Utterance],
    tasks: Sequence[SpeechTask],
    start: Path,
    folder: Path,
    hardware: Hardware,
) -> dict[str, TranscriptErrorRate]:
    def left() -> dict[str, Any]:
        if not (folder / DONE).is_file():
            model, processor = load_model(start)
            rates = _examine(model, processor, utterances, tasks, training, hardware)
            write_atomic(folder / DONE, json.dumps({"exam": _plain(rates)}))
        return _read(folder)

    return {task: TranscriptErrorRate(**rate) for task, rate in from_first(left)["exam"].items()}


def _examine(
    model,
    processor,
    utterances: Sequence[Utterance],
    tasks: Sequence[SpeechTask],
    training: SpeechTraining,
    hardware: Hardware,
) -> dict[str, TranscriptErrorRate]:
    gc.collect()  # what the trainer before it held on the GPU
    return examine(model.to(device_of(hardware)), processor, utterances, tasks, training.exam)


def _read(folder: Path) -> dict[str, Any]:
    left = json.loads((folder / DONE).read_text())
    assert isinstance(left, dict)
    return left


def _phase(
    training: SpeechTraining,
    phase: Phase,
    utterances: Sequence[Utterance],
    tasks: Sequence[SpeechTask],
    start: Path,
    folder: Path,
    seed: int,
    hardware: Hardware,
    tracking: Tracking,
) -> dict[str, Any]:
    """What the phase left; trained now unless a run before this one did."""
    if not from_first(lambda: (folder / DONE).is_file()):
        model_config, processor = load_processor(start)
        plan = plan_phase(phase, _taught(utterances), Hearing.of(processor, model_config), seed)
        model, history = supervised_backend()(
            lambda: starting_model(start, phase.tuning, hardware),
            processor,
            plan.lessons,
            _collator(processor, plan, utterances, training),
            phase.optimiser,
            batch_size=phase.batch_size,
            checkpoint_every=training.checkpoint_every,
            seed=seed,
            work=folder / "checkpoints",
            label=f"backbone {phase.name}",
            tuning=phase.tuning,
            hardware=hardware,
            tracking=tracking,
        )
        if is_first():
            save_trained(model, processor, folder, start)
            model = merge_lora(model).requires_grad_(True).eval()
            rates = _examine(model, processor, utterances, tasks, training, hardware)
            left = {"lines": log_lines(history), "exam": _plain(rates), "plan": plan.described()}
            write_atomic(folder / DONE, json.dumps(left))
    return from_first(lambda: _read(folder))


def _taught(utterances: Sequence[Utterance]) -> list[Utterance]:
    return [u for u in utterances if u.split == "train"]


def _collator(processor, plan: SpeechPlan, utterances: Sequence[Utterance], training: SpeechTraining) -> LessonCollator:
    heard = {lesson.window.track_id for lesson in plan.lessons}
    bank = SoundBank(processor, [u for u in utterances if u.id in heard])
    items = {item.id: item for lesson in plan.lessons for item in lesson.items}
    branches = Branches(processor, items.values(), EVEN)
    return LessonCollator(processor, plan.lessons, bank, branches, turns=training.turns)


def _plain(rates: dict[str, TranscriptErrorRate]) -> dict[str, dict[str, float]]:
    return {task: asdict(rate) for task, rate in rates.items()}


def _in_words(rates: dict[str, TranscriptErrorRate]) -> str:
    return ", ".join(f"{t} {r.heard:.3f} (other audio {r.other_audio:.3f})" for t, r in rates.items())
