"""release: the gate, the model card and the checksums. What passes is what `serve` and `ask` load.

- released: GRPO beats both of its controls (evaluation/gate.py). Weights, processor, card, scores, checksums.
- refused: it does not. The card and the reasons are kept, the weights are not; nothing can serve it.
- examined_by_facts: the source knew no truth (a folder of songs), and the model agrees with what tools measured on
  held-out recordings better than its controls do; where it does not, it is refused. Weights, and a card that says so in
  its first line.
- unevaluated: neither truth nor facts of enough held-out works. Weights, and a card that says so likewise.

A refused release completes like any other: the report shows why.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from music_flamingo.core.errors import MissingInputError
from music_flamingo.core.licences import Licence, united
from music_flamingo.core.ports import Folder, InputFolder, OutputFolder, Table
from music_flamingo.core.ranges import Count
from music_flamingo.core.record import RecordPart
from music_flamingo.core.shards import write_atomic
from music_flamingo.core.stage import Metrics, Stage, StageConfig, StageTitle
from music_flamingo.evaluation.card import model_card
from music_flamingo.evaluation.gate import ReleaseGate, margins, reasons_against, reasons_by_facts, too_few_to_examine
from music_flamingo.evaluation.summary import Evaluation, read_evaluation
from music_flamingo.model.answering import write_rules
from music_flamingo.model.context import Hearing
from music_flamingo.prompts import load as load_prompt
from music_flamingo.records import Score
from music_flamingo.scoring.families import FAMILIES, FamilyNames
from music_flamingo.serving.bundle import (
    CARD_FILE,
    EVALUATION_FILE,
    MODEL_FOLDER,
    RELEASE_FILE,
    ReleaseInfo,
    TrainedQuestion,
    require_harmless,
    seal,
)

QUESTION_PROMPT = "question"
PLAN_FILE = "plan.json"
"""What a training stage taught, and which families it left out."""
Status = Literal["released", "examined_by_facts", "unevaluated", "refused"]

log = logging.getLogger(__name__)


class ReleaseConfig(StageConfig):
    """Parameters of `release`."""

    name: str
    """The model's name in requests and on its card."""
    gate: ReleaseGate
    families: FamilyNames
    """What fine-tuning, warm-up and GRPO taught; those that the training split could not teach are left out."""
    requests: dict[str, str]
    """The words in which training asked for families outside scoring/families (captions)."""
    teacher: str
    """Kind of the teacher that wrote the training texts."""
    max_new_tokens: Count
    """Room for a chain and its answer when a request names no limit."""


class ReleasedScores(RecordPart):
    """Every figure of the card, for programs."""

    evaluation: Evaluation
    scores: list[Score]


def run(config: ReleaseConfig, scores: Table[Score], grpo_model: InputFolder, release: OutputFolder) -> Metrics:
    """Apply the gate, write the model card, and seal the release."""
    rows, evaluation = list(scores.ok()), read_evaluation(scores.root)
    status, reasons = judged(rows, evaluation, config.gate)
    info = _info(config, status, reasons, scores, grpo_model)
    if status != "refused":
        _copy_model(grpo_model.root, release.root)
        _write_rules(release.root, info)
    _write(release.root / RELEASE_FILE, info)
    _write(release.root / EVALUATION_FILE, ReleasedScores(evaluation=evaluation, scores=rows))
    write_atomic(
        release.root / CARD_FILE,
        _card(config, info, rows, evaluation, united(*(p.manifest.licences for p in (scores, grpo_model)))),
    )
    seal(release.root)
    _tell(status, reasons)
    clear = margins(rows, evaluation.chance) if rows else {}
    return {"status": status, "released": status == "released", "reasons": reasons, "margins": clear}


def judged(rows: Sequence[Score], evaluation: Evaluation, gate: ReleaseGate) -> tuple[Status, list[str]]:
    """The status of a release, and the reasons against it."""
    by_facts = evaluation.graded_by == "facts"
    if not rows or (by_facts and too_few_to_examine(rows, gate)):
        return "unevaluated", []
    reasons = reasons_by_facts(evaluation) if by_facts else reasons_against(rows, evaluation, gate)
    if reasons:
        return "refused", reasons
    return ("examined_by_facts" if by_facts else "released"), []


def _info(
    config: ReleaseConfig, status: Status, reasons: list[str], scores: Table[Score], grpo_model: InputFolder
) -> ReleaseInfo:
    return ReleaseInfo(
        status=status,
        reasons=reasons,
        name=config.name,
        think=True,
        prompt_id=QUESTION_PROMPT,
        prompt_sha256=load_prompt(QUESTION_PROMPT).sha256,
        max_new_tokens=config.max_new_tokens,
        max_audio_s=_max_audio_s(grpo_model.root / MODEL_FOLDER, config.max_new_tokens),
        questions=_trained_questions(config, grpo_model.root / PLAN_FILE),
        teacher=config.teacher,
        parents={"scores": scores.digest, "grpo_model": grpo_model.digest},
    )


def _trained_questions(config: ReleaseConfig, plan: Path) -> list[TrainedQuestion]:
    """The families of the configuration that training did not have to leave out."""
    left_out = json.loads(plan.read_text()).get("left_out", {}) if plan.is_file() else {}
    words = {**{name: family.question for name, family in FAMILIES.items()}, **config.requests}
    return [TrainedQuestion(family=f, question=words.get(f)) for f in config.families if f not in left_out]


def _max_audio_s(model: Path, max_new_tokens: int) -> float:
    path = model / "processor_config.json"
    if not path.is_file():
        raise MissingInputError(f"{path} is missing: the model was saved without its processor. Rerun its stage.")
    return Hearing.read(model).for_answers(max_new_tokens).max_audio_s


def _copy_model(trained: Path, release: Path) -> None:
    """Weights and processor, as the same files where the file system links them; or in one piece where adapters lie
    apart, with the files that no adapter has changed linked.

    Raises CorruptDataError for a pickle, for code, for anything unexpected.
    """
    from music_flamingo.model.files import adapters_of, load_model, save_model
    from music_flamingo.model.weights import copy_file, link_or_copy

    source, target = trained / MODEL_FOLDER, release / MODEL_FOLDER
    if adapters_of(trained):
        save_model(*load_model(trained), release, like=trained)
        return
    for path in sorted(p for p in source.rglob("*") if not p.is_dir()):
        placed = target / path.relative_to(source)
        placed.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":  # a link by name, to another disk, is followed: a release stands alone
            link_or_copy(path, placed)
        else:
            require_harmless(path)
            copy_file(path, placed)
        require_harmless(placed)


def _write_rules(release: Path, info: ReleaseInfo) -> None:
    """How answers are asked for and generated, for any server that reads the model's files."""
    from music_flamingo.model.files import load_processor
    from music_flamingo.model.listener import WINDOW_RULE

    _, processor = load_processor(release)
    write_rules(
        release / MODEL_FOLDER,
        think=info.think,
        max_new_tokens=info.max_new_tokens,
        never=processor.audio_token_ids,
        window_rule=WINDOW_RULE,
        max_audio_s=info.max_audio_s,
    )


def _card(
    config: ReleaseConfig,
    info: ReleaseInfo,
    rows: list[Score],
    evaluation: Evaluation,
    licences: Sequence[Licence],
) -> str:
    return model_card(
        name=config.name,
        status=info.status,
        reasons=info.reasons,
        scores=rows,
        evaluation=evaluation,
        questions={q.family: q.question or "in several wordings" for q in info.questions},
        teacher=config.teacher,
        licences=licences,
        max_audio_s=info.max_audio_s,
    )


def _write(path: Path, part: RecordPart) -> None:
    write_atomic(path, part.model_dump_json(indent=1) + "\n")


def _tell(status: Status, reasons: list[str]) -> None:
    if status == "refused":
        log.warning("release: REFUSED, no weights are released: %s", "; ".join(reasons))
    else:
        log.info("release: %s", status)


STAGE = Stage(
    name="release",
    title=StageTitle("Judgement", "Release", "The gate, the model card and the checksums."),
    config=ReleaseConfig,
    inputs={"scores": Score, "grpo_model": Folder},
    outputs={"release": Folder},
    run=run,
)
