"""docs/kubernetes.md and docs/reference/cluster.md: their commands are taken, and what they show is what is printed."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from manifests.validation.render import RenderError, command, overlays, render
from music_flamingo.cli import build_parser

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/kubernetes.md").read_text()
REFERENCE = (ROOT / "docs/reference/cluster.md").read_text()
ELSEWHERE = {"ml-pipeline"}
"""Services that Kubeflow Pipelines brings."""


def commands(text: str, program: str) -> list[list[str]]:
    """The words of each command of the page's blocks, without variables before and comments behind."""
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
    lines = [re.sub(r"^(\$ )?(\w+=\S+ )*", "", line) for line in blocks.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith(f"{program} ")]


@pytest.mark.parametrize("text", [PAGE, REFERENCE], ids=["kubernetes", "cluster"])
def test_the_commands_are_ones_that_mf_takes(text):
    found = commands(text, "mf")
    assert len(found) >= 3
    for words in found:
        build_parser().parse_args(words)


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", PAGE)) <= targets


def test_overlays_have_as_many_resources_as_the_page_says_and_their_services_exist():
    try:
        command()
    except RenderError as error:
        pytest.skip(str(error))
    rendered = {overlay.name: render(overlay) for overlay in overlays()}
    told = dict(re.findall(r"^([a-z0-9-]+) +(\d+) resources +0 violations", PAGE, re.MULTILINE))
    assert told == {name: str(len(resources)) for name, resources in rendered.items()}
    named = {(r["kind"], r["metadata"]["name"]) for resources in rendered.values() for r in resources}
    for service in set(re.findall(r"\bsvc/([a-z-]+)", PAGE)) - ELSEWHERE:
        assert ("Service", service) in named
    for account in re.findall(r"--account (\S+)", PAGE):
        assert ("ServiceAccount", account) in named


def test_the_dry_run_prints_what_the_page_shows():
    shown = PAGE.partition("$ mf submit --profile smoke --dry-run\n")[2].partition("```")[0]
    done = subprocess.run(
        [sys.executable, "-m", "music_flamingo.cli", "submit", "--profile", "smoke", "--dry-run"],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    printed = [line.rstrip() for line in done.stdout.splitlines()]
    expected = [line.rstrip() for line in shown.splitlines() if line != "..."]
    assert len(expected) > 5
    assert [line for line in expected if line not in printed] == []


def test_teachers_find_their_weights_where_the_page_puts_them():
    """The folders of the bucket that the page fills are those that the InferenceServices read."""
    wanted = {
        uri.rpartition("/")[2]
        for path in (ROOT / "manifests/components/teachers").glob("*.yaml")
        for uri in re.findall(r"storageUri: (s3://music-flamingo/models/\S+)", path.read_text())
    }
    [models] = re.findall(r"^for model in (.*); do$", PAGE, re.MULTILINE)
    assert set(models.split()) == wanted
