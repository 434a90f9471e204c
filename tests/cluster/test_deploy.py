"""A release takes over an InferenceService share by share, or is taken away at once; by an emulated KServe."""

import copy
import json
import time

import pytest
from kubernetes import client
from kubernetes.client.rest import ApiException
from support.emulated_cluster import NAMESPACE
from support.emulated_kserve import PATH, KServe, served, the_service
from support.rights import granted

from manifests.validation import violations
from music_flamingo.cluster.deploy import (
    PREVIOUS,
    WAITED_AS,
    CanaryGate,
    Deployment,
    RolledBackError,
)
from music_flamingo.cluster.predictors import canary, with_release
from music_flamingo.cluster.scraping import through_api
from music_flamingo.cluster.watching import Patience
from music_flamingo.core.errors import UserError

pytest_plugins = ("support.emulated_cluster",)
pytestmark = pytest.mark.timeout(60)

SHA, OTHER = "ab" * 32, "cd" * 32
URI = "s3://models/releases/abab"
GATE = CanaryGate(hold_s=0.2, min_requests=20, patience_s=2.0, max_error_rate=0.05, max_p95_s=1.0, ready_within_s=3.0)


def with_container() -> dict:
    """A predictor with a container of its own, and the release on a volume claim."""
    mounts = [{"name": "release", "mountPath": "/mnt/models"}, {"name": "tmp", "mountPath": "/tmp"}]
    claim = {"name": "release", "persistentVolumeClaim": {"claimName": "release"}}
    return {
        "containers": [{"name": "kserve-container", "image": "serve", "volumeMounts": mounts}],
        "volumes": [claim, {"name": "tmp", "emptyDir": {}}],
    }


@pytest.fixture
def kserve(cluster):
    emulated = KServe(cluster)
    yield emulated
    emulated.stop()
    assert cluster.rights_used() <= granted("music-flamingo-deployer")


@pytest.fixture
def empty(cluster):
    """As the manifests leave a cluster: no release was ever published."""
    emulated = KServe(cluster, serves=False)
    yield emulated
    emulated.stop()


def deployment(cluster, gate: CanaryGate = GATE) -> Deployment:
    patience = Patience(watch_s=1, pause_s=0.05, forbidden_s=0.3)
    return Deployment(cluster.api, NAMESPACE, "music-flamingo", gate, through_api(cluster.api, NAMESPACE), patience)


def test_a_good_release_gets_10_50_and_100_percent_and_then_the_place(cluster, kserve):
    deployment(cluster).roll_out(URI, SHA)
    service = kserve.service()
    assert kserve.history == [10, 50, 100]
    assert served(service) == SHA
    assert not service["spec"].get("canary")
    assert service["spec"]["predictor"]["name"] == f"r-{SHA[:8]}"
    assert service["spec"]["predictor"]["maxReplicas"] == the_service()["spec"]["predictor"]["maxReplicas"]


def test_the_deployer_may_do_what_a_deployment_does_and_nothing_more(cluster, kserve):
    deployment(cluster).roll_out(URI, SHA)
    assert cluster.rights_used() == granted("music-flamingo-deployer")


def test_a_release_that_fails_is_taken_away_at_the_first_share(cluster, kserve):
    kserve.error_share = 0.3
    with pytest.raises(RolledBackError, match=r"at 10 %, \d+ of \d+ requests failed .* serves what it served before"):
        deployment(cluster).roll_out(URI, SHA)
    service = kserve.service()
    assert kserve.history == [10]
    assert not service["spec"].get("canary")
    assert service["spec"]["predictor"] == the_service()["spec"]["predictor"]


def test_a_bad_release_does_not_serve_its_stretch_to_the_end(cluster, kserve):
    kserve.error_share = 1.0
    begun = time.monotonic()
    with pytest.raises(RolledBackError):
        deployment(cluster, CanaryGate(hold_s=30.0, min_requests=20, max_error_rate=0.05)).roll_out(URI, SHA)
    assert time.monotonic() - begun < 15


def test_a_slow_release_is_taken_away(cluster, kserve):
    kserve.seconds = 5.0
    with pytest.raises(RolledBackError, match=r"95 % of the answers took up to \d+\.\d+ s \(at most 1\.00 s\)"):
        deployment(cluster).roll_out(URI, SHA)


def test_a_release_that_does_not_come_up_is_taken_away(cluster, kserve):
    kserve.comes_up = False
    with pytest.raises(RolledBackError, match="was not ready within 3 s"):
        deployment(cluster).roll_out(URI, SHA)
    assert not kserve.service()["spec"].get("canary")


def test_without_traffic_nothing_is_judged_and_nothing_promoted(cluster, kserve):
    kserve.traffic = 0
    with pytest.raises(RolledBackError, match="0 requests came"):
        deployment(cluster).roll_out(URI, SHA)


def test_pods_that_the_api_server_cannot_reach_are_told_from_a_bad_release(cluster, kserve):
    import kmock

    refused = {"message": "error trying to reach service: dial tcp 10.1.2.3:8080: i/o timeout"}
    kserve.metrics_of = lambda: kmock.Response(payload=refused, status=503)
    with pytest.raises(RolledBackError, match=r"does not reach the pods of .* i/o timeout.*or give --prometheus URL"):
        deployment(cluster).roll_out(URI, SHA)


def test_ctrl_c_takes_the_canary_away(cluster, kserve):
    going = deployment(cluster)

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    going.sleep = interrupted
    with pytest.raises(RolledBackError, match="Interrupted"):
        going.roll_out(URI, SHA)
    assert not kserve.service()["spec"].get("canary")


def test_the_first_release_takes_the_place_at_once_since_no_requests_could_judge_it(cluster, empty):
    empty.traffic = 0
    deployment(cluster).roll_out(URI, SHA)
    assert served(empty.service()) == SHA
    assert empty.history == []
    assert empty.service()["spec"]["predictor"]["maxReplicas"] == the_service()["spec"]["predictor"]["maxReplicas"]
    empty.traffic = 40
    deployment(cluster).roll_out("s3://models/releases/cdcd", OTHER)
    assert empty.history == [10, 50, 100], "the second is judged"


def test_a_first_release_that_does_not_come_up_leaves_the_place_as_it_was(cluster, empty):
    empty.comes_up = False
    with pytest.raises(RolledBackError, match=r"not ready within 3 s.* waits for a release, as before"):
        deployment(cluster).roll_out(URI, SHA)
    assert empty.service()["spec"]["predictor"] == the_service()["spec"]["predictor"]


def test_rollback_during_a_canary_takes_it_away_at_once(cluster, kserve):
    body = {"spec": {"canary": [canary({}, with_release(the_service()["spec"]["predictor"], URI, SHA), 10)]}}
    cluster.custom.patch_namespaced_custom_object(*PATH, "music-flamingo", body)
    deployment(cluster).roll_back()
    assert not kserve.service()["spec"].get("canary")


def test_rollback_after_a_promotion_brings_the_release_before_back(cluster, kserve):
    going = deployment(cluster)
    going.roll_out(URI, SHA)
    going.roll_out("s3://models/releases/cdcd", OTHER)
    assert served(kserve.service()) == OTHER
    going.roll_back()
    assert served(kserve.service()) == SHA
    assert kserve.history[-1] == 100


def test_rollback_to_a_predictor_without_a_pinned_release_leaves_no_pin_behind(cluster, kserve):
    """An empty one: KServe lays a canary over the predictor that serves, and what is not there stays as it was."""
    going = deployment(cluster)
    going.roll_out(URI, SHA)
    going.roll_back()
    assert served(kserve.service()) == ""
    assert kserve.service()["spec"]["predictor"]["model"]["storageUri"] == "s3://music-flamingo/releases/current"


def test_rollback_without_anything_to_go_back_to_says_so(cluster, kserve):
    with pytest.raises(UserError, match="no release to go back to"):
        deployment(cluster).roll_back()


def test_the_same_release_is_not_deployed_twice(cluster, kserve):
    going = deployment(cluster)
    going.roll_out(URI, SHA)
    going.roll_out(URI, SHA)
    assert kserve.history == [10, 50, 100]


def test_a_service_that_is_not_there_or_in_another_mode_is_refused(cluster, kserve):
    with pytest.raises(UserError, match="apply the manifests first"):
        Deployment(cluster.api, NAMESPACE, "nothing", GATE, through_api(cluster.api, NAMESPACE)).roll_out(URI, SHA)
    annotations = {"metadata": {"annotations": {"serving.kserve.io/deploymentMode": "Serverless"}}}
    cluster.custom.patch_namespaced_custom_object(*PATH, "music-flamingo", annotations)
    with pytest.raises(UserError, match="needs the standard mode"):
        deployment(cluster).roll_out(URI, SHA)


def test_what_is_deployed_fits_the_schema_and_the_previous_predictor_is_kept(cluster, kserve):
    service = the_service()
    predictor = with_release(service["spec"]["predictor"], URI, SHA)
    during = copy.deepcopy(service)
    during["spec"]["canary"] = [canary(service["spec"]["predictor"], predictor, 10)]
    assert violations(during) == []
    misspelt = copy.deepcopy(during)
    misspelt["spec"]["canary"][0]["trafficPercentage"] = 10
    assert any("trafficPercentage" in v for v in violations(misspelt))
    deployment(cluster).roll_out(URI, SHA)
    after = kserve.service()
    kept = after["metadata"]["annotations"][PREVIOUS]
    assert json.loads(kept) == service["spec"]["predictor"]
    assert violations({k: v for k, v in after.items() if k != "status"}) == []


def test_no_volume_stands_in_the_way_of_the_release():
    predictor = with_release(with_container(), URI, SHA)
    assert [m["mountPath"] for m in predictor["containers"][0]["volumeMounts"]] == ["/tmp"]
    assert predictor["volumes"] == [{"name": "tmp", "emptyDir": {}}]
    again = with_release(predictor, "s3://m/other", OTHER)
    assert {e["name"]: e["value"] for e in again["containers"][0]["env"]} == {
        "STORAGE_URI": "s3://m/other",
        "RELEASE_SHA256": OTHER,
    }


def test_a_model_of_a_serving_runtime_changes_its_address_and_keeps_its_runtime():
    model = {"modelFormat": {"name": "music-flamingo"}, "runtime": "music-flamingo-cpu", "storageUri": "s3://m/r/old"}
    changed = with_release({"minReplicas": 2, "model": model}, URI, SHA)
    env = [{"name": "RELEASE_SHA256", "value": SHA}]
    assert changed["model"] == model | {"name": "kserve-container", "storageUri": URI, "env": env}
    assert canary({"minReplicas": 3}, changed, 50)["predictor"]["minReplicas"] == 2


def test_metrics_that_cannot_be_read_for_a_moment_roll_nothing_back(cluster, kserve):
    going, left = deployment(cluster), iter([503, 503])
    measure = going.measure

    def shaky(service):
        if next(left, None):
            raise UserError("the API server does not reach the pods (503: starting).")
        return measure(service)

    going.measure = shaky
    going.roll_out(URI, SHA)
    assert next(left, None) is None
    assert served(kserve.service()) == SHA


def test_a_rollback_is_tried_until_it_is_done_whatever_the_api_answers(cluster, kserve, monkeypatch):
    """A restart in the middle of a hold: the rollback itself is forbidden at first."""
    kserve.error_share = 1.0
    going, patch, tries = deployment(cluster), client.CustomObjectsApi.patch_namespaced_custom_object, []

    def refuse_rollbacks(self, *path_and_body, **options):
        if path_and_body[-1] == {"spec": {"canary": None}}:
            tries.append(1)
            if len(tries) <= 5:
                raise ApiException(status=403 if len(tries) % 2 else 503, reason="starting")
        return patch(self, *path_and_body, **options)

    monkeypatch.setattr(client.CustomObjectsApi, "patch_namespaced_custom_object", refuse_rollbacks)
    with pytest.raises(RolledBackError, match="serves what it served before"):
        going.roll_out(URI, SHA)
    assert len(tries) == 6
    assert not kserve.service()["spec"].get("canary")


def test_the_next_deploy_finishes_a_first_release_that_was_killed_before_it_served(cluster, empty):
    empty.comes_up = False
    going = deployment(cluster)
    going._settle = lambda *_: None
    going.roll_out(URI, SHA)
    with pytest.raises(RolledBackError, match="waits for a release, as before"):
        deployment(cluster).roll_out(URI, SHA)
    service = empty.service()
    assert service["spec"]["predictor"] == the_service()["spec"]["predictor"]
    assert WAITED_AS not in service["metadata"]["annotations"]


def test_the_next_deploy_takes_away_a_canary_that_nobody_judges_any_more(cluster, kserve):
    deployment(cluster).roll_out(URI, SHA)
    left = [canary({}, with_release(the_service()["spec"]["predictor"], URI, OTHER), 10)]
    cluster.custom.patch_namespaced_custom_object(*PATH, "music-flamingo", {"spec": {"canary": left}})
    deployment(cluster).roll_out(URI, SHA)
    assert not kserve.service()["spec"].get("canary")
    assert served(kserve.service()) == SHA
