"""backbone: the audio-language model that fine-tuning starts from (paper, section on the backbone).

`scratch` builds a tiny MusicFlamingo with random weights and a tokenizer trained on the words of MF-Skills' training
split. `pretrained` takes a folder with published weights. Speech pretraining has its own issue.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.core.errors import UserError
from music_flamingo.core.ports import Folder, OutputFolder, Table
from music_flamingo.core.stage import Metrics, Stage, StageConfig
from music_flamingo.model.size import TinySize
from music_flamingo.prompts.loader import render_question
from music_flamingo.records import Example


class Scratch(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    kind: Literal["scratch"]
    seed: int
    sample_rate_hz: int
    size: TinySize


class Pretrained(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    kind: Literal["pretrained"]
    path: str
    """A folder as transformers saves it: config.json, *.safetensors, the processor's files."""


class BackboneConfig(StageConfig):
    model: Annotated[Scratch | Pretrained, Field(discriminator="kind")]


def corpus(skills: Table[Example]) -> Iterator[str]:
    """The words that the tokenizer learns from: questions as the model reads them, answers, rationales."""
    for example in skills.ok():
        if example.split != "train":
            continue
        for think in (False, True):
            yield f"user\n{render_question(example.question, example.options, think)}\nassistant\n"
        # an answer stands at the start of a line, and after a space within other words
        yield example.answer
        yield f" {example.answer}"
        yield example.rationale


def build(config: Scratch, skills: Table[Example], out: OutputFolder) -> Metrics:
    from music_flamingo.model.files import save_model
    from music_flamingo.model.tiny import build_model, build_processor, build_tokenizer

    tokenizer = build_tokenizer(corpus(skills), config.size.vocabulary)
    processor = build_processor(tokenizer, config.size, config.sample_rate_hz)
    model = build_model(processor, config.size, config.seed)
    save_model(model, processor, out.root)
    return {"parameters": sum(p.numel() for p in model.parameters()), "vocabulary": len(tokenizer)}


def adopt(config: Pretrained, out: OutputFolder) -> Metrics:
    """Take over published weights, with a chat template that marks the assistant's words."""
    from music_flamingo.model.chat import CHAT_TEMPLATE
    from music_flamingo.model.files import MODEL_FOLDER, load_model, save_model

    source = Path(config.path)
    if not (source / "config.json").is_file():
        raise UserError(f"backbone.model.path: {source} holds no config.json. Give a folder saved by transformers.")
    linked = out.work / MODEL_FOLDER
    linked.unlink(missing_ok=True)
    linked.symlink_to(source.resolve(), target_is_directory=True)
    model, processor = load_model(out.work)
    marks_answers = "{% generation %}" in (processor.chat_template or "")
    if not marks_answers:
        processor.chat_template = CHAT_TEMPLATE
    save_model(model, processor, out.root)
    linked.unlink()
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": len(processor.tokenizer),
        "chat_template": "own" if marks_answers else "replaced: it did not mark the assistant's words",
    }


def run(config: BackboneConfig, skills: Table[Example], backbone_model: OutputFolder) -> Metrics:
    if isinstance(config.model, Scratch):
        return build(config.model, skills, backbone_model)
    return adopt(config.model, backbone_model)


STAGE = Stage(
    name="backbone",
    config=BackboneConfig,
    inputs={"skills": Example},
    outputs={"backbone_model": Folder},
    run=run,
    code=("core/record.py", "records", "prompts", "model", "stages/backbone.py"),
)
