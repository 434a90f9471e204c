"""`mf submit`: the dry run needs no server; the real one speaks to one over HTTP through the kfp client."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.kfp_server import KfpServer, running

from music_flamingo import stages
from music_flamingo.core.errors import ConfigError, UserError
from music_flamingo.core.params import load_params
from pipelines.outline import Prices, Step, describe, fingerprints, read_outline
from pipelines.submit import MOST_BYTES, Request, follow, submit

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).resolve().parents[2]
PROFILES = sorted(p.stem for p in (ROOT / "pipelines/profiles").glob("*.yaml"))
DONE = {"state": "SUCCEEDED", "tasks": {"configure": "SUCCEEDED", "ingest": "SUCCEEDED"}}
STORY = [
    {"state": "RUNNING", "tasks": {"configure": "RUNNING"}},
    {"state": "RUNNING", "tasks": {"configure": "SUCCEEDED", "ingest": "RUNNING"}},
    DONE,
]


@pytest.fixture
def server():
    with running() as kfp:
        kfp.story = [*STORY]
        yield kfp


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def request_(tmp_path) -> Request:
    return Request(
        params=load_params(ROOT / "params.yaml"),
        profile=None,
        host=None,
        namespace=None,
        account=None,
        experiment="music-flamingo",
        branches=4,
        dry_run=False,
        follow=True,
        prices=Prices(0, 0, 0),
        timings=None,
        build=tmp_path / "build",
        record=tmp_path / "submitted.json",
    )


def go(asked: Request, server: KfpServer, shown: list[str], **changes) -> int:
    return submit(replace(asked, host=server.url, **changes), shown.append, every_s=0.02)


def test_a_run_is_uploaded_started_and_followed_to_its_success(server, request_, shown):
    assert go(request_, server, shown) == 0
    (version,) = server.versions
    (run,) = server.runs
    assert version["spec"]["pipelineInfo"]["name"] == "music-flamingo"
    assert run["pipeline_version_reference"] == {"pipeline_id": "p1", "pipeline_version_id": "v1"}
    assert json.loads(run["runtime_config"]["parameters"]["params"]) == json.loads(json.dumps(request_.params))
    told = [line for line in shown if line.endswith(("RUNNING", "SUCCEEDED"))]
    assert [" ".join(line.split()) for line in told] == [
        "configure RUNNING", "configure SUCCEEDED", "ingest RUNNING", "ingest SUCCEEDED", "run run-1: SUCCEEDED",
    ]  # fmt: skip


def test_steps_run_under_the_account_that_is_named(server, request_, shown):
    go(request_, server, shown, account="music-flamingo-runner")
    assert server.runs[0]["service_account"] == "music-flamingo-runner"


def test_what_is_there_already_is_not_uploaded_again(server, request_, shown):
    go(request_, server, shown)
    server.story = [DONE]
    go(request_, server, shown)
    assert (len(server.pipelines), len(server.versions), len(server.experiments), len(server.runs)) == (1, 1, 1, 2)


def test_a_failed_step_is_named_with_its_reason_and_ends_with_1(server, request_, shown):
    server.story = [{"state": "FAILED", "tasks": {"facts": "FAILED: no such model"}}]
    assert go(request_, server, shown) == 1
    assert any("facts" in line and "FAILED: no such model" in line for line in shown)
    assert not request_.record.exists()


def test_a_server_that_is_away_for_a_while_is_asked_again(server, request_, shown):
    server.failures = [503, 500]
    assert go(request_, server, shown) == 0


def test_what_succeeded_is_cached_the_next_time_and_what_changed_is_not(server, request_, shown):
    go(request_, server, shown)
    shown.clear()
    changed = dict(request_.params) | {"sft": {**request_.params["sft"], "steps": 499}}
    assert go(request_, server, shown, params=changed, dry_run=True) == 0
    cached = {line.split()[0]: line for line in shown if line[:1].isalpha()}
    for name in ("backbone", "validate"):
        assert " no " not in cached[name], cached[name]
    for name in ("sft", "reason", "warmup", "grpo", "evaluate", "release", "report"):
        assert " no " in cached[name], cached[name]
    assert any("run-1, which succeeded" in line for line in shown)


def test_parameters_that_a_stage_cannot_use_never_reach_the_server(server, request_, shown):
    with pytest.raises(ConfigError, match=r"sft\.steps"):
        go(request_, server, shown, params=dict(request_.params) | {"sft": {**request_.params["sft"], "steps": "many"}})
    assert not server.runs


def test_a_host_where_nothing_answers_and_a_run_that_is_not_there_are_said(server, request_, shown):
    with pytest.raises(UserError, match="cannot be reached"):
        submit(replace(request_, host="http://127.0.0.1:1"), shown.append)
    with pytest.raises(UserError, match="give --host URL"):
        submit(request_, shown.append)
    from pipelines.submit import connect

    with pytest.raises(UserError, match=r"404 .*run-9 is not there"):
        follow(connect(replace(request_, host=server.url)), "run-9", shown.append, 0.01)


@pytest.mark.parametrize("profile", [None, *(pytest.param(p, marks=pytest.mark.slow) for p in PROFILES)])
def test_the_dry_run_of_every_profile_needs_no_server_and_stays_under_a_megabyte(profile):
    chosen = ["--profile", profile] if profile else []
    done = subprocess.run(
        [sys.executable, "-m", "music_flamingo.cli", "submit", *chosen, "--dry-run", "--price-cpu", "0.04"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for name in stages.ORDER:
        assert f"\n{name} " in done.stdout
    assert "images: " in done.stdout
    package = ROOT / "build/pipelines" / (profile or "default") / "music-flamingo.yaml"
    assert package.stat().st_size < MOST_BYTES


def test_the_dry_run_counts_cost_from_timings(request_, shown, tmp_path):
    (tmp_path / "timings").mkdir()
    (tmp_path / "timings/sft.json").write_text('{"stage": "sft", "wall_s": 7200.0}')
    asked = replace(request_, dry_run=True, prices=Prices(1.0, 0.0, 0.0), timings=tmp_path / "timings")
    assert submit(asked, shown.append) == 0
    sft = next(s for s in read_outline(request_.build / "music-flamingo.yaml") if s.name == "sft")
    assert any(f"cost: {2 * sft.cpus:.2f} for 2.00 hours" in line for line in shown)


def test_quantities_read_as_kubernetes_writes_them(request_, shown):
    submit(replace(request_, dry_run=True), shown.append)
    steps = {s.name: s for s in read_outline(request_.build / "music-flamingo.yaml")}
    assert (steps["configure"].cpus, steps["configure"].memory_gib) == (0.1, 0.5)
    assert all(set(s.after) - {s.name} == set(s.after) for s in steps.values())


def test_downstream_of_a_step_that_always_runs_the_cache_is_a_maybe(request_):
    def step(name: str, cached: bool) -> Step:
        return Step(name, (), "image", "command", 1, 1, 0, 0, cached, False)

    steps = [step(name, name != "ingest") for name in stages.ORDER]
    before = {"run_id": "run-1", "fingerprints": fingerprints(steps, request_.params)}
    lines = describe(steps, request_.params, before, Prices(0, 0, 0), {}, 4)
    assert next(line for line in lines if line.startswith("ingest")).split()[-1] == "never"
    assert next(line for line in lines if line.startswith("facts")).split()[-1] == "maybe"
