"""One contract over all: stages, parameters, components, pipelines, dvc.yaml and tests say the same."""

import ast
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from kfp.compiler import Compiler
from kfp.dsl import Dataset, Model

from components.configure import configure
from music_flamingo import stages
from music_flamingo.core.hashing import PACKAGE_ROOT
from music_flamingo.core.identity import LEFT_OUT
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.ports import Folder
from music_flamingo.core.stage import parse_config
from music_flamingo.runs.graph import graph_text
from pipelines.placement import PLACEMENTS

ROOT = Path(__file__).resolve().parents[2]
PROFILES = sorted((ROOT / "pipelines/profiles").glob("*.yaml"))
PRODUCER = {port: name for name in stages.ORDER for port in stages.load(name).outputs}
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]

each_stage = pytest.mark.parametrize("name", stages.ORDER)


def component(name: str):
    module = __import__(f"components.{name}", fromlist=[name])
    return getattr(module, name)


@each_stage
def test_a_stage_bears_the_name_of_its_file_and_explains_itself(name):
    stage = stages.load(name)
    assert stage.name == name
    tree = ast.parse((PACKAGE_ROOT / f"stages/{name}.py").read_text())
    assert len(ast.get_docstring(tree) or "") > 60


@each_stage
def test_every_input_port_is_given_by_an_earlier_stage_under_the_same_record(name):
    for port, record in stages.load(name).inputs.items():
        producer = PRODUCER[port]
        assert stages.ORDER.index(producer) < stages.ORDER.index(name)
        assert stages.load(producer).outputs[port] is record


def test_port_names_are_unique_over_the_graph():
    assert len(PRODUCER) == sum(len(stages.load(name).outputs) for name in stages.ORDER)


@each_stage
@pytest.mark.parametrize("profile", [None, *PROFILES], ids=lambda p: p.stem if p else "default")
def test_parameters_of_every_profile_fit_the_stage(name, profile):
    params = load_params(ROOT / "params.yaml", (profile,) if profile else ())
    parse_config(stages.load(name), stage_json(params, name))
    assert set(params) == set(stages.ORDER)


@each_stage
def test_configuration_classes_carry_no_values_of_their_own(name):
    for model in _models(stages.load(name).config):
        for field_name, field in model.model_fields.items():
            assert field.is_required() or field_name == "kind", f"{model.__name__}.{field_name} has a default"


def _models(model, seen=None):
    seen = seen if seen is not None else set()
    if model in seen:
        return seen
    seen.add(model)
    for field in model.model_fields.values():
        for inner in _classes(field.annotation):
            _models(inner, seen)
    return seen


def _classes(annotation):
    args = getattr(annotation, "__args__", ())
    if args:
        return [c for a in args for c in _classes(a)]
    return [annotation] if hasattr(annotation, "model_fields") else []


@each_stage
def test_the_component_has_the_ports_of_the_stage(name):
    stage, spec = stages.load(name), component(name).component_spec
    own = {"shards"} if name in stages.BRANCHED else {"parts"} if stage.first_pass else set()
    assert set(spec.inputs) == {"config", *stage.inputs} | own
    assert set(spec.outputs) == set(stage.outputs)
    for port, record in [*stage.inputs.items(), *stage.outputs.items()]:
        is_dataset = (spec.inputs.get(port) or spec.outputs.get(port)).type.startswith(Dataset.schema_title)
        assert is_dataset != issubclass(record, Folder), port
    assert not any(spec.inputs[p].type.startswith(Model.schema_title) for p in ("tracks",) if p in spec.inputs)


@pytest.mark.parametrize("name", stages.BRANCHED)
def test_the_component_that_collects_has_the_ports_of_the_stage(name):
    module = __import__(f"components.{name}", fromlist=[name])
    spec, stage = getattr(module, f"collect_{name}").component_spec, stages.load(name)
    assert set(spec.inputs) == {"config", *stage.inputs, "parts"}
    assert set(spec.outputs) == set(stage.outputs)
    assert spec.inputs["parts"].is_artifact_list


@each_stage
def test_the_component_has_a_readme_that_names_its_ports(name):
    text = (ROOT / f"components/{name}/README.md").read_text()
    for port in [*stages.load(name).inputs, *stages.load(name).outputs]:
        assert f"`{port}`" in text


@each_stage
def test_dvc_runs_the_stage_on_its_ports_its_parameters_and_its_code(name):
    stage, entry = stages.load(name), DVC[name]
    assert entry["cmd"] == f"mf run {name}"
    assert entry["params"] == [name]
    assert entry["deps"] == [f"data/_identity/{name}.json", *(f"data/{p}" for p in stage.inputs)]
    outs = {next(iter(o)): next(iter(o.values())) for o in entry["outs"]}
    assert list(outs) == [f"data/{p}" for p in stage.outputs]
    # an interrupted stage goes on from its shards, so DVC must not clear them
    assert all(options["persist"] for options in outs.values())


def test_dvc_looks_at_the_code_before_each_run():
    entry = DVC["identity"]
    assert entry["cmd"] == "mf identity --write"
    assert entry["always_changed"]
    assert [next(iter(out)) for out in entry["outs"]] == [f"data/_identity/{name}.json" for name in stages.ORDER]


def test_dvc_yaml_is_what_the_stages_say():
    assert (ROOT / "dvc.yaml").read_text() == graph_text(), "dvc.yaml is stale: `make derive` writes it anew"


def test_dvc_knows_the_stages_and_no_others():
    assert list(DVC) == ["identity", *stages.ORDER]


@each_stage
def test_a_stage_depends_on_the_code_it_imports(name):
    """Whatever a stage's file imports, inside functions too, is among what its result depends on, or needs a reason."""
    reached = stages.load(name).code().modules
    tree = ast.parse((PACKAGE_ROOT / f"stages/{name}.py").read_text())
    run = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "run")
    imported = [n.module for n in ast.walk(run) if isinstance(n, ast.ImportFrom) and n.module]
    for module in (m for m in imported if m.startswith("music_flamingo.")):
        assert module in reached or module in LEFT_OUT, module


@each_stage
def test_every_stage_has_a_placement_and_a_test(name):
    assert name in PLACEMENTS
    tests = list((ROOT / "tests").rglob(f"test_*{name}*.py")) or list((ROOT / "tests").rglob("test_training*.py"))
    assert tests


def test_configure_gives_one_text_a_stage():
    assert list(configure.component_spec.outputs) == list(stages.ORDER)


class Graph:
    """The tasks of a compiled pipeline at every depth (loops and exit handlers are graphs of their own)."""

    def __init__(self, pipeline, folder: Path) -> None:
        self.path = folder / "pipeline.yaml"
        Compiler().compile(pipeline, str(self.path))
        self.spec = next(yaml.safe_load_all(self.path.read_text()))
        self.tasks = {}
        self.above = {}
        self._walk(self.spec["root"]["dag"], None)

    def _walk(self, dag, above) -> None:
        for name, task in dag["tasks"].items():
            assert name not in self.tasks, f"{name} stands in the graph twice"
            self.tasks[name], self.above[name] = task, above
            inner = self.spec["components"][task["componentRef"]["name"]]
            if "dag" in inner:
                self._walk(inner["dag"], name)

    def origin(self, task: str, kind: str, name: str) -> tuple[str, str]:
        """(task, output) that an input comes from; (`pipeline`, name) for what the run is given."""
        if name == self.tasks[task].get("parameterIterator", {}).get("itemInput"):
            return task, "item"
        source = self.tasks[task]["inputs"][kind][name]
        for made in ("taskOutputArtifact", "taskOutputParameter"):
            if made in source:
                key = source[made].get("outputArtifactKey") or source[made]["outputParameterKey"]
                return self._inside(source[made]["producerTask"], key)
        outer = source.get("componentInputArtifact") or source["componentInputParameter"]
        above = self.above[task]
        return self.origin(above, kind, outer) if above else ("pipeline", outer)

    def _inside(self, task: str, output: str) -> tuple[str, str]:
        """What gives the output of a graph: `pipelinechannel--facts-facts` of a loop is `facts` of the task `facts`."""
        inner = self.spec["components"][self.tasks[task]["componentRef"]["name"]]
        if "dag" not in inner:
            return task, output
        [made] = inner["dag"]["outputs"]["artifacts"][output]["artifactSelectors"]
        return self._inside(made["producerSubtask"], made["outputArtifactKey"])


@cache
def compiled(name: str):
    """A pipeline by its module's name. Kubeflow traces a pipeline when its module is imported, which takes seconds."""
    return getattr(import_module(f"pipelines.{name}"), name)


PIPELINES = pytest.mark.parametrize("pipeline", ["annotation", "training", "music_flamingo"], indirect=True)


@pytest.fixture
def pipeline(request):
    return compiled(request.param)


@PIPELINES
def test_pipelines_wire_each_port_to_the_stage_that_gives_it(pipeline, tmp_path):
    graph = Graph(pipeline, tmp_path)
    for task in (t for t in graph.tasks if t.removeprefix("collect-") in stages.ORDER):
        name = task.removeprefix("collect-")
        given = graph.tasks[task]["inputs"].get("artifacts", {})
        takes_parts = task != name or stages.load(name).first_pass is not None
        assert set(given) == set(stages.load(name).inputs) | ({"parts"} if takes_parts else set())
        for port in stages.load(name).inputs:
            producer, output = graph.origin(task, "artifacts", port)
            # a branch takes the part of its own loop; every other task the port that was put together
            inside = graph.above[task] == graph.above.get(PRODUCER[port])
            whole = PRODUCER[port] if inside or PRODUCER[port] not in stages.BRANCHED else f"collect-{PRODUCER[port]}"
            assert producer.startswith("importer") or (producer, output) == (whole, port)
        assert graph.origin(task, "parameters", "config") == ("configure", name)


@pytest.mark.parametrize("name", stages.BRANCHED)
def test_a_branched_stage_runs_once_a_range_and_its_parts_are_put_together(name, tmp_path):
    graph = Graph(compiled("annotation"), tmp_path)
    loop = graph.tasks[graph.above[name]]
    assert graph.origin(name, "parameters", "shards") == (graph.above[name], "item")
    ranges = loop["parameterIterator"]["items"]["inputParameter"]
    assert graph.origin(graph.above[name], "parameters", ranges) == ("divide", "Output")
    [port] = stages.load(name).outputs
    assert graph.origin(f"collect-{name}", "artifacts", "parts") == (name, port)


def test_the_first_pass_of_validation_runs_in_the_branches_on_their_own_parts(tmp_path):
    graph = Graph(compiled("annotation"), tmp_path)
    assert graph.above["check-shards"] == graph.above["synthesize"]
    assert graph.origin("check-shards", "artifacts", "candidates") == ("synthesize", "candidates")
    assert graph.origin("check-shards", "parameters", "config") == ("configure", "validate")
    assert graph.origin("validate", "artifacts", "parts") == ("check-shards", "first_pass")


def test_the_number_of_branches_is_the_runs_to_choose(tmp_path):
    graph = Graph(compiled("music_flamingo"), tmp_path)
    assert graph.origin("divide", "parameters", "branches") == ("pipeline", "branches")


@PIPELINES
def test_every_run_ends_with_a_page_about_it(pipeline, tmp_path):
    graph = Graph(pipeline, tmp_path)
    last = graph.tasks["outcome"]
    assert last["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    handled = last["inputs"]["parameters"]["status"]["taskFinalStatus"]["producerTask"]
    outside = {name for name, above in graph.above.items() if above is None and not name.startswith("importer")}
    assert outside == {"configure", handled, "outcome"}


def test_the_whole_pipeline_has_every_stage(tmp_path):
    graph = Graph(compiled("music_flamingo"), tmp_path)
    groups = {above for above in graph.above.values() if above}
    own = {"configure", "divide", "outcome", "check-shards", *(f"collect-{name}" for name in stages.BRANCHED)}
    assert set(graph.tasks) - groups == {*own, *stages.ORDER}


MOST_LINES = 350


def test_no_file_of_the_package_is_longer_than_a_person_reads_at_once():
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in PACKAGE_ROOT.rglob("*.py")}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_no_text_renders_a_tuple():
    """In an f-string `{1,3}` of a regular expression is a tuple; it is written `{{1,3}}`."""
    rendered = [
        f"{path.relative_to(ROOT)}:{part.lineno}"
        for path in PACKAGE_ROOT.rglob("*.py")
        for text in ast.walk(ast.parse(path.read_text()))
        if isinstance(text, ast.JoinedStr)
        for part in text.values
        if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Tuple)
    ]
    assert rendered == []
