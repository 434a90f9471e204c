"""One rendering of the manifests applied over another meets immutable fields only where the guide names them."""

import copy
import itertools
import re
from pathlib import Path

import pytest

from manifests.validation.render import RenderError, command, overlays, render
from manifests.validation.upgrades import IMMUTABLE, MUTABLE, SOON_S, refused, unknown_fields

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/kubernetes.md").read_text()
NAMES = [overlay.name for overlay in overlays()]
CLAIM, MINIO = "PersistentVolumeClaim music-flamingo-runs", "StatefulSet minio"
TO_A_LARGER_WORLD = {
    (CLAIM, "spec.accessModes is immutable"),
    (MINIO, "spec.volumeClaimTemplates is immutable"),
}
"""From one machine to several."""


@pytest.fixture(scope="module")
def rendered():
    try:
        command()
    except RenderError as error:
        pytest.skip(str(error))
    return {overlay.name: render(overlay) for overlay in overlays()}


def said(before: list, after: list) -> set[tuple[str, str]]:
    return {(name, what) for name, what, _ in refused(before, after)}


def retagged(resources: list) -> list:
    """As of another version: every image of ours has another tag."""
    text = copy.deepcopy(resources)

    def walk(part):
        if isinstance(part, dict):
            return {k: walk(v) for k, v in part.items()}
        if isinstance(part, list):
            return [walk(v) for v in part]
        return re.sub(r"^(music-flamingo/[a-z-]+):.*", r"\1:9.9.9", part) if isinstance(part, str) else part

    return walk(text)


@pytest.mark.parametrize("overlay", NAMES)
def test_another_version_of_an_overlay_is_applied_without_a_refusal(rendered, overlay):
    after = retagged(rendered[overlay])
    assert after != rendered[overlay]
    assert refused(rendered[overlay], after) == []


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(NAMES, 2)))
def test_from_one_overlay_to_another_only_what_the_guide_names_is_refused(rendered, before, after):
    found = said(rendered[before], rendered[after])
    shrinks = {line for line in found if line[1].endswith("only grows")}
    assert found - shrinks <= TO_A_LARGER_WORLD, found
    if not shrinks and found:
        assert all(name.split()[1] in PAGE for name, _ in found)


def test_from_kind_to_production_are_two_immutable_fields_and_both_have_a_way(rendered):
    lines = refused(rendered["kind"], rendered["production"])
    assert {(name, what) for name, what, _ in lines} == TO_A_LARGER_WORLD
    assert "--cascade=orphan" in next(way for name, _, way in lines if name == MINIO)
    assert "--cascade=orphan" in PAGE


@pytest.mark.parametrize("overlay", NAMES)
def test_it_is_known_of_every_kind_what_may_change(rendered, overlay):
    assert {r["kind"] for r in rendered[overlay]} <= IMMUTABLE.keys() | MUTABLE


def test_every_immutable_field_is_one_that_its_schema_has():
    assert unknown_fields() == []


def change(resources: list, kind: str, apply) -> list:
    changed = copy.deepcopy(resources)
    apply(next(r for r in changed if r["kind"] == kind))
    return changed


CHANGES = {
    "Deployment": lambda r: r["spec"]["selector"]["matchLabels"].update(other="label"),
    "Service": lambda r: r["spec"].update(clusterIP="None" if r["spec"].get("clusterIP") != "None" else "10.0.0.1"),
    "RoleBinding": lambda r: r["roleRef"].update(name="other"),
    "PriorityClass": lambda r: r.update(value=7),
    "StatefulSet": lambda r: r["spec"].update(serviceName="other"),
    "InferenceService": lambda r: r["metadata"]["annotations"].update({"serving.kserve.io/deploymentMode": "Knative"}),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_of_an_immutable_field_is_found(rendered, kind):
    [line] = refused(rendered["production"], change(rendered["production"], kind, CHANGES[kind]))
    assert line[0].startswith(kind)
    assert line[2], "it has a way"


def test_a_claim_that_shrinks_is_found(rendered):
    smaller = change(
        rendered["production"],
        "PersistentVolumeClaim",
        lambda r: r["spec"]["resources"]["requests"].update(storage="1Mi"),
    )
    assert [what for _, what, _ in refused(rendered["production"], smaller)] == [
        "spec.resources.requests.storage only grows"
    ]


def test_a_job_that_is_kept_for_a_day_would_stand_in_the_way(rendered):
    kept = change(rendered["kind"], "Job", lambda r: r["spec"].update(ttlSecondsAfterFinished=SOON_S + 1))
    assert "spec.template is immutable" in {what for _, what, _ in refused(kept, retagged(kept))}
