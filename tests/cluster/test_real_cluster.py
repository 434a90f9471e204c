"""Against the cluster that KUBECONFIG points at: `pytest -m cluster`. Each test says what it lacks when it skips.

NAMESPACE names where (default: music-flamingo), KFP_HOST the address of Kubeflow Pipelines; where that serves several
users, KFP_NAMESPACE and KFP_ACCOUNT name the run's. OVERLAY names the manifests that are tried (default: kind).
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from kubernetes import client
from kubernetes.client.rest import ApiException
from support.emulated_cluster import settings

from manifests.validation.render import OVERLAYS, command
from music_flamingo.cluster.api import connect
from music_flamingo.cluster.jobs import StageJob, named
from music_flamingo.cluster.kinds import kind_of
from music_flamingo.core.errors import UserError

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3 * 3600)]

ROOT = Path(__file__).resolve().parents[2]
SPACE = os.environ.get("NAMESPACE", "music-flamingo")


@pytest.fixture(scope="module")
def api() -> client.ApiClient:
    try:
        found = connect()
        client.VersionApi(found).get_code(_request_timeout=10)
    except UserError as error:
        pytest.skip(str(error))
    except Exception as error:
        pytest.skip(f"the cluster of KUBECONFIG does not answer: {type(error).__name__}")
    return found


@pytest.mark.parametrize("kind", ["pytorchjob", "trainjob"])
def test_the_server_itself_takes_the_job_and_not_a_misspelt_one(api, kind):
    asked = settings(kind)
    jobs = kind_of(asked)
    job = named(jobs.render(asked, StageJob("sft", "dry", ())), StageJob("sft", "dry", ()), SPACE, None)
    path = (jobs.group, jobs.version, SPACE, jobs.plural)
    custom = client.CustomObjectsApi(api)
    strict = {"dry_run": "All", "field_validation": "Strict"}
    try:
        custom.create_namespaced_custom_object(*path, job, **strict)
    except ApiException as error:
        if error.status == 404:
            pytest.skip(f"{jobs.plural}.{jobs.group} or the namespace {SPACE} is not on this cluster")
        raise
    with pytest.raises(ApiException) as refused:
        custom.create_namespaced_custom_object(*path, {**job, "spec": {**job["spec"], "nodez": 2}}, **strict)
    assert refused.value.status in (400, 422)


def test_the_server_takes_every_resource_of_the_manifests(api):
    """As `kubectl apply` sends them, strictly, and changes nothing."""
    kubectl = command()[0]
    if not kubectl.endswith("kubectl"):
        pytest.skip(f"kubectl is not here, {kubectl} renders only")
    overlay = OVERLAYS / os.environ.get("OVERLAY", "kind")
    apply = [kubectl, "apply", "-k", str(overlay), "--dry-run=server", "--validate=strict"]
    done = subprocess.run(apply, capture_output=True, text=True, timeout=300)
    if lacking := re.findall(r"no matches for kind .*|namespaces .* not found", done.stderr):
        pytest.skip(f"not on this cluster yet: {'; '.join(sorted(set(lacking)))}")
    assert done.returncode == 0, done.stderr


def test_the_smoke_profile_is_submitted_and_succeeds(api):
    if not os.environ.get("KFP_HOST"):
        pytest.skip("KFP_HOST is not set: the address of Kubeflow Pipelines")
    where = {"--namespace": os.environ.get("KFP_NAMESPACE"), "--account": os.environ.get("KFP_ACCOUNT")}
    options = [word for option, value in where.items() if value for word in (option, value)]
    submit = [sys.executable, "-m", "music_flamingo.cli", "submit", "--profile", "smoke", *options]
    done = subprocess.run(submit, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert done.stdout.rstrip().endswith("SUCCEEDED")
