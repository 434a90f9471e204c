"""kill -9 in the middle of mf evaluate: a rerun asks only what the batch in flight had not written."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from support.audio_endpoint import AudioEndpoint
from support.benchmark_files import tone

pytestmark = pytest.mark.reliability

NUM_ITEMS, BATCH = 24, 4


def test_a_kill_costs_at_most_the_batch_in_flight(tmp_path):
    for number in range(NUM_ITEMS):
        tone(tmp_path / f"data/genres/jazz/jazz.{number:05d}.wav", 200 + 10 * number, 0.2)
    answers = tmp_path / "out/gtzan/answers.jsonl"

    def reply(words, sound):
        time.sleep(0.05)
        return "jazz"

    with AudioEndpoint(reply) as server:
        command = [sys.executable, "-m", "music_flamingo.cli", "evaluate", server.url, "--model-name", "ears"]
        command += ["--benchmark", "gtzan", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
        command += ["--batch-size", str(BATCH), "--conditions"]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not (answers.is_file() and answers.read_bytes().count(b"\n") >= 2 * BATCH):
            assert time.monotonic() < until and running.poll() is None
            time.sleep(0.01)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        done, asked = answers.read_bytes().count(b"\n"), len(server.calls)
        assert asked - done <= BATCH
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert len(server.calls) - asked == NUM_ITEMS - done
    lines = [json.loads(line) for line in answers.read_text().splitlines()]
    assert len(lines) == len({line["item_id"] for line in lines}) == NUM_ITEMS
    outcome = json.loads((tmp_path / "out/gtzan/results.json").read_text())
    assert outcome["rows"][0]["n"] == NUM_ITEMS and outcome["rows"][0]["value"] == 100.0
