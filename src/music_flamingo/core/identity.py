"""Code identity of a stage: every definition that its `run` can reach, and the files they read.

From a stage's `run`, its configuration and what it is handed the closure follows names: a function to the functions,
classes and constants that it mentions, through imports at the top of a module and inside of functions. A definition
that nothing mentions does not count, nor does what another stage alone uses of the same module. Data files count where
a definition that knows its own folder names them; prompts where a call names one, with the files that they include.

Comments, docstrings and layout are no part of it. What results know nothing of is listed in LEFT_OUT, with the reason.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from music_flamingo.core.data_files import file_digest, files_named, prompt_files
from music_flamingo.core.definitions import PACKAGE, Definition, Imported, Module, module_path, read_module
from music_flamingo.core.hashing import PACKAGE_ROOT, sha256_json
from music_flamingo.core.prompt_uses import prompts_named

LEFT_OUT = {
    "music_flamingo.core.stage": "opens and seals ports; what lies in them is the stage's own work",
    "music_flamingo.core.manifest": "the record that a port is whole, written when all is made",
    "music_flamingo.core.licences": "what a card lists of the tools that ran; no figure depends on it",
    "music_flamingo.audio.licences": "the same, of fingerprints",
    "music_flamingo.mir.licences": "the same, of the measuring tools",
    "music_flamingo.sources.licences": "the same, of recordings and speech",
    "music_flamingo.core.telemetry": "sends traces and metrics to whoever collects them",
    "music_flamingo.core.progress": "shows people how far work has come",
    "music_flamingo.core.errors": "names of what went wrong; a reason that a record keeps is written where it is found",
    "music_flamingo.teachers.usage": "counts what teachers cost, outside of the ports",
    "music_flamingo.core.measurements": "gives a measurement again, to the same bytes, settings and code alone",
    "music_flamingo.teachers.cache": "gives a finished call's reply again, to the same request alone",
    "music_flamingo.training.tracking": "passes numbers of log.jsonl on to TensorBoard and MLflow",
    "music_flamingo.training.scale.checkpoint_store": "copies checkpoints to a store and back, byte by byte",
    "music_flamingo.training.grpo.vllm": "another engine for sampling, chosen by a parameter; bits vary by run",
}
"""Module -> why no result depends on it. tests/unit/test_identity.py holds that each is there and is reached."""

READ_DOCSTRINGS = {
    "music_flamingo.teachers.payloads": "a reply's docstring is its `description` in the schema that a teacher reads",
}
"""Module, or package of such -> who reads the docstrings of its classes: there they count."""

ALWAYS = ""
"""Stands for the statements of a module that run whenever it is imported."""


@dataclass
class Closure:
    """The definitions that a root reaches, by (module, name), and the data files that they read."""

    definitions: dict[tuple[str, str], Definition] = field(default_factory=dict)
    files: set[Path] = field(default_factory=set)
    modules: dict[str, Module] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of all parts."""
        return sha256_json(self.parts)

    @property
    def parts(self) -> dict[str, str]:
        """What counts -> its digest: `music_flamingo.audio.windows:RULES`, `prompts/chain.j2`."""
        code = {f"{module}:{name}": found.digest for (module, name), found in self.definitions.items()}
        return code | {str(path.relative_to(PACKAGE_ROOT)): file_digest(path) for path in self.files}

    @property
    def sources(self) -> set[Path]:
        """Every file that was read for it."""
        return {module.path for module in self.modules.values()} | self.files


def closure(*roots: Callable[..., object]) -> Closure:
    """What these functions and classes can reach; one that is defined inside of a function stands for that function."""
    walk = _Walk(Closure())
    for root in roots:
        walk.reach(root.__module__, root.__qualname__.partition(".")[0])
    walk.add_files()
    return walk.found


def stamps(found: Closure) -> dict[Path, tuple[int, int, int]]:
    """File -> when it was written, its size and place: what differs for a file that was changed and changed back."""
    return {path: _stamp(path) for path in found.sources}


def has_changed(before: Mapping[Path, tuple[int, int, int]]) -> bool:
    """Whether a file was written, or went, since `stamps` gave its state."""
    try:
        return any(_stamp(path) != state for path, state in before.items())
    except OSError:
        return True


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


class _Walk:
    """Follows names from definition to definition."""

    def __init__(self, found: Closure) -> None:
        self.found = found
        self._waiting: list[tuple[Module, Definition]] = []

    def reach(self, module_name: str, name: str | None) -> None:
        self._reach(module_name, name)
        while self._waiting:
            self._follow(*self._waiting.pop())

    def _reach(self, module_name: str, name: str | None) -> None:
        """Count `name` of a module, or the whole module where it is None."""
        if module_name in LEFT_OUT or (module := self._module(module_name)) is None:
            return
        self._count(module, ALWAYS, module.always)
        if name is None:
            for own, definition in module.definitions.items():
                self._count(module, own, definition)
            for imported in module.imports.values():
                self._enter(imported)
        elif name in module.definitions:
            self._count(module, name, module.definitions[name])
        elif name in module.imports:
            self._enter(module.imports[name])

    def _enter(self, imported: Imported) -> None:
        if (imported.module, imported.name) not in self.found.definitions:
            self._reach(imported.module, imported.name)

    def _count(self, module: Module, name: str, definition: Definition) -> None:
        if (module.name, name) not in self.found.definitions:
            self.found.definitions[module.name, name] = definition
            self._waiting.append((module, definition))

    def _module(self, name: str) -> Module | None:
        if name not in self.found.modules:
            path = module_path(name) or _outside(name)
            if path is None:
                return None
            self.found.modules[name] = read_module(name, path, _docstrings_count(name))
        return self.found.modules[name]

    def _follow(self, module: Module, definition: Definition) -> None:
        own = definition.mentions
        scope = module.imports | own.imports
        for imported in own.imports.values():
            # a module that is imported where it is used: what it is used for are its attributes
            if imported.name is not None:
                self._enter(imported)
        for name in own.names:
            if name in module.definitions:
                self._count(module, name, module.definitions[name])
            if name in scope:
                self._enter(scope[name])
        for dotted in own.attributes:
            self._attribute(module, scope, dotted)

    def _attribute(self, module: Module, scope: dict[str, Imported], dotted: tuple[str, ...]) -> None:
        """`windows.RULES["middle"]`, `music_flamingo.audio.windows.RULES`, or an attribute of an object."""
        if dotted[0] in module.definitions:
            self._count(module, dotted[0], module.definitions[dotted[0]])
        for cut in range(len(dotted), 0, -1):
            imported = scope.get(".".join(dotted[:cut]))
            if imported is None:
                continue
            if imported.name is not None or cut == len(dotted):
                self._enter(imported)
                return
            target, rest = imported.module, dotted[cut:]
            while len(rest) > 1 and module_path(f"{target}.{rest[0]}"):
                target, rest = f"{target}.{rest[0]}", rest[1:]
            self._reach(target, rest[0])
            return

    def add_files(self) -> None:
        """The data files that the reached definitions name: in their own folder, and prompts."""
        for (name, _), definition in list(self.found.definitions.items()):
            module = self.found.modules[name]
            if module.reads_files:
                self.found.files.update(files_named(module.path.parent, definition.mentions.texts))
        self.found.files.update(prompt_files(self._prompts()))

    def _prompts(self) -> Iterator[str]:
        for (name, _), definition in self.found.definitions.items():
            yield from prompts_named(self.found.modules[name], definition, self.found.modules)


@lru_cache(maxsize=256)
def _outside(name: str) -> Path | None:
    """The file of an imported module that is not of this package: a stage that a test defines."""
    import sys

    if name == PACKAGE or name.startswith(f"{PACKAGE}."):
        return None
    file = getattr(sys.modules.get(name), "__file__", None)
    return Path(file) if file else None


def _docstrings_count(module: str) -> bool:
    return module in READ_DOCSTRINGS or module.rpartition(".")[0] in READ_DOCSTRINGS
