"""Annotation: a catalogue of songs becomes MF-Skills."""

from dataclasses import dataclass

from kfp import dsl
from kfp.dsl import PipelineTask

from components.captions import captions
from components.configure import configure
from components.facts import facts
from components.ingest import ingest
from components.synthesize import synthesize
from components.validate import validate
from pipelines.parameters import default_params
from pipelines.placement import place


@dataclass(frozen=True)
class Annotation:
    """The tasks of the annotation half."""

    ingest: PipelineTask
    facts: PipelineTask
    captions: PipelineTask
    synthesize: PipelineTask
    validate: PipelineTask


def annotate(configs: PipelineTask) -> Annotation:
    """Wire ingest -> facts -> captions -> synthesize -> validate."""
    found = place(ingest(config=configs.outputs["ingest"]))
    tracks = found.outputs["tracks"]
    measured = place(facts(config=configs.outputs["facts"], tracks=tracks, originals=found.outputs["originals"]))
    described = place(captions(config=configs.outputs["captions"], tracks=tracks, facts=measured.outputs["facts"]))
    written = place(
        synthesize(
            config=configs.outputs["synthesize"],
            tracks=tracks,
            facts=measured.outputs["facts"],
            captions=described.outputs["captions"],
        )
    )
    kept = place(
        validate(
            config=configs.outputs["validate"],
            candidates=written.outputs["candidates"],
            facts=measured.outputs["facts"],
            tracks=tracks,
        )
    )
    return Annotation(found, measured, described, written, kept)


@dsl.pipeline(name="annotation", description="A catalogue of songs becomes MF-Skills.")
def annotation(params: str = default_params()) -> None:
    annotate(place(configure(params=params)))
