"""The pages about published weights and data, command by command as they are printed, on replicas."""

import json
import sys
from pathlib import Path

import pytest
from support import sounds
from support.printed import Shell, commands_of, each
from support.published_data import write_conversations
from support.published_data import write_songs as write_tunes
from support.scored_songs import write_songs
from support.served import free_port

from music_flamingo.core.manifest import read_manifest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs/howto"
NUM_SONGS = 10
FETCH = "from pathlib import Path; from support.family_replicas import write_replica"
OTHER = "music-flamingo-think"
FEW_STEPS = """\
backbone: {hardware: &cpu {device: cpu}}
sft: {steps: 2, checkpoint_every: 2, hardware: *cpu}
warmup: {steps: 2, checkpoint_every: 2, hardware: *cpu}
grpo:
  {steps: 2, prompts_per_step: 2, max_completion_tokens: 8, checkpoint_every: 2,
   optimiser: {accumulation: 2}, hardware: *cpu}
evaluate: {max_new_tokens: 8}
release: {max_new_tokens: 8}
"""
OF_THE_TINY_MODEL = """\
ingest: {split: {train: 1.0, dev: 0.0, test: 0.0}}
validate: {limits: {published: pass}}  # what is said of these tunes is made up
reason: {published: pass}
sft: {steps: 2, checkpoint_every: 2}
warmup: {steps: 2, checkpoint_every: 2, controls: null}
"""


def few_steps(folder: Path, text: str) -> Path:
    (folder / "few.yaml").write_text(text)
    return folder / "few.yaml"


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("member", ["music-flamingo", OTHER])
def test_the_page_about_published_weights_runs_as_it_is_printed(tmp_path, member):
    write_songs(tmp_path / "songs", NUM_SONGS, tmp_path / "scratch")
    port = free_port()
    changes = {
        "--profile h200": f"--profile h200 --profile {few_steps(tmp_path, FEW_STEPS)}",
        "mf serve": f"mf serve --port {port}",
        "127.0.0.1:8080": f"127.0.0.1:{port}",
    }
    fetched = f"models/{member}"
    hf = f'{sys.executable} -c "{FETCH}; write_replica(Path({fetched!r}), {member!r})"'
    shell, said = Shell(tmp_path, {"hf": hf}, tmp_path / "log/all.txt"), {}
    try:
        for line in each(commands_of(PAGES / "tune-published.md"), changes):
            if line.startswith("mf run backbone") and (OTHER in line) != (member == OTHER):
                continue
            if line.startswith("mf ask"):
                (shell.folder / "song.mp3").write_bytes(sounds.encode(sounds.tune(9.0, 3), "mp3"))
            said[line] = shell.run(line)
    finally:
        shell.close()
    data = shell.folder / "data"
    assert read_manifest(data / "backbone_model").metrics["member"] == member
    assert json.loads((data / "release/release.json").read_text())["status"] == "unevaluated"
    (answer,) = (text for line, text in said.items() if line.startswith("mf ask"))
    assert "Heard     0.0 to 9.0 s" in answer and "never evaluated" in answer


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_page_about_published_data_runs_as_it_is_printed(tmp_path):
    write_tunes(tmp_path / "music")
    write_conversations(tmp_path / "hub")
    profiles = f"--profile smoke --profile published-data --profile {few_steps(tmp_path, OF_THE_TINY_MODEL)}"
    shell = Shell(tmp_path, {}, tmp_path / "log/all.txt")
    for line in each(commands_of(PAGES / "published-data.md"), {"--profile published-data": profiles}):
        shell.run(line)
    assert read_manifest(tmp_path / "data/warmup_model").metrics["steps"] == 2
    for form in ("hub-of-mine", "for-swift", "for-factory"):
        assert any((tmp_path / form).iterdir())
