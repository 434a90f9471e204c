"""Metrics of a predictor's pods through the Kubernetes API, without a route into the cluster's network."""

from collections.abc import Callable

from kubernetes import client
from kubernetes.client.rest import ApiException
from urllib3.exceptions import HTTPError

from music_flamingo.cluster.api import IN_TROUBLE, in_words, message
from music_flamingo.cluster.metrics import NOTHING, Counters, from_prometheus, parse, prometheus
from music_flamingo.cluster.watching import Patience
from music_flamingo.core.errors import UserError

PORT = 8080


def through_api(api: client.ApiClient, namespace: str, patience: Patience | None = None) -> Callable[[str], Counters]:
    """Reads `/metrics` of every running pod of a predictor (named by its Service) by the API's pod proxy."""
    core, soon = client.CoreV1Api(api), {"_request_timeout": (patience or Patience()).timeout}

    def measure(service: str) -> Counters:
        total = NOTHING
        try:
            pods = core.list_namespaced_pod(namespace, label_selector=f"app=isvc.{service}", **soon).items
            for pod in pods:
                if pod.status.phase == "Running":
                    name = f"{pod.metadata.name}:{PORT}"
                    total += parse(core.connect_get_namespaced_pod_proxy_with_path(name, namespace, "metrics", **soon))
        except ApiException as error:
            if error.status in IN_TROUBLE:
                raise UserError(
                    f"the API server does not reach the pods of {service} ({error.status}: {message(error)}): allow "
                    "its addresses in the network policy `serve`, or give --prometheus URL."
                ) from error
            raise in_words(error, f"reading the metrics of {service}") from error
        except HTTPError as error:
            raise UserError(
                f"the API does not answer ({type(error).__name__}); KUBECONFIG says where it is."
            ) from error
        return total

    return measure


def through_prometheus(url: str, namespace: str) -> Callable[[str], Counters]:
    """Counters of a service by Prometheus at this address."""
    ask = prometheus(url)
    return lambda service: from_prometheus(ask, f'namespace="{namespace}",pod=~"{service}-.*"')
