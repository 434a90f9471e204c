"""Compiled pipelines, for every profile: small, placed, cached where they are pure, and never retried blindly."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from music_flamingo.stages import BRANCHED, ORDER
from pipelines.jobs import BY_JOB
from pipelines.outline import fingerprints, read_outline
from pipelines.parameters import default_params
from pipelines.placement import HARDWARE, LAUNCHES, ON_GPUS, placement

ROOT = Path(__file__).resolve().parents[2]
FILES = {path.stem: path for path in (ROOT / "pipelines/profiles").glob("*.yaml")}
PROFILES = ["default", *sorted({*FILES, *HARDWARE})]
WORDS = (
    "TEACHER_CACHE_CLAIM",
    "TEACHER_KEY_SECRET",
    "SONGS_SECRET",
    "MODELS_CLAIM",
    "RUN_STORE",
    "RUN_STORE_SECRET",
    "CHECKPOINT_STORE",
    "FUSE",
)
MOST_BYTES = 1_000_000


COMPILE = """
import json, os, sys
from pathlib import Path
BY_JOB = ("paper",)
for file, folder in json.loads(sys.argv[1]):
    os.environ["PROFILE"] = file
    if Path(file).stem in BY_JOB:
        os.environ["JOB_CLAIM"] = "music-flamingo-runs"
    else:
        os.environ.pop("JOB_CLAIM", None)
    for name in [n for n in sys.modules if n.partition(".")[0] == "pipelines"]:
        del sys.modules[name]
    from pipelines.__main__ import compile_one, main, music_flamingo
    if Path(folder).name.startswith("default"):
        main(Path(folder))
    else:
        compile_one(music_flamingo, Path(folder) / "music_flamingo.yaml")
"""
"""All in one process: importing kfp takes longer than compiling. The default as `make compile` does it."""


def compile_for(folders: dict[str, Path], **words: str) -> None:
    pairs = []
    for profile, folder in folders.items():
        file = FILES.get(profile, folder / "given" / f"{profile}.yaml")
        if profile not in FILES:  # placement knows more profiles than there are files of parameters
            file.parent.mkdir()
            file.write_text("{}\n")
        pairs.append((str(file), str(folder)))
    own = {k: v for k, v in os.environ.items() if k not in (*WORDS, "PROFILE")}
    command = [sys.executable, "-c", COMPILE, json.dumps(pairs)]
    subprocess.run(command, cwd=ROOT, env={**own, **words}, check=True, capture_output=True)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> dict[str, Path]:
    folders = {profile: tmp_path_factory.mktemp(profile) for profile in PROFILES}
    compile_for(folders)
    return folders


@cache
def documents(path: Path) -> tuple[dict, dict]:
    """(pipeline, executors' settings for Kubernetes) of a compiled pipeline."""
    spec, platform = yaml.load_all(path.read_text(), yaml.CSafeLoader)
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return spec, {name.removeprefix("exec-"): settings for name, settings in executors.items()}


def tasks(spec: dict) -> dict[str, dict]:
    graphs = [spec["root"], *spec["components"].values()]
    return {name: task for graph in graphs if "dag" in graph for name, task in graph["dag"]["tasks"].items()}


def launches_a_job(executor: dict) -> bool:
    return "MF_JOB" in {entry["name"] for entry in executor["container"].get("env", [])}


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_compiled_is_small(compiled, profile):
    made = (
        [compiled[profile] / "music_flamingo.yaml"] if profile != "default" else list(compiled[profile].glob("*.yaml"))
    )
    assert len(made) == (1 if profile != "default" else 6)
    assert all(path.stat().st_size < MOST_BYTES for path in made)


@pytest.mark.parametrize("profile", PROFILES)
def test_kubeflow_retries_nothing_since_it_would_retry_every_failure_alike(compiled, profile):
    spec, _ = documents(compiled[profile] / "music_flamingo.yaml")
    assert not [task for task, settings in tasks(spec).items() if "retryPolicy" in settings]


def test_only_what_reads_the_outside_world_or_the_code_is_kept_from_the_cache(compiled):
    spec, _ = documents(compiled["default"] / "music_flamingo.yaml")
    cached = {name: task.get("cachingOptions", {}).get("enableCache") for name, task in tasks(spec).items()}
    graphs = {name for name, task in tasks(spec).items() if "dag" in spec["components"][task["componentRef"]["name"]]}
    assert {name for name, on in cached.items() if not on} - graphs == {"configure", "ingest", "outcome"}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_step_has_a_timeout_memory_and_a_user_that_is_not_root(compiled, profile):
    spec, kubernetes = documents(compiled[profile] / "music_flamingo.yaml")
    for name, executor in spec["deploymentSpec"]["executors"].items():
        step = name.removeprefix("exec-")
        wanted, settings = placement(step, profile), kubernetes[step]
        assert int(settings["activeDeadlineSeconds"]) == placement(step, profile).timeout_s
        assert settings["securityContext"] == {"runAsUser": "1000", "runAsGroup": "1000", "runAsNonRoot": True}
        asked = executor["container"]["resources"]
        if launches_a_job(executor):
            wanted = LAUNCHES
        assert asked["resourceMemoryLimit"] == asked["resourceMemoryRequest"] == wanted.memory
        assert asked["resourceCpuRequest"] == wanted.cpu


@pytest.mark.parametrize("profile", PROFILES)
def test_gpus_their_nodes_and_shared_memory_go_to_the_stages_that_run_full_networks(compiled, profile):
    spec, kubernetes = documents(compiled[profile] / "music_flamingo.yaml")
    executors = spec["deploymentSpec"]["executors"]
    on_gpus = {n.removeprefix("exec-") for n, e in executors.items() if "accelerator" in e["container"]["resources"]}
    if profile not in HARDWARE:
        assert on_gpus == set()
        return
    hardware = HARDWARE[profile]
    launching = {n.removeprefix("exec-") for n, e in executors.items() if launches_a_job(e)}
    assert launching == (set(BY_JOB) if profile == "paper" else set())
    assert on_gpus == set(ON_GPUS) - launching
    for step in on_gpus:
        accelerator = executors[f"exec-{step}"]["container"]["resources"]["accelerator"]
        assert accelerator["resourceType"] == "nvidia.com/gpu"
        assert accelerator["resourceCount"] == str(hardware.gpus)
        assert kubernetes[step]["nodeSelector"] == {"labels": {"nvidia.com/gpu.product": hardware.gpu_product}}
        [toleration] = kubernetes[step]["tolerations"]
        assert toleration == {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
        [shm] = kubernetes[step]["emptyDirMounts"]
        assert (shm["mountPath"], shm["medium"], shm["sizeLimit"]) == ("/dev/shm", "Memory", hardware.shm)


def test_the_parameters_of_a_run_are_few(compiled):
    given = {}
    for name in ("annotation", "training", "music_flamingo"):
        spec, _ = documents(compiled["default"] / f"{name}.yaml")
        given[name] = set(spec["root"]["inputDefinitions"]["parameters"])
    assert given["music_flamingo"] == given["annotation"] == {"params", "profile", "branches"}
    assert given["training"] == {"params", "profile", "skills_uri", "facts_uri", "tracks_uri"}


def test_fused_steps_stand_in_place_of_those_they_hold_and_are_placed(tmp_path):
    compile_for({"smoke": tmp_path}, FUSE="1", TEACHER_CACHE_CLAIM="calls")
    steps = {step.name: step for step in read_outline(tmp_path / "music_flamingo.yaml")}
    assert not {"captions", "synthesize", *(f"collect-{name}" for name in BRANCHED)} & set(steps)
    assert {name for step in steps.values() for name in step.stages} == set(ORDER)
    assert steps["captions-synthesize"].fans_out and not steps["collect-annotation"].fans_out
    _, kubernetes = documents(tmp_path / "music_flamingo.yaml")
    assert {"captions-synthesize", "collect-annotation"} <= {n for n, s in kubernetes.items() if "pvcMount" in s}
    assert fingerprints(list(steps.values()), json.loads(default_params()))["captions"]


def test_claims_and_secrets_are_named_by_the_environment_and_hold_no_value(tmp_path):
    words = {"MODELS_CLAIM": "weights", "RUN_STORE": "http://seaweedfs.kubeflow:9000", "RUN_STORE_SECRET": "store"}
    compile_for({"smoke": tmp_path}, **words)
    _, kubernetes = documents(tmp_path / "music_flamingo.yaml")
    mounts = {step: s["pvcMount"][0]["mountPath"] for step, s in kubernetes.items() if "pvcMount" in s}
    assert mounts == dict.fromkeys(("facts", "collect-facts", "backbone"), "/models")
    for step in kubernetes:
        [secret] = kubernetes[step]["secretAsEnv"]
        assert [(k["envVar"], k["secretKey"]) for k in secret["keyToEnv"]] == [
            ("RUN_STORE_ACCESS_KEY", "accesskey"),
            ("RUN_STORE_SECRET_KEY", "secretkey"),
        ]
