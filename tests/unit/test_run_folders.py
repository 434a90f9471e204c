"""Folders of runs: a source, a profile or a checkout of any name is that one and no other."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from music_flamingo.cli import build_parser, main
from music_flamingo.core.errors import UserError
from music_flamingo.runs import workspace
from music_flamingo.runs.driving import without_noise
from music_flamingo.runs.folders import RunDescription, describe_run, list_runs, read_description

ROOT = Path(__file__).resolve().parents[2]
HELD_OUT = ROOT.parent / "shared/cases/folder_names.json"
NAMES = [
    *(
        "Rock, Pop",
        "Music [FLAC]",
        "Album (2001) [FLAC 16-44]",
        "{}",
        "?",
        "a: b",
        "x #1",
        "- list",
        "-dash",
        "tab\tname",
    ),
    *(
        "日本",
        "100%",
        "trailing ",
        " leading",
        "~",
        "null",
        "@home",
        "&anchor",
        "*star",
        "!bang",
        "`tick`",
        'a"b',
        "it's",
    ),
    *("new\nline", "${x}", "$(x)", "a\\b", "#", "|", "yes", "1e3", "long name with spaces " * 9),
]


def names() -> list[str]:
    held_out = json.loads(HELD_OUT.read_text())["names"] if HELD_OUT.is_file() else []
    return list(dict.fromkeys([*NAMES, *held_out]))


@pytest.mark.parametrize("name", names())
def test_a_source_of_any_name_is_that_folder_and_no_other(name, tmp_path):
    songs, folder = tmp_path / name, tmp_path / "run"
    songs.mkdir()
    (songs / "song.wav").write_bytes(b"x")
    workspace.prepare(ROOT, folder, ("smoke",), (), songs)
    source = yaml.safe_load((folder / "params.yaml").read_text())["ingest"]["source"]
    assert source["path"] == str(songs) and source["kind"] == "audio_folder"
    called = workspace.describe((), songs, ()).folder_name
    assert (tmp_path / called).parent == tmp_path and len(called.encode()) < 200 and called.isprintable()


@pytest.mark.parametrize("name", ["Rock, Pop", "${x}", "a: b", "#", "new\nline"])
def test_a_profile_in_a_folder_of_any_name_is_read(name, tmp_path):
    (tmp_path / name).mkdir()
    profile = tmp_path / name / "my.yaml"
    profile.write_text("sft: {steps: 3}\n")
    workspace.prepare(ROOT, tmp_path / "run", (str(profile),), ())
    assert yaml.safe_load((tmp_path / "run/params.yaml").read_text())["sft"]["steps"] == 3


def test_profiles_are_laid_over_each_other_in_their_order(tmp_path):
    (tmp_path / "my.yaml").write_text("sft: {steps: 3}\n")
    arguments = ["--profile", "h200", "--profile", str(tmp_path / "my.yaml")]
    given = build_parser().parse_args(["repro", *arguments])
    workspace.prepare(ROOT, tmp_path / "run", tuple(given.profile), ())
    params = yaml.safe_load((tmp_path / "run/params.yaml").read_text())
    assert params["sft"]["steps"] == 3 and params["backbone"]["model"]["kind"] == "pretrained"
    assert params["plan"]["gpu"]["name"] == "H200-SXM-141GB", "mf plan works in the workspace as well"


def test_dvc_sees_a_listing_and_never_the_songs(tmp_path):
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs/song.wav").write_bytes(b"x")
    (tmp_path / "songs/gone.wav").symlink_to(tmp_path / "nowhere")
    workspace.prepare(ROOT, tmp_path / "run", ("smoke",), (), tmp_path / "songs")
    deps = yaml.safe_load((tmp_path / "run/dvc.yaml").read_text())["stages"]["ingest"]["deps"]
    assert workspace.LISTING in deps and str(tmp_path / "songs") not in deps
    before = (tmp_path / "run" / workspace.LISTING).read_bytes()
    (tmp_path / "songs/other.wav").write_bytes(b"y")
    workspace.prepare(ROOT, tmp_path / "run", ("smoke",), (), tmp_path / "songs")
    assert (tmp_path / "run" / workspace.LISTING).read_bytes() != before


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["${x}", "{}", "Album (2001) [FLAC 16-44]", "Best of: 1999", "*star", "new\nline", "日本"]
)
def test_a_checkout_in_a_folder_of_any_name_runs_its_stages(name, tmp_path):
    home = tmp_path / name
    (home / "pipelines/profiles").mkdir(parents=True)
    (home / "params.yaml").write_text("ingest: {source: {kind: scores}}\nlast: {x: '${x}'}\n")
    for folder in (home / "runs/one", tmp_path / "elsewhere"):
        workspace.prepare(home, folder, (), ("ingest.size=1",))
        stage = {"cmd": "mf --version > said", "params": ["ingest", "last"], "deps": ["code.py"], "outs": ["said"]}
        (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"ingest": stage}}))
        (folder / "code.py").write_text("1")
        assert workspace.run_dvc(folder) == 0
        assert (folder / "said").read_text().startswith("mf ")


def test_runs_that_differ_in_anything_have_folders_of_their_own(tmp_path):
    for place in ("a/music", "b/music", "smoke", "x", "y"):
        (tmp_path / place).mkdir(parents=True)
    for place in ("x", "y"):
        (tmp_path / place / "my.yaml").write_text("sft: {}\n")
    asked = [
        (("smoke",), None, ()),
        *(((), tmp_path / place, ()) for place in ("a/music", "b/music", "smoke")),
        *(((str(tmp_path / place / "my.yaml"),), None, ()) for place in ("x", "y")),
        *(((), None, (setting,)) for setting in ("sft.steps=1", "sft.steps=2")),
        *((pair, None, ()) for pair in (("smoke", "paper"), ("paper", "smoke"))),
        (("smoke",), tmp_path / "a/music", ()),
    ]
    called = [workspace.describe(*a).folder_name for a in asked]
    assert len(set(called)) == len(called) and called[0] == "smoke"
    assert called[1].startswith("music-") and called[-1].startswith("smoke-music-")
    assert called == [workspace.describe(*a).folder_name for a in asked]


def test_a_folder_that_held_another_run_says_so(tmp_path):
    first, second = RunDescription(("smoke",), None, ()), RunDescription(("smoke",), "/music", ())
    assert describe_run(tmp_path, first) is None and describe_run(tmp_path, first) is None
    assert describe_run(tmp_path, second) == first
    assert read_description(tmp_path) == second


def test_runs_are_listed_the_latest_first(tmp_path, monkeypatch, capsys):
    for age_s, name in ((100, "old"), (1, "new")):
        (tmp_path / "runs" / name / "data/tracks").mkdir(parents=True)
        (tmp_path / "runs" / name / "params.yaml").write_text("")
        (tmp_path / "runs" / name / "data/tracks/_manifest.json").write_text("")
        for path in ("params.yaml", "data/tracks/_manifest.json"):
            os.utime(tmp_path / "runs" / name / path, (1e9 - age_s, 1e9 - age_s))
    (tmp_path / "runs/no-run").mkdir()
    describe_run(tmp_path / "runs/new", RunDescription((), "/music/Rock, Pop", ()))
    monkeypatch.setattr(workspace, "runs_folder", lambda: tmp_path / "runs")
    assert main(["runs"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("new ") and "'/music/Rock, Pop'" in first and "1 ports" in first
    assert second.startswith("old ")
    assert list_runs(tmp_path / "nothing") == []


def test_a_source_whose_name_is_no_utf8_says_what_to_do(tmp_path):
    songs = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    songs.mkdir()
    with pytest.raises(UserError, match="symbolic link"):
        workspace.describe((), songs, ())


def test_what_dvc_says_for_its_own_sake_is_left_out():
    said = [
        "Running stage 'ingest':\n",
        "\n",
        "\n",
        "Updating lock file 'dvc.lock'\n",
        "Use `dvc push` to send\n",
        "ok\n",
    ]
    assert list(without_noise(["\n", *said])) == ["Running stage 'ingest':\n", "\n", "ok\n"]


@pytest.mark.parametrize("name", names())
def test_make_hands_the_name_on_as_it_is(name, tmp_path):
    """The recipe of `make run`, with a program that prints what it was given in place of mf."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/mf"
    program.write_text('#!/bin/sh\nshift\nprintf "%s" "$@"\n')
    program.chmod(0o755)
    command = ["make", "-s", "-f", ROOT / "Makefile", "run", "-o", "setup", f"VENV={tmp_path}", f"SOURCE={name}"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    assert said.decode() == f"--source={name.lstrip(' ')}"  # make takes the spaces after `SOURCE=` for its own
