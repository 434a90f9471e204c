"""All that is asked of the resources of one installation, each violation as `file: Kind name: field: what`."""

from collections.abc import Iterable, Iterator
from typing import Any

from manifests.validation.pods import pods_of, predictors
from manifests.validation.policy import policy
from manifests.validation.references import name, references
from manifests.validation.render import origin_of
from manifests.validation.restricted import restricted
from manifests.validation.schemas import violations

Resource = dict[str, Any]


def findings(resources: Iterable[Resource]) -> list[str]:
    """What is wrong, in the order of files; an installation of which the schemas hold is also looked at as a whole."""
    rendered = list(resources)
    wrong = [(r, line) for r in rendered for line in violations(r)]
    if not wrong:
        runtimes = {name(r): r for r in rendered if r["kind"] == "ServingRuntime"}
        wrong = [(r, line) for r in rendered for line in _alone(r, runtimes)]
        wrong += list(references(rendered))
    return sorted({f"{origin_of(dict(r))}: {r.get('kind')} {name(r)}: {line}" for r, line in wrong})


def _alone(resource: Resource, runtimes: dict[str, Resource]) -> Iterator[str]:
    served = predictors(resource, runtimes) if resource["kind"] == "InferenceService" else ()
    for pods in (*pods_of(resource), *served):
        yield from restricted(pods)
    yield from policy(resource)
