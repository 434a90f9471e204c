"""Launcher and deploy under an API server that restarts, refuses, expires versions and loses answers: nothing is lost.

A hundred random schedules of each, apart from the default run: on a busy machine a log ends before it is read.
Every wait is a twentieth of what it is by default.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.emulated_cluster import KINDS, NAMESPACE, EmulatedCluster, Fate, evict, fail, hang, settings, succeed
from support.emulated_kserve import KServe, served, the_service
from support.shaky_api import KINDS as TROUBLE
from support.shaky_api import Phase, schedule

from music_flamingo.cluster.deploy import CanaryGate, Deployment, RolledBackError
from music_flamingo.cluster.jobs import StageJob
from music_flamingo.cluster.launcher import Cancelled, JobFailedError, Launcher
from music_flamingo.cluster.scraping import through_api
from music_flamingo.cluster.watching import Patience
from music_flamingo.core.errors import UserError

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

PACE = 20
"""So much faster than by default."""
PATIENCE = Patience(
    watch_s=60 / PACE,
    pause_s=2 / PACE,
    longest_pause_s=30 / PACE,
    insist_s=300 / PACE,
    forbidden_s=60 / PACE,
    # not a twentieth: on a machine that is busy a slow test is no lost line
    log_rest_s=15.0,
    answer_s=30 / PACE,
)
MOST_A_SECOND = 2.0
"""Requests, by default, while nothing changes."""
WORK = StageJob("sft", "0f3c9a21", ("-m", "music_flamingo.cli", "run", "sft"))
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "step-1", "uid": "u-1"}
URI, SHA = "s3://models/releases/abab", "ab" * 32
SOME = (0, 1, 3, 5, 8, 10, 13, 15, 17, 22)
REST = sorted({*range(100)} - {*SOME})
seeds = pytest.mark.parametrize("chosen", [pytest.param(SOME, id="ten"), pytest.param(REST, id="ninety", marks=())])


@contextlib.contextmanager
def running() -> Iterator[EmulatedCluster]:
    cluster = EmulatedCluster()
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


@dataclass(frozen=True)
class Course:
    """What becomes of a job, and what the launcher has to make of it."""

    name: str
    fates: tuple[Fate, ...]
    lines: tuple[str, ...] = ()
    """Of the log, in order, each once."""
    raises: type[BaseException] | None = None
    words: str = ""
    timeout_s: int = 30
    job_stays: bool = True
    """Finished jobs are kept for a week; one that is not wanted any more goes."""


def lines(word: str) -> tuple[str, ...]:
    return tuple(f"{word} {i}" for i in range(8))


COURSES = (
    Course("succeeds", (succeed(*lines("a"), lasting_s=1.6),), lines("a")),
    Course(
        "fails, then succeeds",
        (fail(1, "NCCL", "Error", *lines("a")), succeed(*lines("b"), lasting_s=1.2)),
        lines("a") + lines("b"),
    ),
    Course(
        "is taken away, then succeeds",
        (evict(*lines("a")), succeed(*lines("b"), lasting_s=1.2)),
        lines("a") + lines("b"),
    ),
    Course(
        "has to be mended",
        (fail(1, "mf: the gate is closed", "Error", *lines("a")),),
        lines("a"),
        JobFailedError,
        "the gate is closed. Mend that",
    ),
    Course("hangs", (hang,), (), JobFailedError, "not done within 2 s", timeout_s=2, job_stays=False),
    Course("is cancelled", (hang,), (), Cancelled, job_stays=False),
)


def left(cluster: EmulatedCluster) -> list[str]:
    return [n for (r, _, n), o in cluster.objects() if r.plural in KINDS and not o.deleted]


def launch(cluster: EmulatedCluster, course: Course, kind: str, log: Path, shown: list[str]) -> None:
    asked = settings(kind, timeout_s=course.timeout_s)
    Launcher(cluster.api, NAMESPACE, asked, log, shown.append, PATIENCE).run(WORK, OWNER)


def sent_after(seconds: float, number: signal.Signals) -> threading.Timer:
    timer = threading.Timer(seconds, lambda: os.kill(os.getpid(), number))
    timer.start()
    return timer


def one_job(seed: int, folder: Path) -> dict[str, int]:
    """A job of a random course under a random schedule; gives what its requests met."""
    draw = random.Random(seed)
    course, kind = draw.choice(COURSES), draw.choice(["pytorchjob", "trainjob"])
    shown: list[str] = []
    with running() as cluster:
        cluster.fates = list(course.fates)
        shaky = cluster.behind(schedule(seed, within_s=1.5), seed)
        ended: BaseException | None = None
        timer = sent_after(draw.uniform(0.3, 1.5), signal.SIGTERM) if course.raises is Cancelled else None
        try:
            launch(cluster, course, kind, folder / f"{seed}.log", shown)
        except (JobFailedError, Cancelled) as error:
            ended = error
        if timer:
            timer.join()
        about = f"seed {seed}: a {kind} that {course.name}, {shaky.phases}: {ended!r}, {shown}, {cluster.starts}"
        assert type(ended) is (course.raises or type(None)), about
        assert course.words in str(ended), about
        if course.raises is not Cancelled:
            assert shown == list(course.lines), about
            assert len(cluster.starts) == len(course.fates), about
        assert bool(left(cluster)) == course.job_stays, about
        return shaky.hits


@seeds
def test_no_schedule_loses_a_job_or_a_line_or_leaves_a_job_behind(tmp_path, chosen):
    met: dict[str, int] = {}
    for seed in chosen:
        for kind, count in one_job(seed, tmp_path).items():
            met[kind] = met.get(kind, 0) + count
    # ten schedules may miss a kind of trouble: which they meet depends on how busy the machine is
    assert len(met) >= len(TROUBLE) - (len(chosen) < len(REST)), met


GATE = CanaryGate(hold_s=1.2, min_requests=20, patience_s=5.0, max_error_rate=0.05, max_p95_s=1.0, ready_within_s=8.0)


class Killed(BaseException):
    """As by SIGKILL: nothing is cleaned up."""


@dataclass(frozen=True)
class Rollout:
    """How a release behaves, and what has to serve in the end."""

    name: str
    serves: str | None
    error_share: float = 0.0
    comes_up: bool = True
    is_first: bool = False
    interrupts: bool = False
    """Ctrl-C at any moment: either release may serve then, and no canary."""
    killed: str = ""
    """What follows on a killed `mf deploy`: `again` or `rollback`."""


ROLLOUTS = (
    Rollout("is good", SHA),
    Rollout("fails", None, error_share=0.3),
    Rollout("does not come up", None, comes_up=False),
    Rollout("is interrupted", None, interrupts=True),
    Rollout("is killed and deployed again", SHA, killed="again"),
    Rollout("is killed and rolled back", None, killed="rollback"),
    Rollout("is the first", SHA, is_first=True),
    Rollout("is the first and does not come up", None, is_first=True, comes_up=False),
)


def deployment(cluster: EmulatedCluster, rollout: Rollout) -> Deployment:
    patience = replace(PATIENCE, answer_s=0.25)
    gate = GATE if rollout.comes_up else replace(GATE, ready_within_s=2.5)
    measure = through_api(cluster.api, NAMESPACE, patience)
    return Deployment(cluster.api, NAMESPACE, "music-flamingo", gate, measure, patience)


def killed_in(going: Deployment, tick: int) -> None:
    ticks = iter(range(tick))

    def sleep(seconds: float) -> None:
        if next(ticks, None) is None:
            raise Killed
        time.sleep(seconds)

    going.sleep = sleep


def roll_out(cluster: EmulatedCluster, rollout: Rollout, draw: random.Random) -> BaseException | None:
    """Deploy as this course says; gives what it ended with."""
    going = deployment(cluster, rollout)
    timer = sent_after(draw.uniform(0.1, 3.0), signal.SIGINT) if rollout.interrupts else None
    try:
        if rollout.killed:
            killed_in(going, draw.randint(0, 20))
            with contextlib.suppress(Killed):
                going.roll_out(URI, SHA)
            going = deployment(cluster, rollout)
        if rollout.killed == "rollback":
            going.roll_back()
        else:
            going.roll_out(URI, SHA)
    except (RolledBackError, KeyboardInterrupt) as error:
        return error
    finally:
        if timer:
            timer.cancel()
            timer.join()
    return None


def one_rollout(seed: int) -> dict[str, int]:
    """A release of a random course under a random schedule; gives what its requests met."""
    draw = random.Random(seed)
    rollout = draw.choice(ROLLOUTS)
    with running() as cluster:
        kserve = KServe(cluster, serves=not rollout.is_first)
        kserve.error_share, kserve.comes_up = rollout.error_share, rollout.comes_up
        shaky = cluster.behind(schedule(seed, within_s=2.5, most=5), seed)
        ended = roll_out(cluster, rollout, draw)
        service = kserve.service()
        kserve.stop()
        about = f"seed {seed}: a release that {rollout.name}, {shaky.phases}: {ended!r}, {kserve.history}"
        assert not service["spec"].get("canary"), about
        assert served(service) in ((None, SHA) if rollout.interrupts else (rollout.serves,)), about
        if served(service) is None:
            assert service["spec"]["predictor"] == the_service()["spec"]["predictor"], about
        assert isinstance(ended, RolledBackError) == (served(service) is None and rollout.killed != "rollback"), about
        return shaky.hits


@seeds
def test_no_schedule_leaves_a_canary_that_nobody_judged_or_loses_a_good_release(chosen):
    met: dict[str, int] = {}
    for seed in chosen:
        for kind, count in one_rollout(seed).items():
            met[kind] = met.get(kind, 0) + count
    # ten schedules may miss a kind of trouble: which they meet depends on how busy the machine is
    assert len(met) >= len(TROUBLE) - (len(chosen) < len(REST)), met


ALWAYS = ("calm", "expired", "ended", "cut", "trouble", "restart")
"""What the API does for as long as it is watched."""
SETTLED_S, WATCHED_S = 3.0, 15.0
GIVES_UP = Patience(insist_s=0.1)


def test_a_launcher_asks_twice_a_second_at_most_whatever_the_api_does_to_it(tmp_path):
    """With the pauses of production: jobs that run and say nothing new, each behind a server of its own."""
    with running() as cluster:
        servers = {kind: cluster.behind([Phase(1.0, 3600.0, kind)]) for kind in ALWAYS}
        for kind, shaky in servers.items():
            # every stream that is open by then ends
            shaky.phases.insert(0, Phase(0.9, 1.0, "cut"))
            launcher = Launcher(shaky.api, NAMESPACE, settings(timeout_s=18), tmp_path / kind, patience=GIVES_UP)
            threading.Thread(target=tried, args=(launcher, StageJob("sft", kind, ())), daemon=True).start()
        time.sleep(SETTLED_S + WATCHED_S)
        assert len(cluster.starts) == len(ALWAYS)
        rates = {kind: shaky.idle_rate(SETTLED_S, SETTLED_S + WATCHED_S) for kind, shaky in servers.items()}
    assert max(rates.values()) <= MOST_A_SECOND, rates
    assert min(rates.values()) > 0, rates


def tried(launcher: Launcher, work: StageJob) -> None:
    """It gives up in its own time, when nobody looks any more."""
    with contextlib.suppress(UserError):
        launcher.run(work)
