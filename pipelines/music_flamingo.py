"""The whole way: songs -> MF-Skills -> SFT -> MF-Think -> warm-up -> GRPO -> evaluation -> release -> report."""

from kfp import dsl
from kfp.dsl import PipelineTask

from components.configure import configure
from components.evaluate import evaluate
from components.outcome import outcome
from components.release import release
from components.report import report
from pipelines.annotation import annotate
from pipelines.parameters import BRANCHES, default_params, default_profile
from pipelines.placement import place
from pipelines.training import train


def produce(configs: PipelineTask, branches: int) -> None:
    """Wire annotation -> training -> evaluate -> release -> report."""
    made = annotate(configs, branches)
    tracks, truth, facts, skills = made.tracks, made.truth, made.facts, made.skills
    trained = train(configs, skills=skills, facts=facts, tracks=tracks)
    models = {
        "sft_model": trained.sft.outputs["sft_model"],
        "warmup_model": trained.warmup.outputs["warmup_model"],
        "grpo_model": trained.grpo.outputs["grpo_model"],
    }
    graded = place(evaluate(config=configs.outputs["evaluate"], truth=truth, facts=facts, tracks=tracks, **models))
    released = place(
        release(
            config=configs.outputs["release"],
            scores=graded.outputs["scores"],
            grpo_model=models["grpo_model"],
        )
    )
    place(
        report(
            config=configs.outputs["report"],
            tracks=tracks,
            truth=truth,
            facts=facts,
            captions=made.captions,
            candidates=made.candidates,
            skills=skills,
            rejects=made.rejects,
            data_docs=made.data_docs,
            think=trained.reason.outputs["think"],
            think_rejects=trained.reason.outputs["think_rejects"],
            predictions=graded.outputs["predictions"],
            scores=graded.outputs["scores"],
            release=released.outputs["release"],
            backbone_model=trained.backbone.outputs["backbone_model"],
            **models,
        )
    )


@dsl.pipeline(name="music-flamingo", description="From a catalogue of songs to a model that reasons about music.")
def music_flamingo(params: str = default_params(), profile: str = default_profile(), branches: int = BRANCHES) -> None:
    """Run everything from songs to a released model and its report."""
    configs = place(configure(params=params))
    with dsl.ExitHandler(place(outcome(run=dsl.PIPELINE_JOB_ID_PLACEHOLDER, profile=profile))):
        produce(configs, branches)
