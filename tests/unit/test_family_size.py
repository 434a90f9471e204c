"""Size: a published folder of 8 billion weights is taken over in little memory; half an hour of sound is heard."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import tiny_world as world
from support.family_sparse import write_sparse

from music_flamingo.model.members import MemberName

GIB = 2**30
HALF_AN_HOUR = Path(__file__).parents[1] / "support/half_an_hour.py"
ASKED = HALF_AN_HOUR.with_name("half_an_hour_asked.py")


def peak_bytes(command: list[str]) -> int:
    """Of a process that must succeed."""
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return usage.ru_maxrss * 1024


@pytest.mark.slow
@pytest.mark.parametrize("name", ["music-flamingo", "audio-flamingo-3"])
def test_8_billion_published_weights_are_taken_over_below_2_gib_and_not_copied(tmp_path, name: MemberName):
    source = write_sparse(tmp_path / "published", name)
    data = tmp_path / "data"
    world.write_ports(data, count=2)
    settings = [f"model.path={source}", f"model.member={name}", "hardware.device=cpu"]
    chosen = [part for one in settings for part in ("--set", f"backbone.{one}")]
    command = [sys.executable, "-m", "music_flamingo.cli", "run", "backbone", "--profile", "h200", "--data", str(data)]
    assert peak_bytes([*command, *chosen]) < 2 * GIB
    written = data / "backbone_model/model"
    assert all((written / file.name).samefile(file) for file in source.glob("*.safetensors"))
    metrics = json.loads((data / "backbone_model/_manifest.json").read_text())["metrics"]
    # the published count, and two rows of both matrices where the marks are new
    assert metrics["parameters"] == 8_267_215_360 + 2 * 2 * 3584 * (name == "audio-flamingo-3")


@pytest.mark.slow
@pytest.mark.parametrize("way", ["answer", "serve", "teach"])
def test_half_an_hour_is_heard_in_one_piece_below_3_gib(tmp_path, way):
    assert peak_bytes([sys.executable, str(HALF_AN_HOUR), way, str(tmp_path)]) < 3 * GIB


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("way", ["evaluate", "ask", "http"])
def test_half_an_hour_is_evaluated_and_asked_about_below_3_gib(tmp_path, way):
    """An MP3 of 64 kbit/s is 14 MB, which a request holds; the server is a child, and its memory counts too."""
    assert peak_bytes([sys.executable, str(ASKED), way, str(tmp_path)]) < 3 * GIB
