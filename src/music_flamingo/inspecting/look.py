"""Rebuild the batch of one step by the stage's own schedule and collator, without weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from music_flamingo import stages
from music_flamingo.core.errors import UserError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import stage_json
from music_flamingo.core.stage import open_input, parse_config
from music_flamingo.inspecting.batch import Batch, Subject, take_apart
from music_flamingo.inspecting.checks import mistakes
from music_flamingo.model.chat import batch_of
from music_flamingo.model.context import Hearing
from music_flamingo.training.data.collator import lessons_in
from music_flamingo.training.grpo.run import Questions, plan_prompts
from music_flamingo.training.grpo.tasks import GrpoPrompt, prompt_tokens
from music_flamingo.training.settings import GrpoConfig, SupervisedConfig
from music_flamingo.training.supervised import Lessons

STAGES = ("sft", "warmup", "grpo")

FRAMES_PER_TOKEN = 4
"""Of the log-mel spectrogram: stride 2, then pooling by 2."""

DRAWN = "GRPO draws {count} answers to each question in training; nothing is trained on before they are rewarded."
NOT_HEARD = "Training keeps 1 in {of:g} questions, those the model is least sure of; these are the first candidates."


@dataclass(frozen=True)
class InspectedBatch:
    """A reconstructed batch and the mistakes found in it."""

    batch: Batch
    mistakes: tuple[str, ...]


def look(stage_name: str, params: Mapping[str, Any], data: Path, step: int) -> InspectedBatch:
    """The batch of `step` (from 1) on the ports in `data`.

    Raises MissingInputError before the stages above have run, UserError for another stage or a step that never comes.
    """
    if stage_name not in STAGES:
        raise UserError(f"`{stage_name}` cannot be inspected. Stages that can: {', '.join(STAGES)}.")
    stage = stages.load(stage_name)
    config = parse_config(stage, stage_json(params, stage_name))
    inputs = {port: open_input(kind, data / port, read_manifest(data / port)) for port, kind in stage.inputs.items()}
    prepared = import_module(f"music_flamingo.stages.{stage_name}").prepare(config, **inputs)
    return at_step(stage_name, config, prepared, step)


def at_step(stage_name: str, config: Any, prepared: Lessons | Questions, step: int) -> InspectedBatch:
    """Rebuild and check the batch of this step of a supervised or GRPO stage."""
    if isinstance(prepared, Lessons):
        return _of_lessons(stage_name, config, prepared, step)
    return _of_questions(stage_name, config, prepared, step)


def _of_lessons(stage_name: str, config: SupervisedConfig, prepared: Lessons, step: int) -> InspectedBatch:
    per_step = config.batch_size
    rows = _rows(step, per_step, len(prepared.lessons))
    lessons = lessons_in(prepared.lessons[row] for row in rows)
    bank = prepared.collator.bank
    subjects = [Subject(lesson.window, lesson.items, bank(lesson.window).num_tokens) for lesson in lessons]
    tensors = prepared.collator([{"lesson": row} for row in rows])
    processor, total = prepared.collator.processor, len(prepared.lessons) // per_step
    batch = _batch(stage_name, step, total, tensors, subjects, processor, prepared, [])
    return InspectedBatch(batch, tuple(mistakes(batch, prepared.hearing, is_taught=True)))


def _of_questions(stage_name: str, config: GrpoConfig, prepared: Questions, step: int) -> InspectedBatch:
    prompts: list[GrpoPrompt] = plan_prompts(config, prepared, None)
    rows = _rows(step, config.prompts_per_step, len(prompts))
    asked = [prompts[row] for row in rows]
    sounds = [prepared.bank(prompt.window) for prompt in asked]
    tokens = [prompt_tokens(prepared.processor, prompt, prepared.bank) for prompt in asked]
    tensors = dict(batch_of(prepared.processor, tokens, sounds, padding_side="left"))
    tensors["weights"] = torch.zeros(tensors["input_ids"].shape)
    subjects = [Subject(p.window, (p.item,), s.num_tokens) for p, s in zip(asked, sounds, strict=True)]
    notes = [DRAWN.format(count=config.num_generations)]
    if config.candidates > 1:
        notes.append(NOT_HEARD.format(of=config.candidates))
    batch = _batch(stage_name, step, config.steps, tensors, subjects, prepared.processor, prepared, notes)
    return InspectedBatch(batch, tuple(mistakes(batch, prepared.hearing, is_taught=False)))


def _rows(step: int, per_step: int, num_rows: int) -> list[int]:
    if not 1 <= step <= num_rows // per_step:
        raise UserError(f"--step {step}: the plan has steps 1 to {num_rows // per_step}.")
    return list(range((step - 1) * per_step, step * per_step))


def _batch(
    stage_name: str,
    step: int,
    num_steps: int,
    tensors: Mapping[str, Any],
    subjects: list[Subject],
    processor: Any,
    prepared: Lessons | Questions,
    notes: list[str],
) -> Batch:
    hearing: Hearing = prepared.hearing
    lengths = {name: prepared.recordings.length(name) for name in {s.window.track_id for s in subjects}}
    return Batch(
        stage=stage_name,
        step=step,
        num_steps=num_steps,
        is_packed="bounds" in tensors,
        num_windows=len(tensors["input_features"]),
        token_s=FRAMES_PER_TOKEN * hearing.hop_samples / hearing.sample_rate_hz,
        samples=take_apart(tensors, subjects, processor, hearing, lengths),
        notes=tuple(notes),
    )
