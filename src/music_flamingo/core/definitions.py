"""Parse modules of this package into definitions: bound names, referenced names and data files.

Nothing is imported or run: the source is parsed. A module is read again when its file changes, and once otherwise.
"""

import ast
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from music_flamingo.core.hashing import PACKAGE_ROOT, sha256_bytes

PACKAGE = PACKAGE_ROOT.name


@dataclass(frozen=True)
class Imported:
    """A name bound by an import: `from module import name`, or a module itself where `name` is None."""

    module: str
    name: str | None


@dataclass
class Definition:
    """The statements that bind one top-level name, without comments, docstrings and positions."""

    statements: list[ast.stmt] = field(default_factory=list)
    keeps_docstrings: bool = False
    """The texts below classes are read by someone (a teacher, in the schema of its reply), so they count."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the definition without comments and docstrings."""
        parts = (_dump(statement, self.keeps_docstrings) for statement in self.statements)
        return sha256_bytes("\n".join(parts).encode())

    @cached_property
    def mentions(self) -> "Mentions":
        """Names and data files that the definition refers to."""
        found = Mentions()
        for statement in self.statements:
            found.read(statement)
        return found


class Mentions:
    """What a definition mentions: names, attributes of names, imports of its own, texts and calls."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.attributes: set[tuple[str, ...]] = set()
        self.imports: dict[str, Imported] = {}
        self.texts: set[str] = set()
        self.calls: list[ast.Call] = []

    def read(self, node: ast.AST) -> None:
        """Take in what runs when the definition is used: annotations of functions do not."""
        if isinstance(node, ast.If) and is_type_checking(node):
            for statement in node.orelse:
                self.read(statement)
            return
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.imports.update(imports_of(node))
            return
        if isinstance(node, ast.Attribute) and (dotted := _dotted(node)):
            self.attributes.add(dotted)
            return
        if isinstance(node, ast.Name):
            self.names.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.texts.add(node.value)
        elif isinstance(node, ast.Call):
            self.calls.append(node)
        for child in _children(node):
            self.read(child)
        if isinstance(node, ast.AnnAssign):
            self._read_forward(node.annotation)

    def _read_forward(self, annotation: ast.expr) -> None:
        """`list["Node"]`: a field's type may be written as text."""
        for part in ast.walk(annotation):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                try:
                    written = ast.parse(part.value, mode="eval")
                except SyntaxError:
                    continue
                self.names.update(n.id for n in ast.walk(written) if isinstance(n, ast.Name))


def _children(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from node.decorator_list
        yield from node.args.defaults
        yield from (default for default in node.args.kw_defaults if default is not None)
        yield from (statement for statement in node.body if not _is_docstring(statement))
        return
    for child in ast.iter_child_nodes(node):
        if not _is_docstring(child):
            yield child


def _dotted(node: ast.Attribute) -> tuple[str, ...] | None:
    """`a.b.c` -> ("a", "b", "c"); None where the left side is no plain name."""
    parts, value = [node.attr], node.value
    while isinstance(value, ast.Attribute):
        parts.append(value.attr)
        value = value.value
    return (value.id, *reversed(parts)) if isinstance(value, ast.Name) else None


@dataclass
class Module:
    """One source file: its definitions by name, its imports by the name they bind, and the statements that always run.

    A star import is none of this project's ways; `import a.b` binds `a`, and is read as the module a.b under `a.b`.
    """

    name: str
    path: Path
    definitions: dict[str, Definition]
    imports: dict[str, Imported]
    always: Definition
    reads_files: bool
    """It knows its own folder (`__file__`, `importlib.resources.files`), so its texts may name data files there."""


def module_path(name: str) -> Path | None:
    """The source file of a module of this package; None for anything else."""
    if name != PACKAGE and not name.startswith(f"{PACKAGE}."):
        return None
    place = PACKAGE_ROOT.parent.joinpath(*name.split("."))
    if (place / "__init__.py").is_file():
        return place / "__init__.py"
    file = place.with_suffix(".py")
    return file if file.is_file() else None


def read_module(name: str, path: Path, keeps_docstrings: bool = False) -> Module:
    """Parse a source file, or give what was parsed of it before."""
    found = path.stat()
    return _read(name, path, found.st_mtime_ns, found.st_size, found.st_ino, keeps_docstrings)


@lru_cache(maxsize=4096)
def _read(name: str, path: Path, _mtime_ns: int, _size: int, _inode: int, keeps_docstrings: bool) -> Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(path.read_bytes(), filename=str(path))
    module = Module(name, path, {}, {}, Definition(), _reads_files(tree))
    for statement in tree.body:
        _take(module, statement, keeps_docstrings)
    return module


def _take(module: Module, statement: ast.stmt, keeps_docstrings: bool) -> None:
    if _is_docstring(statement) or (isinstance(statement, ast.If) and is_type_checking(statement)):
        return
    if isinstance(statement, ast.Import | ast.ImportFrom):
        module.imports.update(imports_of(statement))
        return
    bound = list(dict.fromkeys(_bound(statement)))
    for name in bound:
        definition = module.definitions.setdefault(name, Definition(keeps_docstrings=keeps_docstrings))
        definition.statements.append(statement)
    plain = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
    if not bound or not isinstance(statement, plain):
        module.always.statements.append(statement)


def _bound(statement: ast.stmt) -> Iterable[str]:
    """The top-level names that a statement binds or changes (`TABLE["x"] = 1` changes TABLE)."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for part in (node for target in targets for node in ast.walk(target)):
            if isinstance(part, ast.Name):
                yield part.id
        return
    for inner in ast.iter_child_nodes(statement):
        if isinstance(inner, ast.stmt):
            yield from _bound(inner)


def imports_of(node: ast.Import | ast.ImportFrom) -> dict[str, Imported]:
    """Name -> what it stands for; other people's packages are left out."""
    found = {}
    for alias in node.names:
        if isinstance(node, ast.Import):
            if module_path(alias.name):
                found[alias.asname or alias.name] = Imported(alias.name, None)
            continue
        assert node.level == 0, "imports of this package are written in full"
        inner = f"{node.module}.{alias.name}"
        if module_path(inner):
            found[alias.asname or alias.name] = Imported(inner, None)
        elif node.module and module_path(node.module):
            found[alias.asname or alias.name] = Imported(node.module, alias.name)
    return found


def is_type_checking(node: ast.If) -> bool:
    """`if TYPE_CHECKING:`, whose body never runs."""
    return ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _reads_files(tree: ast.Module) -> bool:
    return any(
        (isinstance(node, ast.Name) and node.id == "__file__")
        or (isinstance(node, ast.ImportFrom) and node.module == "importlib.resources")
        for node in ast.walk(tree)
    )


def _is_docstring(node: ast.AST) -> bool:
    """A text that stands alone: of a module, class or function, or below a field."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _dump(node: ast.AST, keeps_docstrings: bool) -> str:
    """A statement as text: no positions, no docstrings (but those of classes, where `keeps_docstrings`)."""
    parts = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        if name in ("type_comment", "ctx", "kind"):
            continue
        if isinstance(value, list):
            kept = [v for v in value if not (isinstance(v, ast.AST) and _is_docstring(v))]
            if keeps_docstrings and isinstance(node, ast.ClassDef) and name == "body":
                kept = [v for i, v in enumerate(value) if i == 0 or not _is_docstring(v)]
            inner = ",".join(_dump(v, keeps_docstrings) if isinstance(v, ast.AST) else repr(v) for v in kept)
            parts.append(f"{name}=[{inner}]")
        elif isinstance(value, ast.AST):
            parts.append(f"{name}={_dump(value, keeps_docstrings)}")
        else:
            parts.append(f"{name}={value!r}")
    return "(" + " ".join(parts) + ")"
