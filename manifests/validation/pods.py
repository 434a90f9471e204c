"""Where the pods of a resource stand in it: their specification, their labels and whether they run on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Spec = Mapping[str, Any]

ISVC_LABEL = "serving.kserve.io/inferenceservice"


@dataclass(frozen=True)
class Pods:
    """One kind of pod that a resource makes."""

    where: str
    """Field of the resource, e.g. spec.template.spec."""
    spec: Spec
    labels: Mapping[str, str]
    runs_on: bool
    """A server, which needs probes; a job ends by itself."""
    is_whole: bool = True
    """False for a part that is laid over another resource's pods: it need not say everything itself."""


def pods_of(resource: Mapping[str, Any]) -> Iterator[Pods]:
    """Every pod template of a resource; nothing for a resource without pods."""
    kind, spec = resource.get("kind"), resource.get("spec") or {}
    if kind == "Pod":
        yield Pods("spec", spec, _labels(resource), runs_on=spec.get("restartPolicy", "Always") == "Always")
    elif kind in ("Deployment", "StatefulSet", "Job"):
        yield _template("spec.template", spec.get("template"), runs_on=kind != "Job")
    elif kind == "CronJob":
        template = ((spec.get("jobTemplate") or {}).get("spec") or {}).get("template")
        yield _template("spec.jobTemplate.spec.template", template, runs_on=False)
    elif kind == "PyTorchJob":
        for name, replica in (spec.get("pytorchReplicaSpecs") or {}).items():
            yield _template(f"spec.pytorchReplicaSpecs.{name}.template", replica.get("template"), runs_on=False)
    elif kind in ("TrainingRuntime", "ClusterTrainingRuntime"):
        yield from _replicated("spec.template.spec", (spec.get("template") or {}).get("spec"), is_whole=True)
    elif kind == "TrainJob":
        for index, patch in enumerate(spec.get("runtimePatches") or ()):
            inner = ((patch.get("trainingRuntimeSpec") or {}).get("template") or {}).get("spec")
            yield from _replicated(
                f"spec.runtimePatches[{index}].trainingRuntimeSpec.template.spec", inner, is_whole=False
            )
    elif kind in ("ServingRuntime", "ClusterServingRuntime"):
        # KServe lays the InferenceService's predictor over it, which brings account and the pod's security context
        yield Pods("spec", spec, {}, runs_on=True, is_whole=False)
    elif kind == "ClusterStorageContainer":
        # KServe puts it before the containers of a predictor
        yield Pods("spec", {"initContainers": [spec.get("container") or {}]}, {}, runs_on=False)
    elif kind == "InferenceService":
        predictor = spec.get("predictor") or {}
        labels = {ISVC_LABEL: resource["metadata"].get("name", ""), "component": "predictor"}
        yield Pods("spec.predictor", predictor, labels, runs_on=True, is_whole=bool(predictor.get("containers")))


def predictors(resource: Mapping[str, Any], runtimes: Mapping[str, Mapping[str, Any]]) -> Iterator[Pods]:
    """The pods of an InferenceService that names a runtime, as KServe makes them: the predictor over the runtime."""
    spec = resource["spec"]
    stable = spec.get("predictor") or {}
    parts = [("spec.predictor", stable)]
    # a canary's fields are laid over the stable predictor's
    parts += [
        (f"spec.canary[{i}].predictor", {**stable, **c["predictor"]}) for i, c in enumerate(spec.get("canary") or ())
    ]
    for where, predictor in parts:
        runtime = runtimes.get((predictor.get("model") or {}).get("runtime", ""))
        if runtime:
            yield Pods(where, {**runtime["spec"], **predictor}, {}, runs_on=True)


def containers_of(spec: Spec) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """(field, container, whether it starts before the others) of a pod specification."""
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield f"{field}[{index}]", container, field == "initContainers"


def _template(where: str, template: Spec | None, runs_on: bool) -> Pods:
    template = template or {}
    return Pods(f"{where}.spec", template.get("spec") or {}, _labels(template), runs_on)


def _replicated(where: str, jobset: Spec | None, is_whole: bool) -> Iterator[Pods]:
    for index, job in enumerate((jobset or {}).get("replicatedJobs") or ()):
        template = ((job.get("template") or {}).get("spec") or {}).get("template") or {}
        place = f"{where}.replicatedJobs[{index}].template.spec.template.spec"
        yield Pods(place, template.get("spec") or {}, _labels(template), runs_on=False, is_whole=is_whole)


def _labels(holder: Spec) -> dict[str, str]:
    return dict((holder.get("metadata") or {}).get("labels") or {})
