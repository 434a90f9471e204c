"""Publishing: huggingface_hub's own client against a hub that speaks its protocol, in one commit, verified before."""

import json
import os
import subprocess
import sys

import pytest
from support import songs
from support.hub import TOKEN, running_hub

from music_flamingo.cli import main
from music_flamingo.core.manifest import read_manifest
from music_flamingo.records import Example, Track

constants = pytest.importorskip("huggingface_hub.constants")
CARD = "---\nlicense: other\n---\n# MF-Skills\n"


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub._commit_api.is_xet_available", lambda: False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.utils._http._DEFAULT_RETRY_ON_STATUS_CODES", (), raising=False)
    with running_hub() as running:
        yield running


def skills(data, num_shards: int = 2):
    (data / "skills").mkdir(parents=True, exist_ok=True)
    (data / "skills/README.md").write_text(CARD)
    shards = [[example(f"w{k}/0")] for k in range(num_shards)]
    return songs.write_port(data / "skills", Example, shards)


def example(track_id: str) -> Example:
    from music_flamingo.quality.trial import BLANK, STAMP

    values = {**BLANK, "id": f"{track_id}/key", "track_id": track_id, "question": "Which key?", "answer": "C major"}
    return Example.model_validate({**values, "teacher": STAMP})


def publish(hub, root, *more: str) -> int:
    return main(["push", str(root), "me/songs", "--endpoint", hub.address, *more])


def test_every_byte_of_a_data_set_arrives_in_one_commit(hub, tmp_path):
    """As a user calls it: a process of its own, whose environment says nothing of the hub but its token."""
    root = skills(tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    command = [sys.executable, "-m", "music_flamingo.cli", "push", str(root), "me/songs", "--endpoint", hub.address]
    given = {**environment, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    there = hub.repositories["me/songs"]
    assert (there.kind, there.is_private, len(there.commits)) == ("dataset", True, 1)
    assert there.commits == [f"skills {read_manifest(root).digest[:16]}"]
    here = {p.name: p.read_bytes() for p in root.iterdir()}
    assert {name: content for name, content in there.files.items() if name != ".gitattributes"} == here
    assert "commit" in done.stdout


def test_the_same_again_sends_nothing_and_makes_no_commit(hub, tmp_path):
    root = skills(tmp_path)
    assert publish(hub, root) == 0
    hub.asked.clear()
    assert publish(hub, root) == 0
    assert len(hub.repositories["me/songs"].commits) == 1
    assert not [line for line in hub.asked if line.startswith("PUT") or "/commit/" in line]


def test_a_shard_that_is_no_longer_part_of_the_set_leaves_with_the_next_commit(hub, tmp_path, capsys):
    assert publish(hub, skills(tmp_path / "a", 3)) == 0
    assert publish(hub, skills(tmp_path / "b", 1), "--public") == 0
    names = {n for n in hub.repositories["me/songs"].files if n.startswith("part-")}
    assert names == {"part-00000.parquet"}
    assert "2 removed" in capsys.readouterr().out


def test_a_changed_byte_is_found_before_anything_is_sent(hub, tmp_path, capsys):
    root = skills(tmp_path)
    (root / "README.md").write_text("other")
    assert publish(hub, root) == 2
    assert hub.asked == []
    assert "does not match its manifest" in capsys.readouterr().err


def test_recordings_and_refused_releases_stay_here(hub, tmp_path, capsys):
    assert publish(hub, songs.write_port(tmp_path / "tracks", Track, [[songs.make_track()]])) == 2
    assert "`tracks` is not published" in capsys.readouterr().err
    root = skills(tmp_path)
    manifest = json.loads((root / "_manifest.json").read_text())
    refused = {"port": "release", "metrics": {"status": "refused", "reasons": ["hears nothing"]}}
    (root / "_manifest.json").write_text(json.dumps({**manifest, **refused}))
    assert publish(hub, root) == 2
    assert "was refused: hears nothing" in capsys.readouterr().err
    assert hub.asked == []


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        ({"/commit/": 403}, "the hub declines me/songs (403)"),
        ({"/repos/create": 401}, "the hub declines me/songs (401)"),
    ],
)
def test_a_hub_that_declines_is_named_and_keeps_what_it_had(hub, tmp_path, capsys, failing, said):
    hub.failing.update(failing)
    assert publish(hub, skills(tmp_path)) == 2
    assert said in capsys.readouterr().err
    assert all(not there.commits for there in hub.repositories.values())


def test_without_a_token_or_with_the_network_off_the_remedy_is_said(hub, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert publish(hub, skills(tmp_path)) == 2
    assert "HF_HUB_OFFLINE is set" in capsys.readouterr().err
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert publish(hub, tmp_path / "skills") == 2
    assert "Set HF_TOKEN" in capsys.readouterr().err
    assert hub.asked == []


def test_a_hub_that_is_away_is_no_fault_of_the_data(hub, tmp_path, capsys):
    away = ["push", str(skills(tmp_path)), "me/songs", "--endpoint", "http://127.0.0.1:9"]
    assert main(away) == 2
    assert "the hub cannot be reached" in capsys.readouterr().err
