"""What the code imports is what its image installs: imported where every other package is hidden."""

import ast
import json
import re
import subprocess
import sys
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest

from music_flamingo.prompts import load
from music_flamingo.serving.bundle import RELEASE_FILE, ReleaseInfo, seal

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src/music_flamingo"
OWN = {"music_flamingo", "pipelines"}
PROMPT = "question"
OPTIONAL = {"vllm"}
"""Asked for by a parameter, and named with a remedy where it is missing."""

HIDE = """
import json, sys
from importlib.machinery import PathFinder

modules, distributions = map(set, json.loads(sys.argv[1]))

class Without:
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in modules else PathFinder.find_spec(name, path, target)

    def find_distributions(*context):
        return (d for d in PathFinder.find_distributions(*context) if d.name not in distributions)

    invalidate_caches = PathFinder.invalidate_caches

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
exec(sys.argv[2])
"""
"""As if these modules and distributions were not installed: code that asks whether they are is told that too."""


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_by(*files: str) -> set[str]:
    """Distributions that these lists of requirements install."""
    lines = [line for f in files for line in (ROOT / f"requirements/{f}.txt").read_text().splitlines()]
    return {plain(line.partition("==")[0]) for line in lines if line and not line.startswith("#")}


BASE = installed_by("base", "no-deps")
SERVE_GPU = installed_by("serve-gpu")


def run(code: str, has: set[str]) -> subprocess.CompletedProcess[str]:
    """Run Python where only these distributions (and the standard library) can be imported."""
    own = "music-flamingo-kubeflow"
    modules = [m for m, of in packages_distributions().items() if not {plain(d) for d in of} & {*has, own}]
    lacking = [d.name for d in distributions() if plain(d.name) not in {*has, own}]
    command = [sys.executable, "-c", HIDE, json.dumps([modules, lacking]), code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_every_import_in_the_code_is_a_package_of_the_base_image():
    where = packages_distributions()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            for top in {name.partition(".")[0] for name in names} - OWN - OPTIONAL:
                known = top in sys.stdlib_module_names or {plain(d) for d in where.get(top, ())} & BASE
                assert known, f"{path}: {top} is not in requirements/base.txt"


def test_serving_and_the_launcher_import_nothing_that_the_base_image_lacks():
    """Their own imports and those of the packages below them."""
    modules = [
        f"music_flamingo.{p.parent.name}.{p.stem}" for d in ("serving", "cluster") for p in PACKAGE.glob(f"{d}/*.py")
    ]
    code = (
        f"import importlib\nfor m in {sorted(modules)}:\n    importlib.import_module(m)\nimport kserve, minio, uvicorn"
    )
    done = run(code, BASE)
    assert done.returncode == 0, done.stderr[-2000:]
    assert run("import pytest", BASE).returncode != 0, "what the image lacks is hidden"


@pytest.fixture
def release(tmp_path) -> Path:
    """Sealed as the stage seals one; what its weights say is of no matter here."""
    info = ReleaseInfo(
        status="released", reasons=[], name="music-flamingo", think=True, prompt_id=PROMPT,
        prompt_sha256=load(PROMPT).sha256, max_new_tokens=8, max_audio_s=6.0, questions=[],
        teacher="scripted", parents={},
    )  # fmt: skip
    (tmp_path / RELEASE_FILE).write_text(info.model_dump_json())
    seal(tmp_path)
    return tmp_path


def test_the_gpu_image_verifies_a_release_with_what_it_has(release):
    """vLLM's own packages are not here: what `mf verify` imports must be among the few that are."""
    code = "import sys\nfrom music_flamingo.cli import main\nsys.exit(main(['verify', '--release', {!r}{}]))"
    done = run(code.format(str(release), ""), SERVE_GPU)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "every byte of" in done.stdout
    another = run(code.format(str(release), ", '--sha256', '00'"), SERVE_GPU)
    assert another.returncode != 0
    assert "is not the release that was deployed" in another.stderr


def test_the_gpu_image_has_what_vllm_decodes_audio_by():
    """vLLM's extra `audio`: without it every recording is refused."""
    assert {"av", "soundfile", "soxr", "scipy"} <= SERVE_GPU


def test_music_flamingo_is_served_by_a_vllm_that_the_plugin_was_tried_on():
    version = re.search(r"^vllm==(.*)", (ROOT / "requirements/serve-gpu.txt").read_text(), re.MULTILINE)
    assert version[1] in ("0.24.0", "0.30.0", "0.32.0")
    assert "--reasoning-parser=music_flamingo" in (ROOT / "manifests/components/gpu-serving/runtime.yaml").read_text()


def test_grpo_with_vllm_has_the_packages_that_training_was_tried_with():
    """One list that resolves; what it pins is what requirements/base.txt pins, but for what vLLM itself holds back."""
    pins = {}
    for name in ("base", "train-vllm"):
        text = (ROOT / f"requirements/{name}.txt").read_text()
        pins[name] = dict(re.findall(r"^([\w.-]+)(?:\[\w+\])?==(\S+)", text, re.MULTILINE))
    asked = re.findall(r"^([\w-]+)==", (ROOT / "requirements/train-vllm.in").read_text(), re.MULTILINE)
    assert {"torch", "transformers", "trl", "accelerate", "peft", "deepspeed", "datasets"} <= set(asked)
    assert {name: pins["train-vllm"][name] for name in asked} == {name: pins["base"][name] for name in asked}
    assert pins["train-vllm"]["vllm"].startswith("0.30.")
    assert "requirements/train-vllm.in" in (ROOT / "Makefile").read_text()
