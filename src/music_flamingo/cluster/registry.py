"""Kubeflow's model registry: register a deployed release as a version, by REST (v1alpha3).

What is registered already is left as it is: the same release is one version, however often it is deployed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from music_flamingo.core.errors import UserError

API = "/api/model_registry/v1alpha3"


@dataclass(frozen=True)
class Registry:
    """Client of a registry's REST API."""

    url: str

    def register(self, model: str, version: str, uri: str, properties: Mapping[str, str]) -> str:
        """Register `uri` as a version of `model`; gives the version's id.

        Raises UserError naming the registry where it does not answer or refuses.
        """
        owner = self._once("registered_model", "registered_models", {"name": model})
        known = {"name": version, "registeredModelId": owner}
        fields = {**known, "customProperties": _custom(properties), "author": "music-flamingo"}
        held = self._once("model_version", "model_versions", fields, {"name": version, "parentResourceId": owner})
        artifacts = self._ask("GET", f"model_versions/{held}/artifacts").get("items", [])
        if not any(a.get("uri") == uri for a in artifacts):
            body = {"artifactType": "model-artifact", "name": f"{model}-{version}", "uri": uri, "state": "LIVE"}
            self._ask("POST", f"model_versions/{held}/artifacts", json=body)
        return held

    def _once(self, find: str, create: str, body: Mapping[str, Any], known_by: Mapping[str, str] | None = None) -> str:
        """The id of the resource, created where it is not there yet."""
        found = self._ask("GET", find, params=dict(known_by or body), missing_ok=True)
        return str(found["id"] if found else self._ask("POST", create, json=dict(body))["id"])

    def _ask(self, method: str, path: str, missing_ok: bool = False, **request: Any) -> dict[str, Any]:
        try:
            answer = httpx.request(method, f"{self.url.rstrip('/')}{API}/{path}", timeout=20, **request)
            if answer.status_code == 404 and missing_ok:
                return {}
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise UserError(f"the model registry at {self.url} refuses {method} {path}: {error}.") from error
        return found


def _custom(properties: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {k: {"metadataType": "MetadataStringValue", "string_value": v} for k, v in properties.items()}
