"""A run is one trace: stages, requests within them, and what they cost, over OTLP to a real protocol's reader."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.collector import Collector

from music_flamingo.core.telemetry import ENDPOINT, RUN, for_children, is_on, outgoing, span

ROOT = Path(__file__).resolve().parents[2]
STAGE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from music_flamingo.core.http import Endpoint, JsonClient, RequestBody
from music_flamingo.core.identity import Closure
from music_flamingo.core.ports import Writer
from music_flamingo.core.record import Record
from music_flamingo.core.stage import Stage, StageConfig, execute

url, folder = sys.argv[1], Path(sys.argv[2])
ASKED = Endpoint(base_url=url, api_key_env=None, timeout_s=5.0, max_tries=1, first_wait_s=0.0, max_wait_s=0.0)

class Config(StageConfig):
    pass

def run(config: Config, rows: Writer) -> dict:
    with JsonClient(ASKED, seed=0) as client, ThreadPoolExecutor(1) as pool:
        said = pool.submit(lambda: client.post("/ask", lambda _: RequestBody(json={}), dict, call="a")).result()
    assert said.value == {"said": "yes"}
    rows.write(0, [Record(id="a", status="ok"), Record(id="b", status="quarantined:silent")])
    return {}

stage = Stage("listen", Config, {}, {"rows": Record}, run)
Stage.code = lambda self: Closure()  # this script lies in no module
execute(stage, "{}", {}, {"rows": folder / "rows"})
"""
SUBMITTED = "from music_flamingo.core import telemetry; telemetry.run_ended('run-1', 1.0, succeeded=True)"


def in_a_pod(code: str, collector: Collector, *arguments: str, **environment: str) -> None:
    own = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "MF_", "TRACEPARENT"))}
    environment = {ENDPOINT: collector.url, RUN: "run-1", **environment}
    command = [sys.executable, "-c", code, collector.url, *arguments]
    subprocess.run(command, cwd=ROOT, env={**own, **environment}, check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    with Collector() as found:
        in_a_pod(STAGE, found, str(tmp_path_factory.mktemp("a")))
        in_a_pod(SUBMITTED, found)
        yield found


def test_stage_request_and_run_are_one_trace_without_a_word_between_the_pods(collector):
    run, stage, request = (collector.named(n) for n in ("run", "stage listen", "POST /ask"))
    assert run.trace_id == stage.trace_id == request.trace_id
    assert not run.parent_span_id
    assert stage.parent_span_id == run.span_id
    assert request.parent_span_id == stage.span_id


def test_a_server_that_is_asked_can_join_the_trace(collector):
    [headers] = collector.asked_with
    asked = collector.named("POST /ask")
    assert headers["traceparent"] == f"00-{asked.trace_id.hex()}-{asked.span_id.hex()}-01"


def test_records_by_status_and_cost_are_metrics(collector):
    records = {(a["port"], a["status"]): n for a, n in collector.points["music_flamingo.stage.records"]}
    assert records == {("rows", "ok"): 1, ("rows", "quarantined:silent"): 1}
    of, cpu_s = collector.points["music_flamingo.stage.cpu"][-1]
    assert of == {"stage": "listen"} and 0 <= cpu_s < 60
    assert collector.points["music_flamingo.stage.memory"][0][1] > 1e6


def test_a_job_goes_on_with_the_trace_of_the_step_that_launches_it(tmp_path):
    launch = (
        "import json, sys; from pathlib import Path; from music_flamingo.core import telemetry\n"
        "with telemetry.span('job sft'): Path(sys.argv[2]).write_text(json.dumps(telemetry.for_children()))"
    )
    with Collector() as found:
        in_a_pod(launch, found, str(tmp_path / "environment"))
        in_a_pod(STAGE, found, str(tmp_path), **json.loads((tmp_path / "environment").read_text()))
        assert found.named("stage listen").parent_span_id == found.named("job sft").span_id


def test_a_collector_that_is_away_holds_no_stage_up(tmp_path):
    with Collector() as found:
        in_a_pod(STAGE, found, str(tmp_path), **{ENDPOINT: "http://127.0.0.1:9"})
        assert found.spans == []
    assert (tmp_path / "rows/_manifest.json").is_file()


def test_without_an_endpoint_nothing_is_loaded(monkeypatch):
    monkeypatch.delenv(ENDPOINT, raising=False)
    with span("anything", key="value") as note:
        note(more=1)
        assert (is_on(), outgoing(), for_children()) == (False, {}, {})
    loaded = "import sys, music_flamingo.core.stage; sys.exit('opentelemetry' in sys.modules)"
    subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, check=True)
