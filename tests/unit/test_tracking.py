"""Onlookers are told what the log says, go on after an interruption, and change nothing."""

import json
import logging
import socket

import pytest
from support import tiny_world as world
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from music_flamingo.core.errors import UserError
from music_flamingo.training import tracking as module
from music_flamingo.training.settings import MLflow
from music_flamingo.training.tracking import EventFiles, MLflowRun

STEPS = 3


def mlflow():
    """The library, imported by the tests that need it: it takes over a second."""
    import mlflow

    return mlflow


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """(data, tracking settings, digests with and without onlookers) of sft, warmup and grpo."""
    root = tmp_path_factory.mktemp("tracking")
    settings = {
        "tensorboard": str(root / "events"),
        "mlflow": {"uri": f"file:{root}/runs", "experiment": "tiny"},
    }
    digests = {}
    for name, tracking in (("with", settings), ("without", world.TRACKING)):
        world.write_ports(root / name)
        world.run("backbone", root / name)
        for stage in ("sft", "warmup", "grpo"):
            changes = {"steps": STEPS, "tracking": tracking}
            for port, manifest in world.run(stage, root / name, **changes).items():
                digests[name, port] = (manifest.digest, manifest.key)
    return root / "with", settings, digests


def log_of(data, stage):
    return [json.loads(line) for line in (data / f"{stage}_model/log.jsonl").read_text().splitlines()]


def test_results_and_keys_do_not_depend_on_onlookers(told):
    _, _, digests = told
    for port in ("sft_model", "warmup_model", "grpo_model"):
        assert digests["with", port] == digests["without", port]


@pytest.mark.parametrize("stage", ["sft", "warmup", "grpo"])
def test_tensorboard_reads_the_numbers_of_the_log(told, stage):
    data, settings, _ = told
    events = EventAccumulator(f"{settings['tensorboard']}/{stage}").Reload()
    lines = log_of(data, stage)
    names = {name for line in lines for name, value in line.items() if isinstance(value, float)}
    assert "loss" in names and set(events.Tags()["scalars"]) == names
    for name in names:
        logged = {line["step"]: line[name] for line in lines if line.get(name) is not None}
        assert {e.step: e.value for e in events.Scalars(name)} == pytest.approx(logged, rel=1e-6)


@pytest.mark.parametrize("stage", ["sft", "warmup", "grpo"])
def test_mlflow_keeps_a_finished_run_of_each_stage_with_the_numbers_of_the_log(told, stage):
    data, settings, _ = told
    client = mlflow().MlflowClient(tracking_uri=settings["mlflow"]["uri"])
    experiment = client.get_experiment_by_name("tiny")
    (run,) = [r for r in client.search_runs([experiment.experiment_id]) if r.info.run_name == stage]
    assert run.info.status == "FINISHED"
    losses = {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, "loss")}
    assert losses == {line["step"]: line["loss"] for line in log_of(data, stage)}


def test_after_an_interruption_tensorboard_drops_the_steps_that_come_again(tmp_path):
    first = EventFiles(tmp_path, from_step=0)
    for step in (1, 2, 3):
        first.tell(step, {"loss": 10.0 + step})
    first.keep()
    again = EventFiles(tmp_path, from_step=2)
    again.tell(3, {"loss": 3.0})
    again.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(1, 11.0), (2, 12.0), (3, 3.0)]


def test_after_an_interruption_mlflows_run_goes_on(tmp_path):
    settings = MLflow(uri=f"file:{tmp_path}/runs", experiment="tiny")
    for step in (1, 2):
        run = MLflowRun(settings, "sft", tmp_path / "number")
        run.tell(step, {"loss": float(step)})
    run.close()
    client = mlflow().MlflowClient(tracking_uri=settings.uri)
    (found,) = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert found.info.status == "FINISHED"
    assert [m.value for m in client.get_metric_history(found.info.run_id, "loss")] == [1.0, 2.0]


def test_a_server_that_is_lost_stops_nothing_and_is_told_later(tmp_path, monkeypatch, caplog):
    run = MLflowRun(MLflow(uri=f"file:{tmp_path}/runs", experiment="tiny"), "sft", tmp_path / "number")
    there, run_id = run._client, run._run_id
    with monkeypatch.context() as lost, caplog.at_level(logging.WARNING):
        lost.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        lost.setattr(run, "_client", mlflow().MlflowClient(tracking_uri=f"http://127.0.0.1:{free_port()}"))
        run.tell(1, {"loss": 1.0})
        run.tell(2, {"loss": 2.0})
    assert len(caplog.records) == 1, "warned once"
    run.tell(3, {"loss": 3.0})
    assert there.get_metric_history(run_id, "loss") == [], "not asked again at every step"
    run.keep()
    assert [m.value for m in there.get_metric_history(run_id, "loss")] == [1.0, 2.0, 3.0]


def test_a_server_that_was_never_there_is_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings = MLflow(uri=f"http://127.0.0.1:{free_port()}", experiment="tiny")
    with pytest.raises(UserError, match=r"sft\.tracking\.mlflow"):
        MLflowRun(settings, "sft", tmp_path / "number")


def test_more_numbers_than_mlflow_takes_at_once_are_sent_in_turn(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    run = MLflowRun(MLflow(uri=f"file:{tmp_path}/runs", experiment="tiny"), "sft", tmp_path / "number")
    run.tell(1, dict.fromkeys("abcde", 1.0))
    assert set(run._client.get_run(run._run_id).data.metrics) == set("abcde")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
