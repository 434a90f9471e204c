"""Make manifests/schemas anew: closed JSON Schemas without descriptions, compressed.

    python -m manifests.validation.pruning core DEFINITIONS     # _definitions.json of the package kubernetes-validate
    python -m manifests.validation.pruning crds FOLDER          # CustomResourceDefinitions as published

kubernetes-validate 1.37.0 carries the core API's definitions of v1.34 in
`kubernetes_validate/kubernetes-json-schema/v1.34.0-local-strict/_definitions.json`; at 70 MB it is no dependency.
CRDs: PyTorchJob of Kubeflow's training operator 1.9.4, TrainJob and its runtimes of Trainer 2.3.0, KServe 0.20.0,
Pipeline and PipelineVersion of Kubeflow Pipelines 2.17.0. `status` is the server's own and left out.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from manifests.validation.schemas import CORE, SCHEMAS

CORE_KINDS = (
    "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy",
    "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding",
    *("v1 " + kind for kind in ("ConfigMap", "LimitRange", "Namespace", "PersistentVolume", "PersistentVolumeClaim")),
    *("v1 " + kind for kind in ("Pod", "ResourceQuota", "Secret", "Service", "ServiceAccount")),
    *("apps/v1 " + kind for kind in ("Deployment", "StatefulSet")),
    *("batch/v1 " + kind for kind in ("CronJob", "Job")),
    *("networking.k8s.io/v1 " + kind for kind in ("Ingress", "NetworkPolicy")),
    *("rbac.authorization.k8s.io/v1 " + kind for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")),
    "autoscaling/v2 HorizontalPodAutoscaler",
    "policy/v1 PodDisruptionBudget",
    "scheduling.k8s.io/v1 PriorityClass",
    "storage.k8s.io/v1 StorageClass",
)
CRDS = (
    "kubeflow.org_pytorchjobs",
    "pipelines.kubeflow.org_pipelines",
    "pipelines.kubeflow.org_pipelineversions",
    "serving.kserve.io_clusterservingruntimes",
    "serving.kserve.io_inferenceservices",
    "serving.kserve.io_servingruntimes",
    "trainer.kubeflow.org_clustertrainingruntimes",
    "trainer.kubeflow.org_trainingruntimes",
    "trainer.kubeflow.org_trainjobs",
)
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
QUANTITY_PATTERN = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
KEPT = ("type", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "required")
COMBINED = ("allOf", "anyOf", "oneOf")


def pruned_crd(text: str) -> dict[str, Any]:
    """A CustomResourceDefinition as one closed schema a served version."""
    # libyaml: the files are megabytes
    spec = yaml.load(text, Loader=yaml.CSafeLoader)["spec"]
    versions = {}
    for version in (v for v in spec["versions"] if v["served"]):
        schema = version["schema"]["openAPIV3Schema"]
        schema["properties"].pop("status", None)
        schema["properties"]["metadata"] = {"type": "object"}
        closed = closed_schema(schema)
        closed["required"] = sorted({*closed.get("required", ()), "apiVersion", "kind", "metadata"})
        versions[version["name"]] = closed
    return {"group": spec["group"], "kind": spec["names"]["kind"], "versions": versions}


def closed_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A structural OpenAPI schema as JSON Schema in which an unknown field is an error.

    Where the server keeps unknown fields, so does this. `metadata` without fields of its own is that of every object.
    """
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"], **{k: schema[k] for k in ("pattern",) if k in schema}}
    closed = {k: schema[k] for k in KEPT if k in schema}
    closed |= {k: [_branch(s) for s in schema[k]] for k in COMBINED if k in schema}
    if "items" in schema:
        closed["items"] = closed_schema(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        closed["additionalProperties"] = closed_schema(schema["additionalProperties"])
    if properties := schema.get("properties"):
        closed["properties"] = {name: closed_schema(s) for name, s in properties.items()}
        if (metadata := properties.get("metadata")) and set(metadata) <= {"type", "description"}:
            closed["properties"]["metadata"] = {"$ref": f"#/$defs/{OBJECT_META}"}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("type") == "object" and not is_open:
        closed["additionalProperties"] = False
    return closed


def _branch(schema: dict[str, Any]) -> dict[str, Any]:
    """One of several alternatives: it adds to the schema around it, and forbids nothing that it does not name."""
    branch = {k: schema[k] for k in KEPT if k in schema}
    branch |= {k: [_branch(s) for s in schema[k]] for k in COMBINED if k in schema}
    if properties := schema.get("properties"):
        branch["properties"] = {name: _branch(s) for name, s in properties.items()}
    return branch


def pruned_core(definitions: dict[str, Any]) -> dict[str, Any]:
    """The definitions of CORE_KINDS and all that they refer to."""
    kinds = [
        {"apiVersion": "/".join(filter(None, (of["group"], of["version"]))), "kind": of["kind"], "definition": name}
        for name, schema in definitions.items()
        for of in schema.get("x-kubernetes-group-version-kind", ())
    ]
    kinds = [k for k in kinds if f"{k['apiVersion']} {k['kind']}" in CORE_KINDS]
    kept: dict[str, Any] = {}
    wanted = {k["definition"] for k in kinds} | {OBJECT_META}
    while wanted:
        name = wanted.pop()
        kept[name] = _without_descriptions(definitions[name])
        if name in {k["definition"] for k in kinds}:
            kept[name]["properties"].pop("status", None)
        wanted |= _references(kept[name]) - set(kept)
    kept[QUANTITY] = {"type": ["number", "string"], "pattern": QUANTITY_PATTERN}
    return {"kinds": sorted(kinds, key=lambda k: k["definition"]), "$defs": dict(sorted(kept.items()))}


def _without_descriptions(schema: Any, in_properties: bool = False) -> Any:
    if isinstance(schema, list):
        return [_without_descriptions(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        k: _without_descriptions(v, in_properties=k == "properties" and not in_properties)
        for k, v in schema.items()
        if in_properties or (k not in ("description", "format") and not k.startswith("x-"))
    }


def _references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*(_references(s) for s in schema)) if schema else set()
    if not isinstance(schema, dict):
        return set()
    own = {schema["$ref"].removeprefix("#/$defs/")} if isinstance(schema.get("$ref"), str) else set()
    return own.union(*(_references(v) for v in schema.values()))


def write(path: Path, schema: dict[str, Any]) -> None:
    text = json.dumps(schema, sort_keys=True, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{path.name}  {path.stat().st_size / 1024:.0f} KiB")


def main(what: str, source: Path) -> None:
    if what == "core":
        write(CORE, pruned_core(json.loads(source.read_text())["$defs"]))
        return
    for name in CRDS:
        write(SCHEMAS / f"{name}.json.gz", pruned_crd((source / f"{name}.yaml").read_text()))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
