"""`mf doctor`: what a cluster lacks for a profile, before anything is submitted, each with the line that mends it.

Only reads, reviews of rights and creations that the API server is asked to forget (dry run) are sent. What this user
may not see is said to be unseen, and is no fault.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from music_flamingo.cluster import rights
from music_flamingo.cluster.admission import refusals
from music_flamingo.cluster.jobs import Resource
from music_flamingo.cluster.kinds import kind_of
from music_flamingo.cluster.looking import Looking, Unseen
from music_flamingo.cluster.nodes import no_room
from music_flamingo.cluster.workload import Workload, trial_job

State = Literal["ok", "missing", "unseen"]
OLDEST_SERVER, OLDEST_KSERVE, OLDEST_PIPELINES = "1.29", "0.20", "2.17"
MANIFESTS = "kubectl apply -k manifests/overlays/OVERLAY"
INSTALL = {
    "kubeflow.org/v1": "install the Kubeflow training operator 1.9, or submit with JOB_KIND=trainjob",
    "trainer.kubeflow.org/v1alpha1": "install Kubeflow Trainer v2, which brings JobSet, then "
    "kubectl apply -k manifests/components/trainer",
    "jobset.x-k8s.io/v1alpha2": "install JobSet: Kubeflow Trainer v2 makes its pods by it",
    "serving.kserve.io/v1beta1": "install KServe 0.20 or newer in standard (raw deployment) mode",
    "gateway.networking.k8s.io/v1": "install the Gateway API's CRDs and a controller: KServe splits requests by it",
    "argoproj.io/v1alpha1": "install Kubeflow Pipelines 2.17, which brings Argo Workflows",
}
"""API group and version -> the line that brings it."""


@dataclass(frozen=True)
class ClusterFinding:
    """One looked-at property of a cluster."""

    topic: str
    state: State
    words: str
    remedy: str = ""

    def line(self) -> str:
        """The finding as text, its remedy below it."""
        text = f"{self.state:8s}{self.topic:12s}{self.words}"
        return f"{text}\n{'':20s}-> {self.remedy}" if self.remedy else text


@dataclass(frozen=True)
class Patient:
    """A namespace of a cluster, and what is to run in it."""

    looking: Looking
    namespace: str
    workload: Workload
    account: str
    """Of the pipeline's steps."""

    def findings(self) -> Iterator[ClusterFinding]:
        """Every property in turn. Raises UserError where the API does not answer."""
        for topic, check in self._checks():
            try:
                yield from check()
            except Unseen as error:
                yield ClusterFinding(topic, "unseen", f"this user may not read {error}")

    def _checks(self) -> list[tuple[str, Callable[[], Iterator[ClusterFinding]]]]:
        return [
            ("server", self._server),
            ("namespace", self._namespace),
            ("kinds", self._kinds),
            ("pipelines", self._pipelines),
            ("kserve", self._kserve),
            ("gateway", self._gateway),
            ("accounts", self._accounts),
            ("rights", self._rights),
            ("secrets", self._secrets),
            ("claims", self._claims),
            ("limits", self._limits),
            ("quota", self._quota),
            ("jobs", self._jobs),
            ("queues", self._queues),
            ("nodes", self._nodes),
        ]

    @property
    def _in(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}"

    def _server(self) -> Iterator[ClusterFinding]:
        version = self.looking.get("/version") or {}
        said = f"{version.get('major', '0')}.{version.get('minor', '0')}"
        is_new = _at_least(said, OLDEST_SERVER)
        yield _judged("server", f"Kubernetes {said}", "" if is_new else f"upgrade it to {OLDEST_SERVER} or newer")

    def _namespace(self) -> Iterator[ClusterFinding]:
        there = self.looking.has(self._in)
        words = self.namespace if there else f"there is no namespace {self.namespace}"
        yield _judged("namespace", words, "" if there else f"kubectl create namespace {self.namespace}; {MANIFESTS}")

    def _kinds(self) -> Iterator[ClusterFinding]:
        wanted = {"argoproj.io/v1alpha1": "workflows", "serving.kserve.io/v1beta1": "inferenceservices"}
        wanted["gateway.networking.k8s.io/v1"] = "httproutes"
        for job in self.workload.jobs.values():
            kind = kind_of(job)
            wanted[f"{kind.group}/{kind.version}"] = kind.plural
            if job.kind == "trainjob":
                wanted["jobset.x-k8s.io/v1alpha2"] = "jobsets"
        for version, plural in sorted(wanted.items()):
            served = (self.looking.get(f"/apis/{version}") or {}).get("resources", [])
            there = any(r["name"] == plural for r in served)
            words = f"{plural} of {version}" if there else f"the server knows no {plural} of {version}"
            yield _judged("kinds", words, "" if there else INSTALL[version])

    def _pipelines(self) -> Iterator[ClusterFinding]:
        service = "/api/v1/namespaces/kubeflow/services/ml-pipeline:8888/proxy/apis/v2beta1/healthz"
        health = self.looking.get(service)
        if health is None:
            yield _judged("pipelines", "no service ml-pipeline in kubeflow", "install Kubeflow Pipelines 2.17")
            return
        tag = str(health.get("tag_name") or "unknown")
        old = tag[:1].isdigit() and not _at_least(tag, OLDEST_PIPELINES)
        yield _judged("pipelines", f"Kubeflow Pipelines {tag}", "upgrade Kubeflow Pipelines to 2.17" if old else "")

    def _kserve(self) -> Iterator[ClusterFinding]:
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/inferenceservices.serving.kserve.io"
        found = self.looking.get(path)
        if found is None:
            return
        schema = next(v for v in found["spec"]["versions"] if v["name"] == "v1beta1")["schema"]["openAPIV3Schema"]
        knows = "canary" in schema["properties"]["spec"]["properties"]
        words = "InferenceServices have canaries" if knows else "InferenceServices have no `canary`: KServe is too old"
        yield _judged("kserve", words, "" if knows else f"upgrade KServe to {OLDEST_KSERVE} or newer")

    def _gateway(self) -> Iterator[ClusterFinding]:
        gateways = self.looking.items("/apis/gateway.networking.k8s.io/v1/gateways")
        ready = [g["metadata"]["name"] for g in gateways if _has_condition(g, "Programmed")]
        remedy = "" if ready else "create a Gateway and name it in KServe's ConfigMap inferenceservice-config (ingress)"
        yield _judged("gateway", f"Gateway {ready[0]}" if ready else "no Gateway that is programmed", remedy)

    def _accounts(self) -> Iterator[ClusterFinding]:
        for account in sorted({self.account, *(job.service_account for job in self.workload.jobs.values())}):
            there = self.looking.has(f"{self._in}/serviceaccounts/{account}")
            words = account if there else f"there is no service account {account}"
            yield _judged("accounts", words, "" if there else MANIFESTS)

    def _rights(self) -> Iterator[ClusterFinding]:
        needed = rights.of_steps({kind_of(job).plural for job in self.workload.jobs.values()})
        user = f"system:serviceaccount:{self.namespace}:{self.account}"
        lacking = [r for r in sorted(needed) if not self.looking.allows(user, self.namespace, *r)]
        for group, resource, verb in lacking:
            where = f"{resource}.{group}" if group else resource
            words = f"{self.account} may not {verb} {where}"
            yield _judged("rights", words, f"{MANIFESTS} (manifests/base/rights.yaml)")
        if not lacking:
            yield _judged("rights", f"{self.account} has the {len(needed)} rights of the steps", "")

    def _secrets(self) -> Iterator[ClusterFinding]:
        for secret in self.workload.secrets:
            there = self.looking.has(f"{self._in}/secrets/{secret}")
            words = secret if there else f"there is no secret {secret}"
            mend = f"kubectl create secret generic {secret} -n {self.namespace} --from-literal=KEY=VALUE"
            yield _judged("secrets", words, "" if there else mend)

    def _claims(self) -> Iterator[ClusterFinding]:
        for claim in self.workload.claims:
            found = self.looking.get(f"{self._in}/persistentvolumeclaims/{claim}")
            yield _judged("claims", *self._of_claim(claim, found))

    def _of_claim(self, claim: str, found: Resource | None) -> tuple[str, str]:
        if found is None:
            return f"there is no volume claim {claim}", MANIFESTS
        if (found.get("status") or {}).get("phase") == "Bound":
            return f"{claim} is bound", ""
        wanted = found["spec"].get("storageClassName")
        classes = self.looking.items("/apis/storage.k8s.io/v1/storageclasses")
        names = [c["metadata"]["name"] for c in classes]
        if wanted and wanted not in names:
            return f"{claim} wants the storage class {wanted}", f"make that class, or name one of: {', '.join(names)}"
        default = "storageclass.kubernetes.io/is-default-class"
        if not wanted and not any(c["metadata"].get("annotations", {}).get(default) == "true" for c in classes):
            mend = f"kubectl annotate storageclass {names[0] if names else 'NAME'} {default}=true"
            return f"{claim} names no storage class, and none is the default", mend
        return f"{claim} is not bound yet; its class binds it with the first pod, or a volume is made by hand", ""

    def _limits(self) -> Iterator[ClusterFinding]:
        ranges = [{"kind": "LimitRange", **item} for item in self.looking.items(f"{self._in}/limitranges")]
        quotas = [{"kind": "ResourceQuota", **item} for item in self.looking.items(f"{self._in}/resourcequotas")]
        refused = 0
        for step in self.workload.steps:
            for what, count, pod in step.pods():
                for line in refusals(pod, [*ranges, *quotas], count):
                    refused += 1
                    yield _judged("limits", f"{what}: {line}", f"kubectl edit limits,quota -n {self.namespace}")
        if not refused:
            words = f"{len(ranges)} LimitRanges and {len(quotas)} quotas admit all {len(self.workload.steps)} steps"
            yield _judged("limits", words, "")

    def _quota(self) -> Iterator[ClusterFinding]:
        for quota in self.looking.items(f"{self._in}/resourcequotas"):
            hard, used = quota["spec"]["hard"], (quota.get("status") or {}).get("used", {})
            full = [what for what in hard if what in used and used[what] == hard[what] and hard[what] != "0"]
            name = quota["metadata"]["name"]
            words = f"{name} is used up: {', '.join(full)}" if full else f"{name} has room"
            yield _judged("quota", words, f"kubectl describe quota {name} -n {self.namespace}" if full else "")

    def _jobs(self) -> Iterator[ClusterFinding]:
        """What webhooks, schemas and policies say of each job, by a creation that is not kept."""
        for step, job in self.workload.jobs.items():
            kind = kind_of(job)
            path = f"/apis/{kind.group}/{kind.version}/namespaces/{self.namespace}/{kind.plural}"
            refusal = self.looking.refusal(path, trial_job(job, self.namespace))
            words = f"the job of {step} is refused: {refusal}" if refusal else f"the job of {step} is taken"
            yield _judged("jobs", words, "mend what the webhook or policy names" if refusal else "")
            if job.kind == "trainjob":
                there = self.looking.has(f"/apis/trainer.kubeflow.org/v1alpha1/clustertrainingruntimes/{job.runtime}")
                words = f"runtime {job.runtime}" if there else f"there is no ClusterTrainingRuntime {job.runtime}"
                yield _judged("jobs", words, "" if there else "kubectl apply -k manifests/components/trainer")

    def _queues(self) -> Iterator[ClusterFinding]:
        """Queues of Kueue that jobs name, of either version of its API."""
        for queue in sorted({job.queue for job in self.workload.jobs.values() if job.queue}):
            places = [
                f"/apis/kueue.x-k8s.io/{v}/namespaces/{self.namespace}/localqueues" for v in ("v1beta2", "v1beta1")
            ]
            there = any(self.looking.has(f"{place}/{queue}") for place in places)
            words = f"queue {queue}" if there else f"there is no LocalQueue {queue}"
            mend = "install Kueue and make the LocalQueue, or compile without KUEUE_QUEUE"
            yield _judged("queues", words, "" if there else mend)

    def _nodes(self) -> Iterator[ClusterFinding]:
        nodes = self.looking.items("/api/v1/nodes")
        lacking = 0
        for step in self.workload.steps:
            for what, count, pod in step.pods():
                if why := no_room(pod, count, nodes):
                    lacking += 1
                    yield _judged("nodes", f"{what}: {why[0]}", why[1])
        if not lacking:
            yield _judged("nodes", f"{len(nodes)} nodes hold every step and job", "")


def _judged(topic: str, words: str, remedy: str) -> ClusterFinding:
    return ClusterFinding(topic, "missing" if remedy else "ok", words, remedy)


def _at_least(version: str, least: str) -> bool:
    return _numbers(version) >= _numbers(least)


def _numbers(version: str) -> tuple[int, ...]:
    parts = ("".join(c for c in part if c.isdigit()) for part in version.split(".")[:2])
    return tuple(int(part) for part in parts if part)


def _has_condition(resource: Resource, kind: str) -> bool:
    conditions = (resource.get("status") or {}).get("conditions") or []
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)
