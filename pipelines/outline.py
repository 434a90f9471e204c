"""Outline of a compiled pipeline: steps in order, resources, images, cost, caching.

Read from the compiled specification itself, so that it shows what will be run and not what was meant.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from music_flamingo import stages
from music_flamingo.cluster.jobs import JobSettings
from music_flamingo.cluster.steps import JOB_VARIABLE
from music_flamingo.core.hashing import sha256_json

FUSED = {"captions-synthesize": ("captions", "synthesize"), "collect-annotation": stages.BRANCHED}
"""Steps of several stages (FUSE) and those stages."""
GIB = 2**30
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": GIB, "Ti": 2**40, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
"""Of memory, as Kubernetes writes it."""


@dataclass(frozen=True)
class Step:
    """One task of the pipeline."""

    name: str
    after: tuple[str, ...]
    """Tasks that it waits for."""
    image: str
    command: str
    """SHA-256 of what its container runs."""
    cpus: float
    memory_gib: float
    gpus: int
    nodes: int
    """Of the job that the step launches; its resources are those of all of them together. 0 where it launches none."""
    may_be_cached: bool
    fans_out: bool
    """Once for each range of shards."""

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that it runs or collects; none for a step of the pipeline's own."""
        name = self.name.removeprefix("collect-")
        return FUSED.get(self.name) or ((name,) if name in stages.ORDER else ())

    def price_an_hour(self, prices: "Prices") -> float:
        """Price of the step's resources per hour, at these prices."""
        return self.cpus * prices.cpu + self.memory_gib * prices.gib + self.gpus * prices.gpu


@dataclass(frozen=True)
class Prices:
    """Of one hour, in any currency."""

    cpu: float
    gib: float
    gpu: float

    @property
    def are_given(self) -> bool:
        """Whether any price was configured."""
        return any((self.cpu, self.gib, self.gpu))


def read_outline(package: Path) -> list[Step]:
    """The steps of a compiled pipeline, those of nested graphs too, each after what it waits for."""
    spec = next(iter(yaml.safe_load_all(package.read_text())))
    return list(_steps(spec, spec["root"]["dag"], fans_out=False))


def inputs_of(package: Path) -> set[str]:
    """The names of a compiled pipeline's parameters."""
    spec = next(iter(yaml.safe_load_all(package.read_text())))
    return set(spec["root"].get("inputDefinitions", {}).get("parameters", {}))


def _steps(spec: Mapping[str, Any], dag: Mapping[str, Any], fans_out: bool) -> Iterator[Step]:
    tasks, done = dict(dag["tasks"]), set[str]()
    while tasks:
        ready = [n for n, task in tasks.items() if set(task.get("dependentTasks", ())) & set(dag["tasks"]) <= done]
        for name in ready:
            task = tasks.pop(name)
            done.add(name)
            component = spec["components"][task["componentRef"]["name"]]
            inner = fans_out or "parameterIterator" in task or "artifactIterator" in task
            if "dag" in component:
                yield from _steps(spec, component["dag"], inner)
            elif "executorLabel" in component:
                executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
                if "container" in executor:
                    yield _step(name, task, executor["container"], inner)


def _step(name: str, task: Mapping[str, Any], container: Mapping[str, Any], fans_out: bool) -> Step:
    asked = container.get("resources", {})
    gpus = asked.get("accelerator", {})
    job = _job(container)
    nodes = job.nodes if job else 0
    return Step(
        name=name,
        after=tuple(task.get("dependentTasks", ())),
        image=container["image"],
        command=sha256_json([container.get("command"), container.get("args"), container["image"]]),
        cpus=_cpus(asked.get("resourceCpuRequest") or 0) + (nodes * _cpus(job.cpu) if job else 0),
        memory_gib=(_bytes(asked.get("resourceMemoryRequest") or 0) + (nodes * _bytes(job.memory) if job else 0)) / GIB,
        gpus=int(gpus.get("resourceCount") or 0) + (nodes * job.gpus_per_node if job else 0),
        nodes=nodes,
        may_be_cached=bool(task.get("cachingOptions", {}).get("enableCache")),
        fans_out=fans_out,
    )


def _job(container: Mapping[str, Any]) -> JobSettings | None:
    text = next((e["value"] for e in container.get("env", []) if e["name"] == JOB_VARIABLE), None)
    return JobSettings.model_validate_json(text) if text else None


def _cpus(quantity: str | float) -> float:
    """`100m` -> 0.1."""
    text = str(quantity)
    return float(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)


def _bytes(quantity: str | float) -> float:
    """`8Gi` -> 8589934592."""
    text = str(quantity)
    for unit, factor in UNITS.items():
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    return float(text)


def fingerprints(steps: list[Step], params: Mapping[str, Any]) -> dict[str, str]:
    """What each step's result depends on as far as it is known here: its command and image, parameters, what it reads.

    Two submissions with equal fingerprints give KFP the same key of its cache.
    """
    producer = {port: name for name in stages.ORDER for port in stages.load(name).outputs}
    commands: dict[str, list[str]] = {}
    for step in steps:
        for name in step.stages or (step.name,):
            commands.setdefault(name, []).append(step.command)
    found: dict[str, str] = {}
    for name in stages.ORDER:
        sources = sorted({producer[port] for port in stages.load(name).inputs})
        found[name] = sha256_json([commands.get(name), params[name], [found[source] for source in sources]])
    return found | {n: sha256_json([c, dict(params)]) for n, c in commands.items() if n not in found}


def describe(
    steps: list[Step],
    params: Mapping[str, Any],
    before: Mapping[str, Any],
    prices: Prices,
    hours: Mapping[str, float],
    branches: int,
) -> list[str]:
    """Lines to print: a row for each step, images, cost. `before` is the record of the last run, `hours` by stage."""
    now, known = fingerprints(steps, params), before.get("fingerprints", {})
    same = {name for name, fingerprint in now.items() if known.get(name) == fingerprint}
    always = {name for step in steps if not step.may_be_cached for name in step.stages}
    lines = [f"{'step':20s} {'cpu':>6s} {'memory':>9s} {'gpu':>4s} {'times':>6s} {'an hour':>9s} {'cached':7s} after"]
    for step in steps:
        cached = _cached(step, same, always)
        price = f"{step.price_an_hour(prices):9.2f}" if prices.are_given else f"{'-':>9s}"
        lines.append(
            f"{step.name:20s} {step.cpus:6.1f} {step.memory_gib:5.1f} GiB {step.gpus:4d} "
            f"{_times(step, branches):>6s} {price} {cached:7s} {', '.join(step.after)}"
        )
    lines += ["", "images: " + ", ".join(sorted({step.image for step in steps}))]
    if run := before.get("run_id"):
        lines.append(
            f"cached: `yes` is as in the run {run}, which succeeded (one tag is taken for one image); `maybe` reads "
            "what a step that always runs gives, and is cached if that is the same again"
        )
    else:
        lines.append("cached: no earlier run of this profile was submitted from here and seen to succeed")
    return [*lines, *_cost(steps, prices, hours)]


def _times(step: Step, branches: int) -> str:
    """How often at once: by ranges of shards, or by the nodes of a job."""
    return f"<= {branches}" if step.fans_out else f"{step.nodes} n." if step.nodes else "1"


def _cached(step: Step, same: set[str], always: set[str]) -> str:
    if not step.may_be_cached:
        return "never"
    if not same.issuperset(step.stages or (step.name,)):
        return "no"
    return "maybe" if any(_upstream(name) & always for name in step.stages) else "yes"


def _upstream(stage: str) -> set[str]:
    """The stages that a stage reads from, directly or not."""
    producer = {port: name for name in stages.ORDER for port in stages.load(name).outputs}
    direct = {producer[port] for port in stages.load(stage).inputs}
    return direct.union(*(_upstream(source) for source in direct))


def _cost(steps: list[Step], prices: Prices, hours: Mapping[str, float]) -> list[str]:
    """Cost of the steps whose hours are known, and which are not."""
    if not prices.are_given:
        return ["cost: give --price-cpu, --price-gib and --price-gpu, each of one hour"]
    timed = [(s, name) for s in steps if not s.name.startswith("collect-") for name in s.stages if name in hours]
    if not timed:
        return ["cost: an hour of each step as above; give --timings FOLDER (a run's data/_timing) for the whole"]
    total = sum(step.price_an_hour(prices) * hours[name] for step, name in timed)
    others = sorted({name for step in steps for name in step.stages} - {name for _, name in timed})
    missing = f"; without {', '.join(others)}, whose hours are not known" if others else ""
    return [
        f"cost: {total:,.2f} for {sum(hours[name] for _, name in timed):,.2f} hours of steps as timed before "
        f"(waiting for nodes and teachers' calls not counted: `mf plan` counts those){missing}"
    ]


def read_hours(folder: Path) -> dict[str, float]:
    """Hours of each stage from a run's `_timing`."""
    timings = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return {t["stage"]: t["wall_s"] / 3600 for t in timings}
