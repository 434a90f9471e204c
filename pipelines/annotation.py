"""Annotation: a catalogue of songs becomes MF-Skills."""

from dataclasses import dataclass

from kfp import dsl
from kfp.dsl import PipelineTask

from components.captions import captions, collect_captions
from components.configure import configure
from components.divide import divide
from components.facts import collect_facts, facts
from components.ingest import ingest
from components.outcome import outcome
from components.synthesize import collect_synthesize, synthesize
from components.validate import check_shards, validate
from pipelines.parameters import BRANCHES, default_params, default_profile
from pipelines.placement import place


@dataclass(frozen=True)
class Annotation:
    """The tasks of the annotation half."""

    ingest: PipelineTask
    facts: PipelineTask
    captions: PipelineTask
    synthesize: PipelineTask
    validate: PipelineTask


def annotate(configs: PipelineTask, branches: int) -> Annotation:
    """Wire ingest -> (facts -> captions -> synthesize -> rules) -> validate; ranges of shards run side by side.

    A branch hands its own part on: no branch waits for another between two stages.
    """
    found = place(ingest(config=configs.outputs["ingest"]))
    tracks, originals = found.outputs["tracks"], found.outputs["originals"]
    ranges = place(divide(port=found.outputs["truth"], branches=branches))
    with dsl.ParallelFor(ranges.output, name="branches") as shards:
        measured = place(
            facts(config=configs.outputs["facts"], tracks=tracks, originals=originals, shards=shards)
        ).outputs["facts"]
        described = place(
            captions(config=configs.outputs["captions"], tracks=tracks, facts=measured, shards=shards)
        ).outputs["captions"]
        written = place(
            synthesize(
                config=configs.outputs["synthesize"], tracks=tracks, facts=measured, captions=described, shards=shards
            )
        ).outputs["candidates"]
        checked = place(
            check_shards(
                config=configs.outputs["validate"], candidates=written, facts=measured, tracks=tracks, shards=shards
            )
        ).outputs["first_pass"]
    all_facts = place(
        collect_facts(
            config=configs.outputs["facts"], tracks=tracks, originals=originals, parts=dsl.Collected(measured)
        )
    )
    facts_port = all_facts.outputs["facts"]
    all_captions = place(
        collect_captions(
            config=configs.outputs["captions"], tracks=tracks, facts=facts_port, parts=dsl.Collected(described)
        )
    )
    candidates = place(
        collect_synthesize(
            config=configs.outputs["synthesize"],
            tracks=tracks,
            facts=facts_port,
            captions=all_captions.outputs["captions"],
            parts=dsl.Collected(written),
        )
    )
    kept = place(
        validate(
            config=configs.outputs["validate"],
            candidates=candidates.outputs["candidates"],
            facts=facts_port,
            tracks=tracks,
            parts=dsl.Collected(checked),
        )
    )
    return Annotation(found, all_facts, all_captions, candidates, kept)


@dsl.pipeline(name="annotation", description="A catalogue of songs becomes MF-Skills.")
def annotation(params: str = default_params(), profile: str = default_profile(), branches: int = BRANCHES) -> None:
    """Annotate a catalogue of songs into MF-Skills."""
    configs = place(configure(params=params))
    with dsl.ExitHandler(place(outcome(run=dsl.PIPELINE_JOB_ID_PLACEHOLDER, profile=profile))):
        annotate(configs, branches)
