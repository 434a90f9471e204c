"""Against the cluster that KUBECONFIG points at: `pytest -m cluster`. Each test says what it lacks when it skips.

NAMESPACE names where (default: music-flamingo), KFP_HOST the address of Kubeflow Pipelines.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from emulated_cluster import settings
from kubernetes import client
from kubernetes.client.rest import ApiException

from music_flamingo.cluster.api import connect
from music_flamingo.cluster.jobs import Work, kind_of, named
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
    job = named(jobs.render(asked, Work("sft", "dry", ())), Work("sft", "dry", ()), SPACE, None)
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


def test_the_smoke_profile_is_submitted_and_succeeds(api):
    if not os.environ.get("KFP_HOST"):
        pytest.skip("KFP_HOST is not set: the address of Kubeflow Pipelines")
    command = [sys.executable, "-m", "music_flamingo.cli", "submit", "--profile", "smoke"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert done.stdout.rstrip().endswith("SUCCEEDED")
