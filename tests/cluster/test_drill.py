"""A worker taken away from a running job: the step starts it anew, and the drill counts what is done again."""

import threading
import time

import pytest
from support.emulated_cluster import NAMESPACE, container_status, settings

from music_flamingo.cluster.drill import Drill, lost
from music_flamingo.cluster.jobs import StageJob
from music_flamingo.cluster.launcher import Launcher
from music_flamingo.cluster.watching import Patience
from music_flamingo.core.errors import UserError
from music_flamingo.core.progress import Progress

pytest_plugins = ("support.emulated_cluster",)
pytestmark = pytest.mark.timeout(60)

PATIENCE = Patience(watch_s=5, pause_s=0.05, log_rest_s=2, forbidden_s=0.3)


def progress(done: int, of: int) -> str:
    """As a training writes it."""
    shown = Progress("sft", of, "steps")
    shown.done = done
    return shown.line()


def loses_its_worker(cluster, running) -> None:
    """Trains until its worker's pod is gone, and fails then for want of its peer."""
    pods = [cluster.add_pod(running, index) for index in range(2)]
    cluster.write(pods[0], progress(37, 100))
    cluster.tell_condition(running, "Running")
    while cluster._has_pod(pods[1]):
        time.sleep(0.02)
    end = {"exitCode": 1, "reason": "Error", "message": "NCCL error: remote process exited"}
    cluster.end_pod(pods[0], "Failed", containerStatuses=[container_status(terminated=end)])
    cluster.tell_condition(running, "Failed", "1 replica failed")


def goes_on_from_step_30(cluster, running) -> None:
    pods = [cluster.add_pod(running, index) for index in range(2)]
    cluster.tell_condition(running, "Running")
    cluster.write(pods[0], progress(0, 70))
    time.sleep(1.5)
    for pod in pods:
        cluster.end_pod(pod, "Succeeded")
    cluster.tell_condition(running, "Succeeded")


@pytest.mark.parametrize("kind", ["pytorchjob", "trainjob"])
def test_the_drill_says_how_many_steps_are_done_again(cluster, tmp_path, kind):
    cluster.fates = [loses_its_worker, goes_on_from_step_30]
    launcher = Launcher(cluster.api, NAMESPACE, settings(kind), tmp_path / "log", lambda _: None, PATIENCE)
    step = threading.Thread(target=launcher.run, args=(StageJob("sft", "r", ()),))
    step.start()
    while not any(log and log.lines for log in cluster.logs.values()):
        time.sleep(0.05)
    time.sleep(0.3)
    report = Drill(cluster.api, NAMESPACE, within_s=20, patience=PATIENCE).run()
    step.join(20)
    assert report.pod.endswith("-1"), "the pod of rank 0 stays"
    assert report.lost_steps == 7
    assert len(cluster.starts) == 2
    assert "7 steps are done again" in report.line()


def test_without_a_running_job_the_drill_says_what_to_do(cluster):
    with pytest.raises(UserError, match="0 training jobs of ours run in music: submit one first"):
        Drill(cluster.api, NAMESPACE, patience=PATIENCE).run()


def test_steps_that_the_log_does_not_tell_are_unknown():
    assert lost(None, (0, 70)) is None
    assert lost((37, 100), None) is None
    assert lost((30, 100), (1, 70)) == 0
