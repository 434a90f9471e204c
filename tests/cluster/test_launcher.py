"""Jobs of many pods against an emulated Kubernetes API: every way in which one can end."""

import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace

import pytest
from kubernetes.client.rest import ApiException
from support.emulated_cluster import KINDS as EMULATED
from support.emulated_cluster import NAMESPACE, Running, container_status, evict, fail, hang, settings, succeed
from support.rights import granted

from music_flamingo.cluster.jobs import RESTARTS, StageJob, named
from music_flamingo.cluster.launcher import MAX_RESTARTS, JobFailedError, Launcher
from music_flamingo.cluster.watching import Patience, Retries
from music_flamingo.core.errors import UserError

pytest_plugins = ("support.emulated_cluster",)
pytestmark = pytest.mark.timeout(60)

WORK = StageJob(stage="sft", run_id="0f3c9a21-77aa", arguments=("-m", "music_flamingo.cli", "run", "sft"))
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "step-1", "uid": "u-1"}
KINDS = ("pytorchjob", "trainjob")
PLURALS = {f"{kind}s" for kind in KINDS}
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def within_the_rights_of_a_step(cluster):
    yield
    assert cluster.rights_used() <= granted("music-flamingo-runner")


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def launch(cluster, tmp_path, shown):
    def make(kind: str = "pytorchjob", **changed) -> Launcher:
        return Launcher(
            cluster.api,
            NAMESPACE,
            settings(kind, **changed),
            kept_log=tmp_path / "rank0.log",
            show=shown.append,
            patience=Patience(watch_s=5, pause_s=0.05, log_rest_s=2, forbidden_s=0.3),
        )

    return make


def name_of(launcher: Launcher, work: StageJob = WORK) -> str:
    return named(launcher.kind.render(launcher.settings, work), work, NAMESPACE, None)["metadata"]["name"]


@each_kind
def test_a_job_that_succeeds_leaves_its_log_shown_and_kept(cluster, launch, shown, tmp_path, kind):
    cluster.fates = [succeed("step 1 loss 2.0", "step 2 loss 1.5")]
    launch(kind).run(WORK, OWNER)
    assert shown == ["step 1 loss 2.0", "step 2 loss 1.5"]
    assert (tmp_path / "rank0.log").read_text() == "step 1 loss 2.0\nstep 2 loss 1.5\n"


@each_kind
def test_the_job_belongs_to_the_pod_of_the_step(cluster, launch, kind):
    cluster.fates = [succeed()]
    launcher = launch(kind)
    name = launcher.run(WORK, OWNER)
    assert cluster.job(name, launcher.kind.plural)["metadata"]["ownerReferences"] == [OWNER]


@each_kind
def test_a_failure_is_tried_again_and_its_success_counts(cluster, launch, shown, kind):
    cluster.fates = [fail(1, "NCCL timeout", "Error", "step 1"), succeed("step 2")]
    launcher = launch(kind)
    name = launcher.run(WORK)
    assert cluster.starts == [name, name]
    assert shown == ["step 1", "step 2"]
    assert cluster.job(name, launcher.kind.plural)["metadata"]["annotations"][RESTARTS] == "1"


def test_a_job_is_started_anew_three_times_at_most(cluster, launch):
    cluster.fates = [fail(1, "NCCL timeout") for _ in range(9)]
    with pytest.raises(JobFailedError, match=r"failed 4 times: pod .*-0 ended with exit status 1: NCCL timeout"):
        launch().run(WORK)
    assert len(cluster.starts) == MAX_RESTARTS + 1


def test_what_the_user_has_to_mend_is_not_tried_again(cluster, launch):
    cluster.fates = [fail(1, "mf: stage `sft` cannot use these parameters"), succeed()]
    with pytest.raises(JobFailedError, match=r"cannot use these parameters\. Mend that"):
        launch().run(WORK)
    assert len(cluster.starts) == 1


def test_a_pod_killed_for_memory_is_named_and_not_tried_again(cluster, launch):
    cluster.fates = [fail(137, reason="OOMKilled"), succeed()]
    with pytest.raises(JobFailedError, match=r"killed for memory \(OOMKilled\): give the stage more"):
        launch().run(WORK)
    assert len(cluster.starts) == 1


@each_kind
def test_an_evicted_pod_is_told_from_a_failure_of_its_peers(cluster, launch, caplog, kind):
    caplog.set_level("INFO")
    cluster.fates = [evict("step 1"), succeed("step 2")]
    launch(kind).run(WORK)
    assert "PreemptionByScheduler; start 1 of 3 anew" in caplog.text
    assert "NCCL" not in caplog.text


def test_evictions_without_end_give_up_with_another_remedy(cluster, launch):
    cluster.fates = [evict() for _ in range(9)]
    with pytest.raises(JobFailedError, match="when the cluster has room, or with a higher priority"):
        launch().run(WORK)


def test_a_running_job_is_adopted_and_goes_over_to_the_new_step(cluster, launch, caplog, shown):
    caplog.set_level("INFO")
    first = launch()
    name = name_of(first)
    cluster.fates = [succeed("step 1", "step 2", lasting_s=0.8)]
    first._submit(named(first.kind.render(first.settings, WORK), WORK, NAMESPACE, OWNER))
    launch().run(WORK, {**OWNER, "name": "step-2", "uid": "u-2"})
    assert cluster.starts == [name]
    assert "adopted" in caplog.text
    assert [o["uid"] for o in cluster.job(name)["metadata"]["ownerReferences"]] == ["u-2"]
    assert shown == ["step 1", "step 2"]


def test_a_job_that_has_succeeded_is_adopted_without_another_start(cluster, launch):
    cluster.fates = [succeed()]
    launch().run(WORK)
    launch().run(WORK)
    assert len(cluster.starts) == 1


def test_a_step_tried_again_after_a_final_failure_repeats_the_error_and_starts_nothing(cluster, launch):
    cluster.fates = [fail(1, "mf: the gate is closed"), succeed()]
    for _ in range(2):
        with pytest.raises(JobFailedError, match="the gate is closed"):
            launch().run(WORK)
    assert len(cluster.starts) == 1


def test_restarts_are_counted_over_the_tries_of_a_step(cluster, launch):
    cluster.fates = [fail(1) for _ in range(9)]
    for _ in range(2):
        with pytest.raises(JobFailedError):
            launch().run(WORK)
    assert len(cluster.starts) == MAX_RESTARTS + 1


@each_kind
def test_a_step_may_do_what_the_launcher_does_and_nothing_more(cluster, launch, kind):
    """Created, adopted, started anew, watched, its pods and log read: every right of the Role is used."""
    cluster.fates = [fail(1), succeed("step 1", lasting_s=0.3)]
    launcher = launch(kind)
    launcher._submit(named(launcher.kind.render(launcher.settings, WORK), WORK, NAMESPACE, OWNER))
    launch(kind).run(WORK, OWNER)
    others = {("argoproj.io", "workflowtaskresults", verb) for verb in ("create", "patch")}
    other_kind = {right for right in granted("music-flamingo-runner") if right[1] in PLURALS - {launcher.kind.plural}}
    assert cluster.rights_used() == granted("music-flamingo-runner") - others - other_kind


def test_the_same_work_has_one_name_and_other_work_another(launch):
    first = launch()
    assert name_of(first) == name_of(launch())
    other = {
        name_of(launch(nodes=4)),
        name_of(launch(image="other")),
        name_of(first, StageJob("sft", "else", WORK.arguments)),
    }
    assert len(other | {name_of(first)}) == 4
    assert len(name_of(first, StageJob("s" * 80, "Run_1", ()))) <= 63 - 17


def test_an_expired_watch_is_followed_by_reading_anew(cluster, launch):
    cluster.expire_watches = 3
    cluster.fates = [succeed("done", lasting_s=1.0)]
    launch().run(WORK)
    assert cluster.watches > 3


def test_an_end_that_comes_while_nobody_watches_is_seen(cluster, launch):
    """The watch says nothing of what happened before it: the resource itself is read first."""
    launcher = launch()
    cluster.fates = [succeed(lasting_s=0)]
    launcher._submit(named(launcher.kind.render(launcher.settings, WORK), WORK, NAMESPACE, None))
    time.sleep(0.5)
    launcher.run(WORK)
    assert cluster.watches == 0


def test_a_log_that_is_cut_off_comes_whole_and_once(cluster, launch, shown, tmp_path):
    lines = [f"step {i} loss {1 / (i + 1):.3f}" for i in range(40)]
    cluster.cuts = [100, 333, 57, 801]
    cluster.fates = [succeed(*lines, lasting_s=1.0)]
    launch().run(WORK)
    assert shown == lines
    assert (tmp_path / "rank0.log").read_text().splitlines() == lines
    assert not cluster.cuts


def test_lines_written_between_two_streams_are_not_lost(cluster, launch, shown):
    def slowly(cluster, running):
        pods = [cluster.add_pod(running, i) for i in range(2)]
        cluster.tell_condition(running, "Running")
        for i in range(60):
            cluster.write(pods[0], f"line {i}")
            time.sleep(0.01)
        for pod in pods:
            cluster.end_pod(pod, "Succeeded")
        cluster.tell_condition(running, "Succeeded")

    cluster.cuts = [200, 250, 300, 350]
    cluster.fates = [slowly]
    launch().run(WORK)
    assert shown == [f"line {i}" for i in range(60)]
    assert any("sinceSeconds" in request for request in cluster.log_requests)


def test_the_log_of_a_pod_that_was_replaced_is_not_taken_from_its_successor(cluster, launch, shown, tmp_path):
    running = Running("pytorchjobs", "job")
    cluster.add_pod(running, 0)
    follower = launch()._follower("job")
    (first,) = follower._pods()
    cluster.write(cluster.add_pod(running, 0), "of the second")
    # as when the pod is replaced between the look at it and the opening of its log
    assert list(follower._stream(first, None)) == []
    (second,) = follower._pods()
    assert b"of the second" in next(c for c in follower._stream(second, None) if c)


def test_two_equal_lines_are_two_lines(cluster, launch, shown):
    cluster.cuts = [90]
    cluster.fates = [succeed("same", "same", "same", lasting_s=0.5)]
    launch().run(WORK)
    assert shown == ["same"] * 3


def test_a_job_over_its_time_is_deleted_and_said_so(cluster, launch):
    cluster.fates = [hang]
    launcher = launch(timeout_s=1)
    with pytest.raises(JobFailedError, match="not done within 1 s and was deleted"):
        launcher.run(WORK)
    assert cluster.job(name_of(launcher)) is None


def test_a_job_deleted_from_outside_is_not_waited_for(cluster, launch):
    launcher = launch()

    def delete_later():
        time.sleep(0.4)
        launcher._delete(name_of(launcher))

    threading.Thread(target=delete_later).start()
    with pytest.raises(JobFailedError, match=r"deleted from outside\. Its checkpoints stay"):
        launcher.run(WORK)


def test_pods_that_cannot_start_say_why(cluster, launch, caplog):
    def stuck(cluster, running):
        pod = cluster.add_pod(running, 0)
        waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
        cluster.core.patch_namespaced_pod(
            pod,
            NAMESPACE,
            {"status": {"phase": "Pending", "containerStatuses": [container_status(waiting=waiting)]}},
        )

    cluster.fates = [stuck]
    with pytest.raises(JobFailedError, match=r"It waited: .*ImagePullBackOff: no such image"):
        launch(timeout_s=3).run(WORK)


def test_sigterm_deletes_the_job(cluster, tmp_path):
    script = textwrap.dedent(
        f"""
        import json, sys
        from pathlib import Path
        from kubernetes import client
        from music_flamingo.cluster.jobs import JobSettings, StageJob
        from music_flamingo.cluster.launcher import Launcher
        api = client.ApiClient(client.Configuration(host={cluster.url!r}))
        settings = JobSettings.model_validate_json({settings().model_dump_json()!r})
        print("ready", flush=True)
        Launcher(api, {NAMESPACE!r}, settings, Path({str(tmp_path)!r}) / "log").run(StageJob("sft", "r1", ()))
        """
    )
    step = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not cluster.starts and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    step.send_signal(signal.SIGTERM)
    out, err = step.communicate(timeout=20)
    assert step.returncode != 0, out
    assert "cancelled; the job is deleted" in err
    assert cluster.job(cluster.starts[0]) is None


def test_a_missing_right_is_named(cluster, launch):
    import kmock

    def forbidden(request):
        body = {"code": 403, "message": "pytorchjobs.kubeflow.org is forbidden"}
        return kmock.Response(payload=body, status=403)

    cluster.kmock["post"] << forbidden
    launcher = launch()
    launcher.patience = replace(launcher.patience, forbidden_s=0)
    with pytest.raises(UserError, match=r"refuses creating .*forbidden Give the service account this right"):
        launcher.run(WORK)


def answers(cluster, method: str, name: str, statuses) -> None:
    """The API answers so, before it answers as it should again."""
    import kmock

    left = iter(statuses)

    def shaky(request):
        status = next(left, None)
        if status is None:
            raise kmock.ReactionMismatchError
        return kmock.Response(payload={"code": status, "message": "no"}, status=status)

    cluster.kmock[method, f"/apis/kubeflow.org/v1/namespaces/{NAMESPACE}/pytorchjobs/{name}"] << shaky


def jobs_left(cluster) -> list[str]:
    return [n for (r, _, n), o in list(cluster.kmock.objects.items()) if r.plural in PLURALS and not o.deleted]


def test_refusals_that_pass_within_a_minute_end_nothing(cluster, launch):
    """As a server gives them while its authorizer fills."""
    launcher = launch()
    launcher.patience = replace(launcher.patience, forbidden_s=5)
    answers(cluster, "get", name_of(launcher), [403, 401, 403])
    cluster.fates = [succeed(lasting_s=1.0)]
    launcher.run(WORK)
    assert len(cluster.starts) == 1


def test_refusals_of_two_restarts_are_not_one_that_lasted():
    """An hour apart: the second begins a minute of its own."""
    clock = iter([0.0, 0.0, 3600.0, 3600.0, 3661.0])
    retries = Retries(Patience(forbidden_s=60), lambda: next(clock))
    refused = ApiException(status=403, reason="starting")
    assert not retries.is_final(refused, "get", lambda verb: False)
    retries.allowed("get")
    assert not retries.is_final(refused, "get", lambda verb: False)
    assert retries.is_final(refused, "get", lambda verb: False)


def test_a_refusal_that_lasts_is_not_final_while_the_review_gives_the_right():
    clock = iter([0.0, 0.0, 100.0, 100.0])
    retries = Retries(Patience(forbidden_s=60), lambda: next(clock))
    refused = ApiException(status=403, reason="starting")
    assert not retries.is_final(refused, "get", lambda verb: True)
    assert not retries.is_final(refused, "get", lambda verb: True)


def test_a_launcher_that_gives_up_deletes_its_job(cluster, launch):
    launcher = launch()
    answers(cluster, "get", name_of(launcher), [403] * 100)
    with pytest.raises(UserError, match=r"refuses reading pytorchjobs: 403.* was deleted, what it saved stays"):
        launcher.run(WORK)
    assert jobs_left(cluster) == []


def test_a_launcher_that_may_not_delete_names_what_it_leaves(cluster, launch):
    launcher = launch()
    launcher.patience = replace(launcher.patience, forbidden_s=0)
    for method in ("get", "delete"):
        answers(cluster, method, name_of(launcher), [403] * 100)
    with pytest.raises(UserError, match=rf"kubectl delete pytorchjobs.kubeflow.org {name_of(launcher)} -n {NAMESPACE}"):
        launcher.run(WORK)


def test_credentials_that_are_not_known_are_no_missing_right(cluster, launch):
    launcher = launch()
    launcher.patience = replace(launcher.patience, forbidden_s=0)
    answers(cluster, "get", name_of(launcher), [401] * 100)
    with pytest.raises(UserError, match=r"401.* renew the token"):
        launcher.run(WORK)


def test_a_watch_that_always_expires_is_asked_for_ever_more_rarely(cluster, launch):
    """For as long as nothing changes a compacted server answers 410: no hot loop."""
    cluster.expire_watches = 10**6
    launcher = launch(timeout_s=4)
    launcher.patience = replace(launcher.patience, pause_s=0.5)
    with pytest.raises(JobFailedError, match="not done within 4 s"):
        launcher.run(WORK)
    # pauses of 0.5, 1, 2 and 4 s; each try is one GET and one WATCH
    assert cluster.watches <= 4


def test_a_trainjob_whose_pods_no_node_takes_waits_and_says_why(cluster, launch):
    def unschedulable(cluster, running):
        cluster.tell(running, jobsStatus=[{"name": "node", "active": 1, "ready": 0}])
        time.sleep(0.3)
        # after the job's last change, as pods are judged after the job
        pod = cluster.add_pod(running, 0)
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}
        cluster.core.patch_namespaced_pod(pod, NAMESPACE, {"status": {"phase": "Pending", "conditions": [condition]}})

    cluster.fates = [unschedulable]
    with pytest.raises(JobFailedError, match=r"It waited: .*Unschedulable: no GPU"):
        launch("trainjob", timeout_s=2).run(WORK)


@each_kind
def test_the_job_s_own_deadline_comes_after_the_launcher_s(launch, kind):
    spec = launch(kind).kind.render(settings(kind, timeout_s=30), WORK)["spec"]
    assert spec.get("runPolicy", spec)["activeDeadlineSeconds"] > 30


def test_an_api_that_does_not_answer_for_a_while_is_waited_for(cluster, launch):
    import kmock

    failures = iter([500, 503, 500])

    def shaky(request):
        status = next(failures, None)
        if status is None:
            raise kmock.ReactionMismatchError
        return kmock.Response(payload={"message": "etcd"}, status=status)

    cluster.kmock["get", "/apis/kubeflow.org/v1/namespaces/music/pytorchjobs/" + name_of(launch())] << shaky
    cluster.fates = [succeed(lasting_s=0.3)]
    launch().run(WORK)
    assert next(failures, None) is None


def test_changes_that_an_api_in_trouble_refuses_are_made_again(cluster, launch):
    import kmock

    failures = iter([503, 429, 500])

    def shaky(request):
        status = next(failures, None)
        if status is None:
            raise kmock.ReactionMismatchError
        # the emulator has taken it by now, as a server may have whose answer got lost: the next try is told 409
        return kmock.Response(payload={"message": "etcd"}, status=status)

    cluster.kmock["post", "/apis/kubeflow.org/v1/namespaces/music/pytorchjobs"] << shaky
    cluster.fates = [evict(), succeed()]
    launch().run(WORK)
    assert len(cluster.starts) == 2


def suspended(cluster, running) -> None:
    """Kueue's webhook has suspended it at its creation; it says Running of a start whose pods it takes away."""
    part = {"runPolicy": {"suspend": True}} if running.plural == "pytorchjobs" else {"suspend": True}
    group, version = EMULATED[running.plural]
    cluster.custom.patch_namespaced_custom_object(
        group, version, NAMESPACE, running.plural, running.name, {"spec": part}
    )


@each_kind
def test_a_job_that_waits_in_a_queue_of_kueue_is_suspended_and_not_running(cluster, launch, caplog, kind):
    caplog.set_level("INFO")
    cluster.fates = [suspended]
    launcher = launch(kind, queue="music", timeout_s=2)
    with pytest.raises(JobFailedError, match=r"It waited: in the queue music of Kueue"):
        launcher.run(WORK)
    assert "suspended, in the queue music of Kueue" in caplog.text


@each_kind
def test_a_queue_is_a_label_of_the_job_and_no_part_of_its_name(launch, kind):
    with_queue, without = launch(kind, queue="music"), launch(kind)
    job = named(with_queue.kind.render(with_queue.settings, WORK), WORK, NAMESPACE, None)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "music"
    assert job["metadata"]["name"] == name_of(without)


def test_a_job_that_kueue_takes_back_is_not_running_any_more(launch):
    kind = launch().kind
    running = {"conditions": [{"type": "Running", "status": "True"}]}
    assert kind.condition({"spec": {"runPolicy": {"suspend": True}}, "status": running}).phase == "suspended"
    assert kind.condition({"spec": {"runPolicy": {"suspend": False}}, "status": running}).phase == "running"
