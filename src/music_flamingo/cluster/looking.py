"""Read a cluster without changing it: resources found, missing, or hidden from this user."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client
from kubernetes.client.rest import ApiException
from urllib3.exceptions import HTTPError

from music_flamingo.cluster.api import FORBIDDEN, NOT_FOUND, in_words, message
from music_flamingo.cluster.watching import Patience, Resource, insist
from music_flamingo.core.errors import UserError

NAMES_ALONE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
"""Asks for a resource without its content: a secret's values are nobody's business here."""
REVIEWS = "/apis/authorization.k8s.io/v1"
DRY_RUN = [("dryRun", "All")]


class Unseen(Exception):
    """This user may not read it; the words say what."""


@dataclass(frozen=True)
class Looking:
    """Reads by path. A read that is forbidden raises Unseen, whatever else is in the way UserError."""

    api: client.ApiClient
    patience: Patience = field(default_factory=lambda: Patience(insist_s=20.0, forbidden_s=0.0, answer_s=20.0))

    def get(self, path: str, accept: str = "application/json") -> Resource | None:
        """What lies there, or None."""
        try:
            return self._ask("GET", path, accept=accept)
        except ApiException as error:
            if error.status == NOT_FOUND:
                return None
            if error.status in FORBIDDEN:
                raise Unseen(f"{path}: {message(error) or error.reason}") from error
            raise in_words(error, f"reading {path}") from error

    def items(self, path: str) -> list[Resource]:
        """The items of a list; none where the kind does not exist."""
        return (self.get(path) or {}).get("items", [])

    def has(self, path: str) -> bool:
        """Whether it is there, without reading what is in it."""
        return self.get(path, NAMES_ALONE) is not None

    def allows(self, user: str | None, namespace: str, group: str, resource: str, verb: str) -> bool:
        """Whether a user (None: ourselves) has a right in a namespace. Raises Unseen where we may not ask."""
        kind, _, sub = resource.partition("/")
        asked = {"namespace": namespace, "group": group, "resource": kind, "subresource": sub, "verb": verb}
        whose = "SelfSubjectAccessReview" if user is None else "SubjectAccessReview"
        spec: Resource = {"resourceAttributes": asked} | ({"user": user} if user else {})
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": whose, "spec": spec}
        try:
            answer = self._ask("POST", f"{REVIEWS}/{whose.lower()}s", body)
        except ApiException as error:
            if error.status in (*FORBIDDEN, NOT_FOUND):
                raise Unseen(f"the rights of others: {message(error) or error.reason}") from error
            raise in_words(error, "reviewing rights") from error
        return bool(answer.get("status", {}).get("allowed"))

    def refusal(self, path: str, body: Mapping[str, Any]) -> str:
        """Why the cluster would not take a resource, webhooks and quotas included; empty where it would."""
        try:
            self._ask("POST", path, body, query=DRY_RUN)
        except ApiException as error:
            if error.status in FORBIDDEN and "cannot create resource" in message(error):
                raise Unseen(f"whether the job is taken: {message(error)}") from error
            return f"{error.status} {error.reason}: {message(error)}"
        return ""

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        accept: str = "application/json",
        query: list[tuple[str, str]] | None = None,
    ) -> Resource:
        headers = {"Accept": accept, "Content-Type": "application/json"}

        def once() -> Any:
            return self.api.call_api(
                path,
                method,
                query_params=query or [],
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=self.patience.timeout,
            )

        try:
            answer = insist(once, self.patience)
        except HTTPError as error:
            raise UserError(
                f"the Kubernetes API does not answer ({type(error).__name__}): see where KUBECONFIG points."
            ) from error
        found: Resource = json.loads(answer.data)
        return found
