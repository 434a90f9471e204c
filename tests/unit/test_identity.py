"""A result's identity is the code that its stage can reach: no less, no more, and no comment of it."""

import ast
import shutil
from pathlib import Path

import pytest

from music_flamingo import stages
from music_flamingo.core import data_files, definitions, identity, prompt_uses
from music_flamingo.core.hashing import PACKAGE_ROOT

PACKAGE = "music_flamingo"
DOOR = {f"{PACKAGE}.core.{name}" for name in ("definitions", "identity", "prompt_uses", "unchanged")}
TRAINING = ("backbone", "sft", "warmup", "grpo")


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("src") / PACKAGE
    shutil.copytree(PACKAGE_ROOT, root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture
def source(copied, monkeypatch) -> Path:
    """A copy of the package, from which closures are computed."""
    for module in (data_files, definitions, identity):
        monkeypatch.setattr(module, "PACKAGE_ROOT", copied)
    for module in (data_files, prompt_uses):
        monkeypatch.setattr(module, "PROMPTS", copied / "prompts")
    return copied


@pytest.fixture
def change(source):
    """Replace a text of a file by another, for the length of a test."""
    before: dict[Path, str] = {}

    def replace(path: str, old: str, new: str) -> None:
        file = source / path
        before.setdefault(file, file.read_text())
        assert old in file.read_text(), f"{path} has no {old!r}"
        file.write_text(file.read_text().replace(old, new))

    yield replace
    for file, text in before.items():
        file.write_text(text)


def digests() -> dict[str, str]:
    return {name: stages.load(name).code().digest for name in stages.ORDER}


def changed(before: dict[str, str]) -> set[str]:
    after = digests()
    return {name for name in before if before[name] != after[name]}


def test_a_changed_window_rule_asks_for_all_that_cut_by_it(change):
    before = digests()
    change("audio/windows.py", "def choose_window(", "RULE_OF_TEST = 1\n\n\ndef choose_window(")
    assert changed(before) == set(), "a definition that nothing mentions is no part of any result"
    text = (PACKAGE_ROOT / "audio/windows.py").read_text()
    [line] = [line for line in text.splitlines() if '"middle"' in line and "if" in line]
    change("audio/windows.py", line, line.replace('"middle"', '"centre"'))
    assert {"reason", "sft", "warmup", "grpo", "evaluate"} <= changed(before)
    assert not {"ingest", "facts", "captions", "synthesize", "validate"} & changed(before)


def test_a_changed_reward_asks_for_what_earns_or_scores_by_it_and_for_no_other_training(change):
    before = digests()
    change("rewards/structured.py", "MAX_OTHERS = ", "MAX_OTHERS = 1 + ")
    assert changed(before) == {"grpo", "evaluate"}


def test_comments_and_docstrings_of_any_file_ask_for_nothing(source, change):
    before = digests()
    for path in [*source.rglob("*.py"), *source.rglob("*.j2"), *source.rglob("*.yaml")]:
        text, name = path.read_text(), str(path.relative_to(source))
        if path.suffix == ".j2":
            change(name, text, "{# of no account #}\n" + text)
        elif path.suffix == ".yaml" or not text:
            change(name, text, text + "\n# of no account\n") if text else None
        else:
            tree = ast.parse(text)
            doc = ast.get_docstring(tree, clean=False)
            more = text.replace(doc, f"{doc} Of no account.", 1) if doc else text
            change(name, text, more + "\n# of no account\n")
    assert changed(before) == set()


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("prompts/judge_mmau_pro.j2", "{#", "{# a word more:"),
        ("prompts/judge_mmau_pro.j2", "{{", "Mind: {{"),
        ("scoring/official.py", "\n\n\ndef ", "\n\n\n# a comment\ndef "),
        ("training/tracking.py", "BATCH = 1000", "BATCH = 999"),
        ("training/grpo/vllm.py", "UNLIKELY = -100.0", "UNLIKELY = -99.0"),
        ("core/progress.py", "line_every_s: float = 10.0", "line_every_s: float = 20.0"),
        ("serving/scheduler.py", "\n\n\n", "\n\nX_OF_TEST = 1\n\n"),
    ],
)
def test_what_results_know_nothing_of_asks_for_nothing(change, path, old, new):
    before = digests()
    change(path, old, new)
    assert changed(before) == set()


@pytest.mark.parametrize(
    ("path", "old", "new", "asked"),
    [
        ("prompts/initial_caption.j2", "{{", "Mind: {{", {"captions"}),
        ("prompts/qa_type_count.j2", " ", "  ", {"synthesize"}),
        ("prompts/step_check.j2", "{{", "Mind: {{", {"reason"}),
        ("rewards/synonyms.yaml", "drums", "drumz", {"grpo", "evaluate"}),
        ("sources/speech/phrases.yaml", "en", "eo", {"speech"}),
        ("mir/sound_model.json", "1", "2", {"facts"}),
    ],
)
def test_a_changed_data_file_asks_for_the_stages_that_read_it(change, path, old, new, asked):
    before = digests()
    change(path, old, new)
    assert changed(before) == asked


def test_the_words_that_a_teacher_reads_in_a_schema_count_though_they_are_docstrings(source, change):
    before = digests()
    text = (source / "teachers/payloads/questions.py").read_text()
    tree = ast.parse(text)
    reply = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "DifficultyReply")
    doc = ast.get_docstring(reply, clean=False)
    if doc is None:
        field = next(s for s in reply.body if isinstance(s, ast.AnnAssign))
        line = text.splitlines()[field.lineno - 1]
        change("teachers/payloads/questions.py", line, f'    """How hard."""\n\n{line}')
    else:
        change("teachers/payloads/questions.py", doc, f"{doc} Mind.")
    assert "reason" in changed(before)


class Louder(ast.NodeTransformer):
    """Changes the first constant that it meets below one definition."""

    def __init__(self, name: str) -> None:
        self.name, self.done, self.inside = name, False, False

    def visit(self, node):
        bound = definitions._bound(node) if isinstance(node, ast.stmt) and not self.inside else ()
        if self.name in list(bound) and not self.inside:
            self.inside = True
            node = self.generic_visit(node)
            self.inside = False
            return node
        return super().visit(node)

    def visit_Expr(self, node):
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Constant(self, node):
        if not self.inside or self.done or not isinstance(node.value, int | float | str) or node.value is True:
            return node
        self.done = True
        value = f"{node.value}x" if isinstance(node.value, str) else node.value + 1
        return ast.copy_location(ast.Constant(value), node)


def test_a_changed_constant_changes_every_stage_that_reaches_it_and_no_other(source):
    """One reached definition of each module of the package, changed in turn."""
    closures = {name: stages.load(name).code() for name in stages.ORDER}
    before = {name: found.digest for name, found in closures.items()}
    reached = {part for found in closures.values() for part in found.definitions}
    tried = 0
    for module in sorted({module for module, _ in reached}):
        path = definitions.module_path(module)
        text = path.read_text()
        for name in sorted(n for m, n in reached if m == module and n):
            tree = Louder(name)
            mutated = tree.visit(ast.parse(text))
            if tree.done:
                break
        else:
            continue
        users = [s for s, found in closures.items() if (module, name) in found.definitions]
        others = [s for s in closures if s not in users]
        path.write_text(ast.unparse(mutated))
        try:
            assert stages.load(users[0]).code().digest != before[users[0]], f"{users[0]}: {module}.{name}"
            for other in others[:1]:
                # a definition may come to mention another; it is this stage's only if it reaches it
                assert stages.load(other).code().digest == before[other], f"{other}: {module}.{name}"
        finally:
            path.write_text(text)
        tried += 1
    assert tried > 150


def test_layout_is_no_part_of_a_result(source):
    before = digests()
    texts = {path: path.read_text() for path in source.rglob("*.py")}
    try:
        for path, text in texts.items():
            path.write_text(ast.unparse(ast.parse(text)))
        assert changed(before) == set()
    finally:
        for path, text in texts.items():
            path.write_text(text)


def test_what_is_left_out_exists_has_a_reason_and_would_be_reached(source, monkeypatch):
    monkeypatch.setattr(identity, "LEFT_OUT", {})
    reached = {module for name in stages.ORDER for module in stages.load(name).code().modules}
    monkeypatch.undo()
    for module, reason in identity.LEFT_OUT.items():
        assert definitions.module_path(module), f"{module} is no module"
        assert len(reason) > 20
        assert module in reached, f"{module} is reached by no stage: it need not be listed"


def test_no_package_does_anything_when_it_is_imported():
    """An import through a package follows the one name that is wanted: what else the package does would be missed."""
    for path in PACKAGE_ROOT.rglob("__init__.py"):
        for statement in ast.parse(path.read_text()).body:
            is_call = isinstance(statement, ast.Expr) and not isinstance(statement.value, ast.Constant)
            assert not is_call, f"{path}:{statement.lineno} does something on import"


def test_no_stage_depends_on_how_identities_are_computed():
    for name in stages.ORDER:
        assert not {module for module, _ in stages.load(name).code().definitions} & DOOR


def test_the_closure_of_every_stage_is_computed_in_well_below_a_second():
    import time

    digests()
    started = time.process_time()
    digests()
    assert time.process_time() - started < 1.0
