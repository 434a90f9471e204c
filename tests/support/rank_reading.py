"""One rank that reads a model's weights whole (`whole`) or its own part (`part`), and says what that took.

torchrun --nproc-per-node 2 tests/support/rank_reading.py FOLDER whole|part TUNING OUT
"""

import json
import resource
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from music_flamingo.core.ranks import rank
from music_flamingo.model.files import load_model
from music_flamingo.model.lora import FullTuning, LoraSettings, tuned
from music_flamingo.training.scale import distributed
from music_flamingo.training.scale.reading import UNREAD, read_weights, unread_model
from music_flamingo.training.settings import Fsdp2, Hardware
from support import tiny_world as world
from support.ranked import FSDP2


def main(folder: Path, way: str, kind: str, out: Path) -> None:
    hardware = Hardware.model_validate({**world.HARDWARE, "parallel": FSDP2})
    adapters = kind == "lora"
    tuning = LoraSettings(**world.ADAPTERS) if adapters else FullTuning(kind="full", trains="all")
    distributed.join(hardware)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    read = 0
    if way == "whole":
        model = tuned(load_model(folder, torch.float32)[0], tuning, 7)
    else:
        model = tuned(unread_model(folder, torch.float32), tuning, 7)

        def counted(model, device):
            nonlocal read
            read = read_weights(model, device)

        distributed.read_weights = counted
    distributed._shard(model, Fsdp2(**FSDP2), "fp32", "cpu")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert not hasattr(model, UNREAD)
    tensors = {name: parameter.full_tensor() for name, parameter in model.named_parameters()}
    if rank() == 0:
        torch.save(tensors, out / f"{way}-{kind}.pt")
    (out / f"{way}-{kind}-{rank()}.json").write_text(json.dumps({"read": read, "added": peak - base}))
    distributed.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
