"""Each rank reads its own rows of the weights: the same model as one that was read whole, for half of the memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import tiny_world as world
from support.family_replicas import write_replica

from music_flamingo.model.adoption import adopt_model
from music_flamingo.model.files import load_model
from music_flamingo.model.lora import FullTuning, LoraSettings, tuned
from music_flamingo.training.scale.reading import read_weights, unread_model

RANK = Path(__file__).parents[1] / "support/rank_reading.py"
FULL = FullTuning(kind="full", trains="all")
LORA = LoraSettings(**world.ADAPTERS)


@pytest.mark.parametrize("tuning", [FULL, LORA], ids=["full", "lora"])
def test_a_model_that_is_read_later_is_the_model_that_was_read_at_once(tmp_path, tuning):
    adopt_model(write_replica(tmp_path / "published", "music-flamingo"), "music-flamingo", tmp_path)
    whole, later = tuned(load_model(tmp_path, torch.float32)[0], tuning, 7), unread_model(tmp_path, torch.float32)
    assert sum(p.untyped_storage().nbytes() for p in later.parameters()) <= 4 * len(list(later.parameters()))
    later = tuned(later, tuning, 7)
    assert read_weights(later) > 0 and read_weights(later) == 0
    described = [{**model.config.to_dict(), "_name_or_path": ""} for model in (later, whole)]
    assert described[0] == described[1]
    assert later.generation_config.to_dict() == whole.generation_config.to_dict()
    for tensors in ("named_parameters", "named_buffers"):
        found, expected = dict(getattr(later, tensors)()), dict(getattr(whole, tensors)())
        assert list(found) == list(expected)
        for name, tensor in expected.items():
            assert torch.equal(found[name], tensor) and found[name].requires_grad == tensor.requires_grad, name


def ranked(folder: Path, way: str, kind: str, out: Path) -> list[dict]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [*launcher, str(RANK), str(folder), way, kind, str(out)], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return [json.loads((out / f"{way}-{kind}-{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.reliability
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("kind", "read", "added"), [("full", 0.51, 0.6), ("lora", 0.55, 0.65)])
def test_two_ranks_read_half_each_of_the_same_weights(tmp_path, kind, read, added):
    published = write_replica(tmp_path / "published", "music-flamingo", width=2048, shard_size="20MB")
    adopt_model(published, "music-flamingo", tmp_path / "start")
    whole, part = (ranked(tmp_path / "start", way, kind, tmp_path) for way in ("whole", "part"))
    expected, found = (torch.load(tmp_path / f"{way}-{kind}.pt") for way in ("whole", "part"))
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    on_disk = sum(file.stat().st_size for file in published.glob("*.safetensors"))
    print([one["added"] / 2**20 for one in (*whole, *part)], on_disk / 2**20)
    for one, other in zip(part, whole, strict=True):
        assert one["read"] <= read * on_disk
        assert one["added"] < added * other["added"]
