"""The training part of `mf plan`: steps, tokens, operations, memory, hours and cost of each stage that trains."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from music_flamingo.core.manifest import finished_key, read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.core.record import OK
from music_flamingo.model.lora import FullTuning, LoraSettings
from music_flamingo.model.members import MEMBERS
from music_flamingo.model.size import TinySize
from music_flamingo.planning.assumptions import Assumptions, Gpu, Samples, read_assumptions
from music_flamingo.planning.memory import GIB, PARALLEL, Memory, Parallel, Precision, RolloutGroup, memory
from music_flamingo.planning.shape import PUBLISHED, Shape
from music_flamingo.planning.work import StageSample, Tuning, reinforced, supervised, trained_parameters
from music_flamingo.records import Chain, Example, Track

FULL = FullTuning(kind="full", trains="all")
TERA = 1e12
RULES = (
    "Operations without what checkpointing computes twice; memory without the libraries' own (1 to 3 GiB) and what "
    "fragmentation wastes. ! marks what does not fit. Formulas: docs/reference/planning.md."
)


@dataclass(frozen=True)
class TrainingRun:
    """One run of training, as its configuration has it."""

    name: str
    steps: int
    batch_size: int
    """Lessons of a step, of all GPUs."""
    accumulation: int
    turns: int
    """Questions a lesson."""
    max_audio_s: float
    max_tokens: int | None
    """Of a row that is filled with lessons; None where a row is one lesson."""
    tuning: Tuning
    precision: Precision
    checkpointing: bool
    parallel: Parallel
    generations: int = 0
    """G, and 0 for supervised training."""
    with_reference: bool = False


@dataclass(frozen=True)
class Cost:
    """What a run comes to."""

    lessons: int
    epochs: float
    sample: StageSample
    longest: StageSample
    tokens: float
    operations: float
    """Of the whole run."""
    gpu_hours: float
    micro_batch: int


def plan_training(params: Mapping[str, Any], assumed: Mapping[str, Any], data: Path) -> list[str]:
    """Lines to print. Numbers of samples and lengths come from the ports in `data` where they are there."""
    assumptions = read_assumptions(assumed)
    gpu = assumptions.gpu
    shape, origin = shape_of(params["backbone"]["model"])
    lines = [*_model_lines(shape, origin), ""]
    gpu_hours, hours = 0.0, 0.0
    for run in runs(params):
        stage = run.name.partition("/")[0]
        gpus = assumptions.gpus[stage]
        samples, source = samples_of(stage, params[stage].get("families", ()), assumptions, data)
        cost = cost_of(run, shape, samples, gpus, gpu)
        lines += [*_run_lines(run, cost, shape, samples, source, gpus, gpu), ""]
        gpu_hours, hours = gpu_hours + cost.gpu_hours, hours + cost.gpu_hours / gpus
    return [*lines, f"in all: {_time_and_cost(gpu_hours, hours, gpu)}", RULES]


def shape_of(model: Mapping[str, Any]) -> tuple[Shape, str]:
    """The model's dimensions, and where they were found."""
    if model["kind"] == "scratch":
        return Shape.of_tiny(TinySize.model_validate(model["size"]), model["sample_rate_hz"]), "built from params.yaml"
    if (Path(model["path"]) / "config.json").is_file():
        from transformers import AutoProcessor, MusicFlamingoConfig

        processor = AutoProcessor.from_pretrained(model["path"], local_files_only=True)
        config = MusicFlamingoConfig.from_pretrained(model["path"], local_files_only=True)
        return Shape.of_config(config, float(processor.feature_extractor.chunk_length)), model["path"]
    shape = replace(PUBLISHED, context_tokens=MEMBERS[model["member"]].text_positions) if model["member"] else PUBLISHED
    return shape, f"the published dimensions: {model['path']} is not here"


def runs(params: Mapping[str, Any]) -> Iterator[TrainingRun]:
    """In order: phases of the backbone, sft, warmup, grpo."""
    backbone = params["backbone"]
    for phase in (backbone.get("speech") or {}).get("phases", []):
        window_s = params["backbone"]["model"].get("size", {}).get("window_s", PUBLISHED.window_s)
        yield _supervised(f"backbone/{phase['name']}", {"hardware": backbone.get("hardware"), **phase}, 1, window_s)
    for name in ("sft", "warmup"):
        yield _supervised(name, params[name], params[name]["max_turns"], params[name]["windows"]["max_s"])
    section = params["grpo"]
    tuning = _tuning(section)
    yield TrainingRun(
        name="grpo",
        batch_size=section["prompts_per_step"] * section["num_generations"],
        turns=1,
        max_audio_s=section["windows"]["max_s"],
        max_tokens=None,
        generations=section["num_generations"],
        with_reference=section["beta"] > 0,
        tuning=tuning,
        **_shared(section),
    )


def _supervised(name: str, section: Mapping[str, Any], turns: int, max_audio_s: float) -> TrainingRun:
    return TrainingRun(
        name=name,
        batch_size=section["batch_size"],
        turns=turns,
        max_audio_s=max_audio_s,
        max_tokens=(section.get("fill") or {}).get("max_tokens"),
        tuning=_tuning(section),
        **_shared(section),
    )


def _tuning(section: Mapping[str, Any]) -> Tuning:
    given = section.get("tuning")
    return FULL if given is None else TypeAdapter(FullTuning | LoraSettings).validate_python(given)


def _shared(section: Mapping[str, Any]) -> dict[str, Any]:
    hardware = section.get("hardware") or {}
    parallel = hardware.get("parallel", {"kind": "single"})
    kinds: dict[str, Parallel] = {"single": "single", "fsdp2": "fsdp2"}
    return {
        "steps": section["steps"],
        "accumulation": section["optimiser"]["accumulation"],
        "precision": hardware.get("precision", "fp32"),
        "checkpointing": hardware.get("gradient_checkpointing", False),
        "parallel": kinds.get(parallel["kind"]) or f"zero{parallel['stage']}",
    }


def samples_of(stage: str, families: Collection[str], assumptions: Assumptions, data: Path) -> tuple[Samples, str]:
    """How many samples an epoch has and how long they are, and where that is known from."""
    assumed = assumptions.samples[stage]
    port, record = ("think", Chain) if stage == "warmup" else ("skills", Example)
    if stage == "backbone" or None in (finished_key(data / "tracks"), finished_key(data / port)):
        return assumed, "assumed (plan.samples)"
    tracks = _training(Table(data / "tracks", Track, read_manifest(data / "tracks")), "duration_s")
    asked = _training(Table(data / port, record, read_manifest(data / port)), "family")
    questions = [family for family in asked if family in families]
    if not tracks or not questions:
        return assumed, "assumed (plan.samples)"
    found = {
        "count": len(questions),
        "per_recording": len(questions) / len(tracks),
        "audio_s": sum(tracks) / len(tracks),
    }
    return assumed.model_copy(update=found), f"counted in {data / port}, text assumed"


def _training(table: Table[Any], column: str) -> list[Any]:
    rows = table.columns("status", "split", column).to_pylist()
    return [row[column] for row in rows if row["status"] == OK and row["split"] == "train"]


def cost_of(run: TrainingRun, shape: Shape, samples: Samples, gpus: int, gpu: Gpu) -> Cost:
    """A sample is one window of sound and `turns` questions about it."""
    audio_s = min(samples.audio_s, run.max_audio_s)
    turns = 1.0 if run.generations else max(1.0, min(run.turns, samples.per_recording))
    text = StageSample(audio_s, round(samples.read_tokens * turns), round(samples.taught_tokens * turns))
    longest = _longest(run, shape, text)
    rows = run.batch_size if run.max_tokens is None else run.batch_size * max(1, run.max_tokens // text.length(shape))
    micro_batch = -(-run.batch_size // (gpus * run.accumulation))
    lessons: float
    asked: float
    slow: float
    fast: float
    if run.generations:
        questions = run.steps * run.batch_size // run.generations
        readings = run.generations / _together(run, micro_batch)
        work = reinforced(shape, text, run.tuning, run.generations, run.with_reference, readings)
        slow, fast = questions * work.drawing, questions * (work.reading + work.training)
        lessons, asked = questions * run.generations, questions
    else:
        lessons = run.steps * rows
        slow, fast, asked = 0.0, lessons * supervised(shape, text, run.tuning), lessons * turns
    seconds = (fast / gpu.used + slow / gpu.used_drawing) / (gpu.peak_tflops * TERA)
    return Cost(
        lessons=lessons,
        epochs=asked / samples.count,
        sample=text,
        longest=longest,
        tokens=float(lessons) * text.length(shape),
        operations=fast + slow,
        gpu_hours=seconds / 3600,
        micro_batch=micro_batch,
    )


def _longest(run: TrainingRun, shape: Shape, sample: StageSample) -> StageSample:
    """The most that a row may hold: sound up to the window's limit, or up to the context."""
    text = sample.read_tokens + sample.taught_tokens
    most = min(run.max_tokens or shape.context_tokens, shape.context_tokens)
    audio_s = (most - text) * shape.window_s / shape.window_tokens
    if run.max_tokens is None:
        audio_s = min(audio_s, run.max_audio_s)
    return StageSample(max(audio_s, 0.0), sample.read_tokens, sample.taught_tokens)


def memory_of(run: TrainingRun, cost: Cost, shape: Shape, parallel: Parallel, gpus: int, checkpointing: bool) -> Memory:
    """Estimate the memory of one training run on one GPU, from its longest sample and its sharding."""
    full = isinstance(run.tuning, FullTuning)
    return memory(
        shape,
        run.tuning,
        cost.longest,
        micro_batch=cost.micro_batch,
        parallel=parallel,
        gpus=gpus,
        precision=run.precision,
        checkpointing=checkpointing,
        with_reference=run.with_reference and full,
        group=_group(run, cost.micro_batch) if run.generations else None,
    )


def _together(run: TrainingRun, micro_batch: int) -> int:
    """Answers to one question that stand in one part of a step; groups follow each other."""
    return min(run.generations, micro_batch)


def _group(run: TrainingRun, micro_batch: int) -> RolloutGroup:
    answers = micro_batch * run.accumulation
    return RolloutGroup(answers, -(-answers // run.generations), _together(run, micro_batch))


def _model_lines(shape: Shape, origin: str) -> list[str]:
    counts = shape.parameters()
    parts = ", ".join(f"{part} {_big(count)}" for part, count in counts.items())
    return [f"model: {_big(sum(counts.values()))} parameters ({parts}); {origin}"]


def _run_lines(
    run: TrainingRun, cost: Cost, shape: Shape, samples: Samples, source: str, gpus: int, gpu: Gpu
) -> Iterator[str]:
    sample = cost.sample
    what = (
        f"{run.batch_size // run.generations} questions x {run.generations} answers"
        if run.generations
        else (f"{run.batch_size} rows of {run.max_tokens:,} tokens" if run.max_tokens else f"{run.batch_size} lessons")
    )
    trained = trained_parameters(shape, run.tuning)
    yield f"{run.name}: {run.steps:,} steps of {what}, {cost.epochs:.2f} epochs of {samples.count:,} samples ({source})"
    yield (
        f"  trains {_big(trained)} weights ({run.tuning.kind}); {run.precision}, {run.parallel} on {gpus} x "
        f"{gpu.name}{', checkpointed' if run.checkpointing else ''}"
    )
    yield (
        f"  a lesson: {sample.audio_s:.0f} s, {sample.audio_tokens(shape):,} audio tokens + {sample.read_tokens:,} "
        f"read + {sample.taught_tokens:,} said; in all {_big(cost.lessons)} lessons, {_big(cost.tokens)} tokens"
    )
    if run.batch_size % (gpus * run.accumulation):
        yield f"  NOTE: {run.batch_size} cannot be shared evenly by {gpus} GPUs in {run.accumulation} parts"
    yield f"  operations: {cost.operations:.2e}; {_time_and_cost(cost.gpu_hours, cost.gpu_hours / gpus, gpu)}"
    held = memory_of(run, cost, shape, run.parallel, gpus, run.checkpointing)
    named = ", ".join(f"{name.replace('_', ' ')} {_gib(value)}" for name, value in vars(held).items() if value)
    yield (
        f"  memory a GPU (GiB; {cost.micro_batch} x {cost.longest.length(shape):,} tokens at once): {named}; "
        f"{_gib(held.total)} of {gpu.memory_gib:g}"
    )
    counts = sorted({1, 8, gpus})
    yield "  " + " ".join(["GiB by way and number of GPUs".ljust(32), *(f"{n:>9,}" for n in counts)])
    for way in PARALLEL:
        for checkpointing in (False, True):
            cells = [memory_of(run, cost, shape, way, n, checkpointing).total for n in counts]
            label = f"{way}{', checkpointed' if checkpointing else ''}"
            yield "  " + " ".join([label.ljust(32), *(_cell(c, gpu.memory_gib) for c in cells)])


def _time_and_cost(gpu_hours: float, hours: float, gpu: Gpu) -> str:
    wall = f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"
    return (
        f"{gpu_hours:,.1f} GPU-hours at {gpu.used:.0%} of {gpu.peak_tflops:g} Tflop/s "
        f"(drawing {gpu.used_drawing:.1%}), {wall}, {gpu_hours * gpu.price_per_hour:,.0f} {gpu.currency}"
    )


def _cell(value: float, memory_gib: float) -> str:
    return f"{_gib(value)}{'!' if value > memory_gib * GIB else ''}".rjust(9)


def _gib(value: float) -> str:
    return f"{value / GIB:,.1f}" if value >= GIB / 10 else f"{value / GIB:.2g}"


def _big(value: float) -> str:
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:g}"
