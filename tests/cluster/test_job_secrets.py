"""The admission policy of jobs' and steps' pods, evaluated: it lets ours through and names what others would take."""

import copy

import pytest
from support.emulated_cluster import settings

from manifests.validation.render import RenderError, command, overlays, render
from music_flamingo.cluster.workload import job_pod, step_pod

celpy = pytest.importorskip("celpy", reason="the policy's expressions are CEL: pip install cel-python")
NAME = "music-flamingo-job-secrets"


@pytest.fixture(scope="module")
def rendered():
    try:
        command()
    except RenderError as error:
        pytest.skip(str(error))
    return render(next(o for o in overlays() if o.name == "production"))


@pytest.fixture(scope="module")
def policy(rendered):
    wanted = ("ValidatingAdmissionPolicy", NAME)
    return next(r for r in rendered if (r["kind"], r["metadata"]["name"]) == wanted)["spec"]


def value(expression: str, **given):
    environment = celpy.Environment()
    return environment.program(environment.compile(expression)).evaluate(given)


def refusals(policy: dict, pod: dict) -> list[str]:
    """The messages of a policy about a pod; none where it does not match."""
    target = celpy.json_to_cel(pod)
    if not all(value(c["expression"], object=target) for c in policy["matchConditions"]):
        return []
    pairs = ((v["name"], value(v["expression"], object=target)) for v in policy["variables"])
    variables = celpy.celtypes.MapType({celpy.celtypes.StringType(name): found for name, found in pairs})
    checks = policy["validations"]
    return [c["message"] for c in checks if not value(c["expression"], object=target, variables=variables)]


def of_job(**changed) -> dict:
    secrets = {"KEY": {"secret": "mlpipeline-minio-artifact", "key": "accesskey"}}
    pod = job_pod(settings(secrets=secrets))
    labels = {"training.kubeflow.org/job-name": "mf-sft"}
    return {"metadata": {"labels": labels}, "spec": {**pod, **changed}}


def of_step() -> dict:
    pod = step_pod({}, {}) | {"serviceAccountName": "music-flamingo-runner"}
    return {"metadata": {"labels": {"pipeline/runid": "r"}}, "spec": pod}


def test_pods_of_our_jobs_and_steps_are_let_through(policy):
    assert refusals(policy, of_job()) == []
    assert refusals(policy, of_step()) == []


def with_container(change) -> dict:
    pod = copy.deepcopy(of_job())
    change(pod["spec"]["containers"][0])
    return pod


STOLEN = {
    "a variable": with_container(
        lambda c: c["env"].append({"name": "X", "valueFrom": {"secretKeyRef": {"name": "minio-root", "key": "secret"}}})
    ),
    "all its keys": with_container(lambda c: c.update(envFrom=[{"secretRef": {"name": "minio-root"}}])),
    "an init container": of_job(
        initContainers=[{"name": "i", "envFrom": [{"secretRef": {"name": "minio-root"}}]}],
    ),
    "a volume": of_job(volumes=[{"name": "v", "secret": {"secretName": "minio-root"}}]),
    "a projected volume": of_job(
        volumes=[{"name": "v", "projected": {"sources": [{"secret": {"name": "minio-root"}}]}}],
    ),
    "another account": of_job(serviceAccountName="music-flamingo-deployer"),
    "no account": {"metadata": of_job()["metadata"], "spec": {"containers": [{"name": "a"}]}},
}


@pytest.mark.parametrize("way", STOLEN)
def test_a_job_that_takes_what_is_not_its_own_is_refused(policy, way):
    assert len(refusals(policy, STOLEN[way])) == 1


def test_the_policy_is_of_no_other_pods(policy):
    minio = {"metadata": {"labels": {"app.kubernetes.io/name": "minio"}}, "spec": of_job()["spec"]}
    minio["spec"] = {**minio["spec"], "serviceAccountName": "music-flamingo-tools"}
    assert refusals(policy, minio) == []
    assert refusals(policy, {"metadata": {}, "spec": minio["spec"]}) == []


def test_the_binding_denies_in_the_namespace_of_the_manifests(rendered):
    binding = next(r for r in rendered if r["kind"] == "ValidatingAdmissionPolicyBinding")["spec"]
    assert (binding["policyName"], binding["validationActions"]) == (NAME, ["Deny"])
    labels = binding["matchResources"]["namespaceSelector"]["matchLabels"]
    assert labels == {"kubernetes.io/metadata.name": "music-flamingo"}
