"""With gradient checkpointing every stage that trains comes to the same bits, whatever its rows and its tuning are."""

from pathlib import Path

import pytest
from support import tiny_world as world

AGAIN = {**world.HARDWARE, "gradient_checkpointing": True}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("source") / "data"
    world.write_ports(data)
    for stage in ("backbone", "sft", "warmup"):
        world.run(stage, data)
    return data


@pytest.mark.parametrize(
    ("stage", "changes"),
    [
        ("sft", {"turns": "isolated"}),
        ("sft", {"turns": "conversation", "packing": True}),
        ("sft", {"turns": "conversation"}),
        ("warmup", {"tuning": world.ADAPTERS}),
        ("grpo", {}),
        ("grpo", {"tuning": world.ADAPTERS}),
    ],
)
def test_layers_computed_again_lead_to_the_same_bits(source, tmp_path, stage, changes):
    digests = []
    for name, hardware in (("kept", world.HARDWARE), ("again", AGAIN)):
        data = tmp_path / name
        data.mkdir()
        for port in source.iterdir():
            if port.name != f"{stage}_model" and not port.name.startswith("_"):
                (data / port.name).symlink_to(port)
        digests.append(world.run(stage, data, hardware=hardware, **changes)[f"{stage}_model"].digest)
    assert digests[0] == digests[1]
