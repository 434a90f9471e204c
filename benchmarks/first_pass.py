"""What do the rules of validation cost a question, with reading and writing, with claims and without?

    python benchmarks/first_pass.py [--without-claims] [--folder FOLDER]

CPU microseconds of one process over two shards of the synthetic catalogue (one question a track), after a first shard
that fills the caches. Run it from another checkout, with that one's PYTHONPATH, to compare.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from synthetic_skills import ROOT, SHARD_TRACKS, write_catalogue

from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.ports import Table
from music_flamingo.quality import checks
from music_flamingo.quality.passes import Check, ScratchFiles
from music_flamingo.quality.text_only import PriorConfig
from music_flamingo.records import Example, Facts, Track
from music_flamingo.stages.validate import ValidateConfig

CLAIMS = ("check_claims", "check_senseless")
NUM_SHARDS = 3


def microseconds(catalogue: Path, scratch: Path) -> float:
    """Give the CPU microseconds a question of all shards but the first."""
    config = ValidateConfig.model_validate_json(stage_json(load_params(ROOT / "params.yaml"), "validate"))
    candidates = Table(catalogue / "candidates", Example, read_manifest(catalogue / "candidates"))
    facts = Table(catalogue / "facts", Facts, read_manifest(catalogue / "facts"))
    tracks = Table(catalogue / "tracks", Track, read_manifest(catalogue / "tracks"))
    prior = config.text_only if isinstance(config.text_only, PriorConfig) else None
    check = Check(config.limits, config.over_tracks, prior, candidates, facts, tracks, ScratchFiles(scratch))
    check(0)
    start_s = time.process_time()
    number = sum(check(index) for index in range(1, NUM_SHARDS))
    return (time.process_time() - start_s) / number * 1e6


def main() -> None:
    """Print what a question costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without-claims", action="store_true")
    parser.add_argument("--folder", type=Path, help="a catalogue that is there, or is written there")
    options = parser.parse_args()
    if options.without_claims:
        kept = tuple(check for check in checks.CHECKS if check.__name__ not in CLAIMS)  # type: ignore[attr-defined]
        checks.reason_against.__defaults__ = (kept,)
    with tempfile.TemporaryDirectory() as own:
        catalogue = options.folder or Path(own) / "catalogue"
        if not catalogue.exists():
            write_catalogue(NUM_SHARDS * SHARD_TRACKS, catalogue)
        scratch = Path(own) / "scratch"
        scratch.mkdir()
        found = round(microseconds(catalogue, scratch))
    print(json.dumps({"claims": not options.without_claims, "cpu_us_a_question": found}))


if __name__ == "__main__":
    main()
