"""The words of the project: documented public names, unique class names, no words from the stop list."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src/music_flamingo"
FILES = [path for folder in (PACKAGE, ROOT / "components", ROOT / "pipelines") for path in sorted(folder.rglob("*.py"))]
IN_PACKAGE = [path for path in FILES if path.is_relative_to(PACKAGE)]

UNCHANGED = {str(path.relative_to(ROOT)) for path in (PACKAGE / "teachers/payloads").glob("*.py")}
"""Files that may lack docstrings: a payload's docstring is part of the schema that a teacher is sent, and so of the key
under which its paid replies are cached."""

OVERRIDDEN = {"open", "close", "identity"}
"""Methods that a Protocol or base declares for many classes and whose one word says all: load the tool or source,
release it, give the fields that results depend on. Each may go without a docstring of its own."""

STOP = re.compile(r"\b(told|stretch|stretches|beside)\b", re.IGNORECASE)
"""Words of a private vocabulary: `stated`, `window` or `segment`, `next to` say the same in the field's."""

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/reference").glob("*.md"))]
ALLOWED = {"README.md": ("stand beside every rate",)}
"""Phrases in which a page may keep a stop word. Decisions are records of their day and are not read here."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(body: list[ast.stmt]) -> Iterator[Definition]:
    """Public functions and classes of a body."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node


def undocumented(text: str) -> list[str]:
    """Names of public functions, classes and methods of a module that have no docstring."""
    missing = []
    for node in public(ast.parse(text).body):
        inside = public(node.body) if isinstance(node, ast.ClassDef) else ()
        missing += [node.name] if not ast.get_docstring(node) else []
        missing += [f"{node.name}.{m.name}" for m in inside if not (ast.get_docstring(m) or m.name in OVERRIDDEN)]
    return missing


def stop_words(text: str, allowed: tuple[str, ...] = ()) -> list[str]:
    """Lines with a stop word, identifiers in backticks and allowed phrases aside."""
    plain = re.sub(r"`[^`\n]*`", "", text)
    for phrase in allowed:
        plain = plain.replace(phrase, "")
    return [line.strip() for line in plain.splitlines() if STOP.search(line)]


def stopped(text: str) -> Iterator[str]:
    """Lines with a stop word in docstrings and in texts below fields of a module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from stop_words(node.value.value, allowed=("told apart",))


def test_every_public_function_class_and_method_has_a_docstring():
    found = {str(path.relative_to(ROOT)): undocumented(path.read_text()) for path in FILES}
    assert {name: missing for name, missing in found.items() if missing and name not in UNCHANGED} == {}


def test_every_module_of_the_package_opens_with_a_docstring():
    assert [p.name for p in IN_PACKAGE if not ast.get_docstring(ast.parse(p.read_text()))] == []


def test_a_public_class_name_stands_once_in_the_package():
    names = Counter(
        node.name
        for path in IN_PACKAGE
        for node in public(ast.parse(path.read_text()).body)
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_module_docstrings_use_no_stop_word():
    found = {str(p.relative_to(ROOT)): stop_words(ast.get_docstring(ast.parse(p.read_text())) or "") for p in FILES}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_docstrings_of_the_package_use_no_stop_word():
    found = {str(path.relative_to(ROOT)): list(stopped(path.read_text())) for path in IN_PACKAGE}
    assert {name: lines for name, lines in found.items() if lines and name not in UNCHANGED} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_use_no_stop_word(page):
    assert stop_words(page.read_text(), ALLOWED.get(str(page.relative_to(ROOT)), ())) == []


def test_the_glossary_fits_on_two_pages():
    assert len((ROOT / "docs/glossary.md").read_text().split()) <= 1200


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("def f(): pass", ["f"]),
        ("def _f(): pass", []),
        ('class A:\n  """A."""\n  def m(self): pass\n  def _n(self): pass', ["A.m"]),
        ('class A:\n  """A."""\n  def open(self): pass', []),
        ("class _A:\n  def m(self): pass", []),
        ('async def f():\n  """F."""', []),
    ],
)
def test_a_public_name_without_docstring_is_found(text, missing):
    assert undocumented(text) == missing


def test_a_stop_word_is_found_outside_of_code_and_allowed_phrases():
    assert stop_words("the stretch that it is told") == ["the stretch that it is told"]
    assert stop_words("`max_stretch_s`, stretching, `told`") == []
    assert stop_words("stands beside it", allowed=("stands beside it",)) == []
