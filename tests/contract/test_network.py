"""Who may speak with whom: what the network policies of an overlay let through, as a cluster's network applies them."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

import pytest
from support.emulated_cluster import settings

from manifests.validation.pods import pods_of
from manifests.validation.references import matches
from manifests.validation.render import OVERLAYS, RenderError, command, render
from music_flamingo.cluster.kinds import kind_of

HERE = "music-flamingo"
GATEWAY, KUBEFLOW, MONITORING, NODES = "istio-system", "kubeflow", "monitoring", "kube-system"
MEETING, DATA = 29500, 40000
"""Ports of training: torchrun's, and one of those that NCCL takes."""


@dataclass(frozen=True)
class End:
    """One end of a connection: pods of a namespace by their labels, or an address outside."""

    labels: tuple[tuple[str, str], ...] = ()
    namespace: str = HERE
    address: str = ""


def of(selector: str) -> End:
    """The pods that a label selector of the launcher finds."""
    return End(tuple(sorted(tuple(part.split("=")) for part in selector.split(","))))


JOB, TRAINJOB = (of(kind_of(settings(kind)).first_pod("job")) for kind in ("pytorchjob", "trainjob"))
STEP = End((("workflows.argoproj.io/workflow", "run-1"),))
DNS = End((("k8s-app", "kube-dns"),), NODES)
API = End(address="10.96.0.1")
METADATA = End(address="169.254.169.254")
OUTSIDE = End(address="52.216.0.1")
MADE_ELSEWHERE = {"step": STEP, "job": JOB, "trainjob": TRAINJOB}
TEACHERS = {"vllm-text", "vllm-audio", "vllm-judge"}


def render_or_skip(overlay: str) -> list[dict]:
    try:
        command()
    except RenderError as error:
        pytest.skip(str(error))
    return render(OVERLAYS / overlay)


@pytest.fixture(scope="module")
def resources() -> list[dict]:
    """The overlay that has the most: production, with monitoring."""
    return render_or_skip("monitored-canary")


def ends_of(resources: list[dict]) -> dict[str, End]:
    """Name -> the pods that a resource makes, and those that controllers make for it."""
    found = {
        r["metadata"]["name"]: End(tuple(sorted(p.labels.items())))
        for r in resources
        for p in pods_of(r)
        if p.labels and r["kind"] != "ClusterTrainingRuntime"
    }
    return found | MADE_ELSEWHERE


def lets_through(resources: list[dict], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection is allowed at both of its ends, as far as they lie in this namespace."""
    policies = [r["spec"] for r in resources if r["kind"] == "NetworkPolicy"]
    out = _passes(policies, source, target, "Egress", port, protocol)
    return out and _passes(policies, target, source, "Ingress", port, protocol)


def _passes(policies: list[Mapping], own: End, other: End, way: str, port: int, protocol: str) -> bool:
    if own.namespace != HERE or own.address:
        return True
    mine = [p for p in policies if way in p["policyTypes"] and matches(p.get("podSelector") or {}, dict(own.labels))]
    side = "to" if way == "Egress" else "from"
    return not mine or any(
        any(_is_peer(peer, other) for peer in rule[side]) and any(_is_port(p, port, protocol) for p in rule["ports"])
        for policy in mine
        for rule in policy.get(way.lower()) or ()
    )


def _is_peer(peer: Mapping, end: End) -> bool:
    if block := peer.get("ipBlock"):
        inside = bool(end.address) and ip_address(end.address) in ip_network(block["cidr"])
        return inside and not any(ip_address(end.address) in ip_network(e) for e in block.get("except") or ())
    if end.address:
        return False
    if "namespaceSelector" not in peer and end.namespace != HERE:
        return False
    space = {"kubernetes.io/metadata.name": end.namespace}
    return matches(peer.get("namespaceSelector") or {}, space) and matches(
        peer.get("podSelector") or {}, dict(end.labels)
    )


def _is_port(entry: Mapping, port: int, protocol: str) -> bool:
    return entry["protocol"] == protocol and entry["port"] <= port <= entry.get("endPort", entry["port"])


def flows(resources: list[dict]) -> Iterator[tuple[str, str, int]]:
    """All that may happen inside the namespace, at the ports that something listens on."""
    ends = ends_of(resources)
    for source, a in ends.items():
        for target, b in ends.items():
            for port in (5000, 6006, 8000, 8080, 9000, MEETING, DATA):
                if lets_through(resources, a, b, port):
                    yield source, target, port


NEEDED = {
    *((who, "minio", 9000) for who in ("step", "job", "trainjob", "music-flamingo", "minio-setup", *TEACHERS)),
    *(("step", teacher, 8000) for teacher in TEACHERS),
    ("step", "transcription", 8000),
    *((who, "mlflow", 5000) for who in ("step", "job", "trainjob")),
    ("step", "music-flamingo", 8080),
    *((kind, kind, port) for kind in ("job", "trainjob") for port in (MEETING, DATA)),
}


def test_inside_the_namespace_what_is_needed_passes_and_nothing_else(resources):
    assert set(flows(resources)) == NEEDED


def crossing(resources: list[dict]) -> set[tuple[str, str, int]]:
    """What passes between pods here and what lies elsewhere."""
    ends, away = ends_of(resources), {
        "gateway": End(namespace=GATEWAY),
        "kubeflow": End(namespace=KUBEFLOW),
        "steps in kubeflow": End(STEP.labels, KUBEFLOW),
        "prometheus and collector": End(namespace=MONITORING),
        "another namespace": End(namespace="default"),
        "api": API,
        "metadata": METADATA,
        "outside": OUTSIDE,
    }  # fmt: skip
    ports = (80, 443, 4318, 5000, 6006, 6443, 8000, 8080, 8333, 8887, 8888, 9000)
    pairs = [(n, a, m, b) for n, a in ends.items() for m, b in away.items()]
    found = {(n, m, port) for n, a, m, b in pairs for port in ports if lets_through(resources, a, b, port)}
    found |= {(m, n, port) for n, a, m, b in pairs for port in ports if lets_through(resources, b, a, port)}
    return found | {(n, "dns", 53) for n, a in ends.items() if lets_through(resources, a, DNS, 53, "UDP")}


def test_out_of_the_namespace_and_into_it_what_is_needed_passes_and_nothing_else(resources):
    kfp = {("step", to, port) for to in ("kubeflow", "steps in kubeflow") for port in (8887, 8888, 8080, 9000, 8333)}
    stores = {
        (job, to, p) for job in ("job", "trainjob") for to in ("kubeflow", "steps in kubeflow") for p in (9000, 8333)
    }
    people = {("gateway", "music-flamingo", 8080), ("gateway", "mlflow", 5000), ("gateway", "tensorboard", 6006)}
    asked = {("steps in kubeflow", who, 8000) for who in (*TEACHERS, "transcription")}
    shown = {(who, "minio", 9000) for who in ("kubeflow", "steps in kubeflow")}
    api = {("step", "api", 443), ("step", "api", 6443)}
    names = {(who, "dns", 53) for who in ends_of(resources)}
    watched = {(who, "prometheus and collector", 4318) for who in ("step", "job", "trainjob")}
    watched |= {("prometheus and collector", "music-flamingo", 8080)}
    assert crossing(resources) == {
        *kfp, *stores, *people, *asked, *shown, *api, *names, *watched
    }  # fmt: skip


def test_every_policy_is_needed(resources):
    """Without any one of them something that is needed does not pass, or something that is not does."""
    whole = set(flows(resources)) | crossing(resources)
    for policy in [r for r in resources if r["kind"] == "NetworkPolicy"]:
        rest = [r for r in copy.copy(resources) if r is not policy]
        assert set(flows(rest)) | crossing(rest) != whole, policy["metadata"]["name"]


def test_with_a_store_outside_its_users_reach_it_and_no_metadata_service():
    resources = render_or_skip("external-s3")
    ends = ends_of(resources)
    users = {name for name, end in ends.items() if lets_through(resources, end, OUTSIDE, 443)}
    assert users == {"step", "job", "trainjob", "music-flamingo", *TEACHERS}
    for end in ends.values():
        assert not lets_through(resources, end, METADATA, 443)
        assert not lets_through(resources, end, METADATA, 80)
        assert not lets_through(resources, end, OUTSIDE, 80)
