"""Annotation: a catalogue of songs becomes MF-Skills."""

from dataclasses import dataclass

from kfp import dsl
from kfp.dsl import PipelineTask
from kfp.dsl.pipeline_channel import PipelineChannel

from components.captions import captions, collect_captions
from components.configure import configure
from components.divide import divide
from components.facts import collect_facts, facts
from components.fused import captions_synthesize, collect_annotation
from components.ingest import ingest
from components.outcome import outcome
from components.synthesize import collect_synthesize, synthesize
from components.validate import check_shards, validate
from pipelines.parameters import BRANCHES, default_params, default_profile, is_fused
from pipelines.placement import place


@dataclass(frozen=True)
class Annotation:
    """What the annotation half gives, by port."""

    tracks: PipelineChannel
    truth: PipelineChannel
    facts: PipelineChannel
    captions: PipelineChannel
    candidates: PipelineChannel
    skills: PipelineChannel
    rejects: PipelineChannel
    data_docs: PipelineChannel


Ports = dict[str, PipelineChannel]


def annotate(configs: PipelineTask, branches: int) -> Annotation:
    """Wire ingest -> (facts -> captions -> synthesize -> rules) -> validate; ranges of shards run side by side.

    A branch hands its own part on: no branch waits for another between two stages.
    """
    found = place(ingest(config=configs.outputs["ingest"]))
    tracks, originals = found.outputs["tracks"], found.outputs["originals"]
    ranges = place(divide(port=found.outputs["truth"], branches=branches))
    fused = is_fused()
    with dsl.ParallelFor(ranges.output, name="branches") as shards:
        measured = place(
            facts(config=configs.outputs["facts"], tracks=tracks, originals=originals, shards=shards)
        ).outputs["facts"]
        parts = (_written_at_once if fused else _written)(configs, tracks, measured, shards)
        checked = place(
            check_shards(
                config=configs.outputs["validate"],
                candidates=parts["candidates"],
                facts=measured,
                tracks=tracks,
                shards=shards,
            )
        ).outputs["first_pass"]
    parts["facts"] = measured
    collected = (_collected_at_once if fused else _collected)(
        configs, tracks, originals, {port: dsl.Collected(part) for port, part in parts.items()}
    )
    kept = place(
        validate(
            config=configs.outputs["validate"],
            candidates=collected["candidates"],
            facts=collected["facts"],
            tracks=tracks,
            parts=dsl.Collected(checked),
        )
    )
    return Annotation(tracks=tracks, truth=found.outputs["truth"], **collected, **kept.outputs)


def _written(configs: PipelineTask, tracks: PipelineChannel, measured: PipelineChannel, shards: str) -> Ports:
    """The captions and candidates of a branch, each by a step of its own."""
    described = place(captions(config=configs.outputs["captions"], tracks=tracks, facts=measured, shards=shards))
    written = place(
        synthesize(
            config=configs.outputs["synthesize"],
            tracks=tracks,
            facts=measured,
            captions=described.outputs["captions"],
            shards=shards,
        )
    )
    return {"captions": described.outputs["captions"], "candidates": written.outputs["candidates"]}


def _written_at_once(configs: PipelineTask, tracks: PipelineChannel, measured: PipelineChannel, shards: str) -> Ports:
    both = place(
        captions_synthesize(
            captions_config=configs.outputs["captions"],
            synthesize_config=configs.outputs["synthesize"],
            tracks=tracks,
            facts=measured,
            shards=shards,
        )
    )
    return {port: both.outputs[port] for port in ("captions", "candidates")}


def _collected(configs: PipelineTask, tracks: PipelineChannel, originals: PipelineChannel, parts: Ports) -> Ports:
    """The whole ports from the parts of the branches, each by a step of its own."""
    all_facts = place(
        collect_facts(config=configs.outputs["facts"], tracks=tracks, originals=originals, parts=parts["facts"])
    ).outputs["facts"]
    all_captions = place(
        collect_captions(config=configs.outputs["captions"], tracks=tracks, facts=all_facts, parts=parts["captions"])
    ).outputs["captions"]
    candidates = place(
        collect_synthesize(
            config=configs.outputs["synthesize"],
            tracks=tracks,
            facts=all_facts,
            captions=all_captions,
            parts=parts["candidates"],
        )
    ).outputs["candidates"]
    return {"facts": all_facts, "captions": all_captions, "candidates": candidates}


def _collected_at_once(
    configs: PipelineTask, tracks: PipelineChannel, originals: PipelineChannel, parts: Ports
) -> Ports:
    whole = place(
        collect_annotation(
            facts_config=configs.outputs["facts"],
            captions_config=configs.outputs["captions"],
            synthesize_config=configs.outputs["synthesize"],
            tracks=tracks,
            originals=originals,
            facts_parts=parts["facts"],
            captions_parts=parts["captions"],
            candidates_parts=parts["candidates"],
        )
    )
    return {port: whole.outputs[port] for port in ("facts", "captions", "candidates")}


@dsl.pipeline(name="annotation", description="A catalogue of songs becomes MF-Skills.")
def annotation(params: str = default_params(), profile: str = default_profile(), branches: int = BRANCHES) -> None:
    """Annotate a catalogue of songs into MF-Skills."""
    configs = place(configure(params=params))
    with dsl.ExitHandler(place(outcome(run=dsl.PIPELINE_JOB_ID_PLACEHOLDER, profile=profile))):
        annotate(configs, branches)
