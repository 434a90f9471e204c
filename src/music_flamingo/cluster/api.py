"""The Kubernetes API: connection, and errors as text."""

import os
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.rest import ApiException
from kubernetes.config.config_exception import ConfigException

from music_flamingo.core.errors import UserError

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
CONFLICT, GONE, NOT_FOUND = 409, 410, 404
UNAUTHORIZED = 401
FORBIDDEN = (401, 403)
IN_TROUBLE = (429, 500, 502, 503, 504)
"""What passes by itself."""


def connect() -> client.ApiClient:
    """A client: of the pod's service account inside a cluster, else of what KUBECONFIG names.

    Raises UserError where neither is there.
    """
    configuration = client.Configuration()
    try:
        if os.environ.get("KUBERNETES_SERVICE_HOST"):
            config.load_incluster_config(client_configuration=configuration)
        else:
            config.load_kube_config(client_configuration=configuration)
    except ConfigException as error:
        raise UserError(
            f"no cluster to talk to: {str(error).rstrip('.')}. Set KUBECONFIG to a file that `kubectl` works with, or "
            "run inside a pod."
        ) from error
    return client_of(configuration)


def client_of(configuration: client.Configuration) -> client.ApiClient:
    """A client that asks once: the HTTP library's own three retries come without a pause, and ours follow anyway."""
    configuration.retries = False
    return client.ApiClient(configuration)


def own_namespace() -> str:
    """The pod's namespace; outside a cluster that of NAMESPACE, else `default`."""
    if NAMESPACE_FILE.is_file():
        return NAMESPACE_FILE.read_text().strip()
    return os.environ.get("NAMESPACE", "default")


def in_words(error: ApiException, doing: str) -> UserError:
    """A UserError for what the API refuses for good: no right, or a resource that does not fit its schema."""
    if error.status == UNAUTHORIZED:
        remedy = "The API does not know who asks: renew the token or the credentials of KUBECONFIG."
    elif error.status in FORBIDDEN:
        remedy = "Give the service account this right (manifests/base has the roles)."
    elif error.status in IN_TROUBLE:
        return UserError(
            f"the API stays in trouble at {doing}: {error.status} {error.reason}: {message(error)} Try later."
        )
    elif error.status == NOT_FOUND:
        remedy = "Install the operator that defines this kind, or mend the namespace."
    else:
        remedy = "Mend the resource: the API says what does not fit."
    return UserError(f"the cluster refuses {doing}: {error.status} {error.reason}: {message(error)} {remedy}")


def message(error: ApiException) -> str:
    """The API's own sentence, without headers."""
    import json

    try:
        body: Any = json.loads(error.body or "{}")
    except ValueError:
        return str(error.body)[:300]
    return str(body.get("message", ""))[:300] if isinstance(body, dict) else ""
