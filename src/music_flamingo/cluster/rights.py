"""The rights that a pipeline's steps need in their namespace, as the Role `music-flamingo-runner` gives them."""

Right = tuple[str, str, str]
"""(API group, resource or resource/subresource, verb)."""
GROUPS = {"pytorchjobs": "kubeflow.org", "trainjobs": "trainer.kubeflow.org"}
JOB_VERBS = ("create", "get", "watch", "patch", "delete")
EVERY_STEP: frozenset[Right] = frozenset(
    {
        ("", "pods", "get"),
        ("", "pods", "list"),
        ("", "pods/log", "get"),
        ("argoproj.io", "workflowtaskresults", "create"),
        ("argoproj.io", "workflowtaskresults", "patch"),
    }
)


def of_steps(plurals: set[str]) -> set[Right]:
    """Of steps that launch these kinds of jobs."""
    return set(EVERY_STEP) | {(GROUPS[plural], plural, verb) for plural in plurals for verb in JOB_VERBS}
