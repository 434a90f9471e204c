"""backbone: the audio-language model that fine-tuning starts from (paper, section on the backbone).

`scratch` builds a tiny MusicFlamingo with random weights and a tokenizer trained on the words of MF-Skills' training
split and of speech. `pretrained` takes over a published member of the family (model/members.py): weights by link, in
their own dtype, under their own chat template; Audio Flamingo 3 is given what Music Flamingo adds to it. Either then
learns from speech in phases, as AF3's schedule has them; without phases the weights stay as they are. Leaves model/,
log.jsonl (a line a step, and the error rates on held-out utterances before the first phase and after each) and
plan.json.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.core.licences import Licence
from music_flamingo.core.ports import Folder, OutputFolder, Table
from music_flamingo.core.ranges import Count, Seed
from music_flamingo.core.stage import NOT_IDENTITY, Metrics, Stage, StageConfig, StageTitle
from music_flamingo.model.members import MemberName
from music_flamingo.model.size import TinySize
from music_flamingo.prompts.loader import render_question
from music_flamingo.records import Example, Utterance
from music_flamingo.training.backbone.settings import TASKS, SpeechTraining
from music_flamingo.training.settings import Hardware, Tracking


class FromScratch(BaseModel):
    """A tiny model with random weights."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    kind: Literal["scratch"]
    seed: Seed
    sample_rate_hz: Count
    size: TinySize


class Pretrained(BaseModel):
    """A model folder on disk."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    kind: Literal["pretrained"]
    path: str
    """A folder as transformers saves it: config.json, *.safetensors, the processor's files."""
    member: MemberName | None
    """Which published model it is: a folder that differs from it is refused. null for a model of your own."""

    @property
    def uses(self) -> tuple[Licence, ...]:
        """Name the weights that training began with."""
        return (Licence(tool=f"weights from {Path(self.path).name}", licence="as their card states"),)


class BackboneConfig(StageConfig):
    """Parameters of `backbone`."""

    model: Annotated[FromScratch | Pretrained, Field(discriminator="kind")]
    seed: Seed
    """Of the lessons' order and of adapters; the weights of `scratch` have their own."""
    threads: Count
    """Threads of torch. Part of the result's identity: another number adds in another order."""
    speech: SpeechTraining
    hardware: Hardware
    """Of the phases; the model itself is made by the first rank alone."""
    tracking: Tracking = Field(json_schema_extra=NOT_IDENTITY)


def corpus(skills: Table[Example], utterances: Sequence[Utterance]) -> Iterator[str]:
    """The words that the tokenizer learns from: questions as the model reads them, answers, rationales, transcripts."""
    from music_flamingo.training.backbone.tasks import speech_words

    for example in skills.ok():
        if example.split != "train":
            continue
        for think in (False, True):
            yield f"user\n{render_question(example.question, example.options, think)}\nassistant\n"
        # an answer stands at the start of a line, and after a space within other words
        yield example.answer
        yield f" {example.answer}"
        yield example.rationale
    yield from speech_words((u for u in utterances if u.split == "train"), TASKS)


def build(config: FromScratch, skills: Table[Example], utterances: Sequence[Utterance], folder: Path) -> Metrics:
    """Build a tiny model with a tokenizer trained on the data set's texts."""
    from music_flamingo.model.files import save_model
    from music_flamingo.model.tiny import build_model, build_processor, build_tokenizer

    tokenizer = build_tokenizer(corpus(skills, utterances), config.size.vocabulary)
    processor = build_processor(tokenizer, config.size, config.sample_rate_hz)
    model = build_model(processor, config.size, config.seed)
    save_model(model, processor, folder)
    return {"parameters": sum(p.numel() for p in model.parameters()), "vocabulary": len(tokenizer)}


def adopt(config: Pretrained, folder: Path) -> Metrics:
    """Take over published weights by link, with their own template; Audio Flamingo 3 is given what it lacks."""
    from music_flamingo.model.adoption import adopt_model

    adopted = adopt_model(Path(config.path), config.member, folder)
    return {
        "member": adopted.member,
        "parameters": adopted.parameters,
        "vocabulary": adopted.vocabulary,
        "added": list(adopted.added),
        "ignored_weights": adopted.ignored,
    }


def run(
    config: BackboneConfig, skills: Table[Example], speech: Table[Utterance], backbone_model: OutputFolder
) -> Metrics:
    """Build or load the model, and train it on speech where phases are configured."""
    from music_flamingo.core.ranks import is_first

    utterances = list(speech.ok())
    if config.speech.phases:
        return _learn(config, skills, utterances, backbone_model)
    return _begin(config, skills, utterances, backbone_model, backbone_model.root) if is_first() else {}


def _begin(
    config: BackboneConfig, skills: Table[Example], utterances: Sequence[Utterance], out: OutputFolder, folder: Path
) -> Metrics:
    if isinstance(config.model, FromScratch):
        return build(config.model, skills, utterances, folder)
    return adopt(config.model, folder)


def _learn(
    config: BackboneConfig, skills: Table[Example], utterances: Sequence[Utterance], out: OutputFolder
) -> Metrics:
    import shutil

    from music_flamingo.core.ranks import is_first
    from music_flamingo.model.files import ADAPTERS, MODEL_FOLDER
    from music_flamingo.training.backbone.run import train_on_speech
    from music_flamingo.training.log import write_log, write_plan
    from music_flamingo.training.scale.distributed import from_first, join, leave

    join(config.hardware)
    start = out.work / "start"
    metrics = from_first(lambda: _begin(config, skills, utterances, out, start))
    last, lines, plan = train_on_speech(
        config.speech,
        utterances,
        start,
        out.work,
        seed=config.seed,
        threads=config.threads,
        hardware=config.hardware,
        tracking=config.tracking,
    )
    leave()
    if is_first():
        for part in (MODEL_FOLDER, ADAPTERS):
            if (last / part).is_dir():
                shutil.copytree(last / part, out.root / part, dirs_exist_ok=True, copy_function=_link)
        write_log(out.root, lines)
        write_plan(out.root, plan)
    return {**metrics, "steps": lines[-1]["step"], "exams": plan["exams"]}


def _link(source: str, target: str) -> None:
    """Weights are not written twice."""
    from music_flamingo.model.weights import link_file

    link_file(Path(source).resolve(), Path(target))


STAGE = Stage(
    name="backbone",
    title=StageTitle("Training", "Backbone", "The model that training starts from; it learns to hear words first."),
    config=BackboneConfig,
    inputs={"skills": Example, "speech": Utterance},
    outputs={"backbone_model": Folder},
    run=run,
    many_ranks=True,
)
