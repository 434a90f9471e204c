"""What thinking and GRPO are worth on a folder of real recordings: few, and graded by facts.

    python benchmarks/thinking_recordings.py RECORDINGS --data DATA --work build/recordings

Takes the models of a finished run (DATA: sft_model, warmup_model with its controls, grpo_model), which nobody trained
on these recordings. Ingests and measures the folder with the parameters of params.yaml, and puts the exam of composite
questions to the models. Answers follow from trusted facts of the tools, for there is no score: what is counted is
agreement. A dozen recordings say little; intervals resample them and are as wide as that.
"""

import argparse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from published import publish

from music_flamingo import stages
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, merge, stage_json
from music_flamingo.core.ports import Table
from music_flamingo.core.stage import execute
from music_flamingo.evaluation.summary import read_evaluation
from music_flamingo.evaluation.thinking_tables import thinking_table
from music_flamingo.records import Prediction
from music_flamingo.scoring.families import COMPOSITES

ROOT = Path(__file__).resolve().parents[1]
MODELS = ("sft_model", "warmup_model", "grpo_model")
MEASURING = ("ingest", "facts")


def examined(params: Mapping, recordings: Path) -> dict:
    """The parameters with the folder as source, all of it held out, and as many questions a recording as there are."""
    source = {"kind": "audio_folder", "path": str(recordings.resolve())}
    split = {**params["ingest"]["split"], "train": 0.0, "dev": 0.0, "test": 1.0}
    given = merge(params, {"evaluate": {"thinking": {**params["evaluate"]["thinking"], "per_track": 8}}})
    return {**given, "ingest": {**params["ingest"], "source": source, "split": split, "held_out": []}}


def run_stages(names: tuple[str, ...], params: Mapping, work: Path) -> None:
    """Each stage with its ports in `work`; what is there already is not done again."""
    for name in names:
        stage = stages.load(name)
        inputs, outputs = ({port: work / port for port in ports} for ports in (stage.inputs, stage.outputs))
        execute(stage, stage_json(params, name), inputs, outputs)


def report(work: Path) -> list[str]:
    """The table, and how few questions and recordings it rests on."""
    asked = Table(work / "predictions", Prediction, read_manifest(work / "predictions"))
    exam = [
        p for p in asked if p.family in COMPOSITES and (p.model, p.condition, p.drawn) == ("grpo", "audio", "greedy")
    ]
    thinking = read_evaluation(work / "scores").thinking
    if thinking is None:
        return ["No composite question: fewer than two recordings have trusted facts for one."]
    by_work = Counter(p.work_id for p in exam)
    few = (
        f"Few: {len(exam)} questions about {len(by_work)} recordings. Graded by trusted facts: agreement, no accuracy."
    )
    return [few, "", *thinking_table(thinking).splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT / "data")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "recordings")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for port in MODELS:
        link = options.work / port
        if not link.exists():
            link.symlink_to((options.data / port).resolve(), target_is_directory=True)
    params = examined(load_params(options.params), options.recordings)
    run_stages((*MEASURING, "evaluate"), params, options.work)
    publish("thinking-recordings", "Thinking and GRPO on real recordings", report(options.work))


if __name__ == "__main__":
    main()
