"""The benchmark for GPUs runs through without one, on a tiny shape; with one it measures."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = [sys.executable, "benchmarks/gpu_training.py"]


def test_the_script_trains_as_the_profile_says_and_counts_what_it_does():
    changes = ("sft.batch_size=2", "sft.optimiser.accumulation=2", "plan.gpu.peak_tflops=1")
    settings = [word for change in changes for word in ("--set", change)]
    command = [*SCRIPT, "--tiny", "--seconds", "6", "--steps", "1", *settings]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert "lora, fp32, 2 lessons a step in 2 parts; peak 1 Tflop/s" in done.stdout
    (row,) = re.findall(r"^\| 6 s \| .*$", done.stdout, re.MULTILINE)
    tokens, step_s, rate, tflops = (float(cell.replace(",", "")) for cell in row.split("|")[2:6])
    assert 150 < tokens < 900
    assert rate == pytest.approx(2 * tokens / step_s, rel=0.05)
    assert tflops > 0


@pytest.mark.gpu
@pytest.mark.timeout(900)
def test_the_published_dimensions_train_on_this_gpu():
    done = subprocess.run([*SCRIPT, "--steps", "2", "--seconds", "210"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "of the peak" in done.stdout
