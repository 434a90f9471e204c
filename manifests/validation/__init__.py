"""Is a rendered Kubernetes resource what an API server takes, and what this project asks of its own resources?"""

from manifests.validation.schemas import violations

__all__ = ["violations"]
