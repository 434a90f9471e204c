"""Training: MF-Skills become a model by SFT, chain-of-thought warm-up and GRPO."""

from dataclasses import dataclass

from kfp import dsl
from kfp.dsl import Dataset, PipelineTask

from components.backbone import backbone
from components.configure import configure
from components.grpo import grpo
from components.outcome import outcome
from components.reason import reason
from components.sft import sft
from components.speech import speech
from components.warmup import warmup
from pipelines.parameters import default_params, default_profile
from pipelines.placement import place


@dataclass(frozen=True)
class Training:
    """The tasks of the training half."""

    speech: PipelineTask
    backbone: PipelineTask
    sft: PipelineTask
    reason: PipelineTask
    warmup: PipelineTask
    grpo: PipelineTask


def train(configs: PipelineTask, skills: Dataset, facts: Dataset, tracks: Dataset) -> Training:
    """Wire speech -> backbone -> sft -> reason -> warmup -> grpo."""
    spoken = place(speech(config=configs.outputs["speech"]))
    start = place(backbone(config=configs.outputs["backbone"], skills=skills, speech=spoken.outputs["speech"]))
    tuned = place(
        sft(
            config=configs.outputs["sft"],
            skills=skills,
            tracks=tracks,
            speech=spoken.outputs["speech"],
            backbone_model=start.outputs["backbone_model"],
        )
    )
    sft_model = tuned.outputs["sft_model"]
    reasoned = place(
        reason(config=configs.outputs["reason"], skills=skills, facts=facts, tracks=tracks, sft_model=sft_model)
    )
    think = reasoned.outputs["think"]
    warm = place(
        warmup(
            config=configs.outputs["warmup"],
            think=think,
            tracks=tracks,
            speech=spoken.outputs["speech"],
            sft_model=sft_model,
        )
    )
    reinforced = place(
        grpo(
            config=configs.outputs["grpo"],
            skills=skills,
            think=think,
            tracks=tracks,
            warmup_model=warm.outputs["warmup_model"],
        )
    )
    return Training(spoken, start, tuned, reasoned, warm, reinforced)


@dsl.pipeline(name="training", description="MF-Skills become a model by SFT, chain-of-thought warm-up and GRPO.")
def training(
    skills_uri: str,
    facts_uri: str,
    tracks_uri: str,
    params: str = default_params(),
    profile: str = default_profile(),
) -> None:
    """Train on the finished ports of an annotation run.

    Args:
        skills_uri: Where the port `skills` lies, e.g. minio://mlpipeline/.../skills.
        facts_uri: Where the port `facts` lies.
        tracks_uri: Where the port `tracks` lies.
        params: All parameters as JSON text.
        profile: The name of what was laid over them, for the page about the run.
    """
    ports = {
        name: dsl.importer(artifact_uri=uri, artifact_class=Dataset, reimport=False).output
        for name, uri in (("skills", skills_uri), ("facts", facts_uri), ("tracks", tracks_uri))
    }
    configs = place(configure(params=params))
    with dsl.ExitHandler(place(outcome(run=dsl.PIPELINE_JOB_ID_PLACEHOLDER, profile=profile))):
        train(configs, **ports)
