"""What do sorting and deciding of validation cost a question, in the one process that joins the branches' files?

    python benchmarks/second_pass.py [--questions 200000]

CPU microseconds of one process and its largest memory: near duplicates over all tracks, words merged, every shard
decided and sorted, rows read together and held against the expectations. The synthetic catalogue's shards are linked
under new numbers until there are so many questions; what the first pass leaves is written once and linked too, with
signatures of its own for each long text. Run for two sizes, a catalogue of 14 million is extrapolated in a line.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from synthetic_skills import ROOT, SHARD_TRACKS, write_catalogue

from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.ports import Table, Writer
from music_flamingo.core.shards import shard_path
from music_flamingo.quality.expectations import find
from music_flamingo.quality.passes import CHECKED, Check, Decide, ScratchFiles, Sort, find_repeats, merge_words
from music_flamingo.quality.text_only import PriorConfig
from music_flamingo.records import Example, Facts, Track
from music_flamingo.stages.validate import ValidateConfig

NUM_SHARDS = 3
SIGNATURE_BYTES = 256


def prepared(folder: Path, scratch: ScratchFiles, config: ValidateConfig, num_shards: int) -> Table[Example]:
    """Write what the first pass leaves of three shards, and link shards and files until there are `num_shards`."""
    ports = [Table(folder / n, r, read_manifest(folder / n)) for n, r in (("facts", Facts), ("tracks", Track))]
    candidates = Table(folder / "candidates", Example, read_manifest(folder / "candidates"))
    prior = config.text_only if isinstance(config.text_only, PriorConfig) else None
    check = Check(config.limits, config.over_tracks, prior, candidates, *ports, scratch)  # type: ignore[arg-type]
    for index in range(NUM_SHARDS):
        check(index)
    rng = np.random.default_rng(1)
    for index in range(num_shards):
        source = index % NUM_SHARDS
        if index >= NUM_SHARDS:
            os.link(shard_path(candidates.root, source), shard_path(candidates.root, index))
            os.link(scratch.path("words", source), scratch.path("words", index))
            checked = scratch.read("checked", source)
            has = checked["signature"].is_valid().to_pylist()
            own = [rng.bytes(SIGNATURE_BYTES) if h else None for h in has]
            columns = [checked["reason"].combine_chunks(), pa.array(own, pa.binary())]
            scratch.write("checked", index, pa.table(columns, schema=CHECKED))
    return candidates


def measure(num_questions: int, folder: Path, own: Path) -> dict[str, float]:
    """Give the CPU microseconds a question of each step, and the largest memory (GiB)."""
    config = ValidateConfig.model_validate_json(stage_json(load_params(ROOT / "params.yaml"), "validate"))
    scratch = ScratchFiles(own / "scratch")
    scratch.root.mkdir()
    indices = list(range(num_questions // SHARD_TRACKS))
    candidates = prepared(folder, scratch, config, len(indices))
    prior = config.text_only if isinstance(config.text_only, PriorConfig) else None
    number, found, start_s = len(indices) * SHARD_TRACKS, {}, time.process_time()

    def lap(name: str) -> None:
        nonlocal start_s
        found[name], start_s = round((time.process_time() - start_s) / number * 1e6, 2), time.process_time()

    limits = config.over_tracks
    repeats = find_repeats(scratch, candidates, indices, limits.similarity) if limits else {}
    lap("near_duplicates")
    decide = Decide(prior, merge_words(scratch, indices) if prior else None, scratch, candidates)
    lap("words")
    skills, rejects = (Writer(own / name, Example) for name in ("skills", "rejects"))
    sort = Sort(decide, skills, rejects, None)
    for index in indices:
        sort((index, repeats.get(index, {})))
    lap("sorting")
    find(scratch.read_all("rows", indices), config.expected)
    lap("expectations")
    return {"questions": number, **found, "gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)}


def main() -> None:
    """Print what a question costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=200_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        catalogue = Path(own) / "catalogue"
        write_catalogue(NUM_SHARDS * SHARD_TRACKS, catalogue)
        print(json.dumps(measure(options.questions, catalogue, Path(own))))


if __name__ == "__main__":
    main()
