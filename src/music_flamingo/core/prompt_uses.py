"""Which prompts a definition names: texts that it hands to a parameter or field called `prompt_id`.

A text, a constant of the module and an f-string (`qa_{skill}` stands for every id that fits) say it by themselves.
Where another variable is handed over, every text of the module's reached code that is a prompt's id counts.
"""

import ast
from collections.abc import Iterator, Mapping

from music_flamingo.core.data_files import PROMPTS
from music_flamingo.core.definitions import Definition, Module

PARAMETER = "prompt_id"


def prompts_named(module: Module, definition: Definition, modules: Mapping[str, Module]) -> Iterator[str]:
    """Ids, and patterns of ids, of the prompts that a definition of `module` asks for."""
    for call in definition.mentions.calls:
        argument = _argument(call, module, definition, modules)
        if argument is not None:
            yield from _ids(argument, module)


def _argument(call: ast.Call, module: Module, definition: Definition, modules: Mapping[str, Module]) -> ast.expr | None:
    """What a call gives as `prompt_id`; None where it gives none."""
    for keyword in call.keywords:
        if keyword.arg == PARAMETER:
            return keyword.value
    if not isinstance(call.func, ast.Name):
        return None
    called = _called(call.func.id, module, definition, modules)
    names = [name for statement in called for name in _parameters(statement)]
    if PARAMETER not in names or names.index(PARAMETER) >= len(call.args):
        return None
    return call.args[names.index(PARAMETER)]


def _called(name: str, module: Module, definition: Definition, modules: Mapping[str, Module]) -> list[ast.stmt]:
    """The statements that define a called name, here or where it is imported from."""
    for _ in range(len(modules)):
        imported = (module.imports | definition.mentions.imports).get(name)
        if imported is None or imported.name is None or imported.module not in modules:
            break
        module, name = modules[imported.module], imported.name
    found = module.definitions.get(name)
    return found.statements if found else []


def _parameters(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef):
        return [a.arg for a in (*statement.args.posonlyargs, *statement.args.args)]
    if isinstance(statement, ast.ClassDef):
        return [s.target.id for s in statement.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
    return []


def _ids(argument: ast.expr, module: Module) -> Iterator[str]:
    if isinstance(argument, ast.Constant):
        yield str(argument.value)
    elif isinstance(argument, ast.JoinedStr):
        yield "".join(str(p.value) if isinstance(p, ast.Constant) else "*" for p in argument.values)
    elif isinstance(argument, ast.IfExp):
        yield from _ids(argument.body, module)
        yield from _ids(argument.orelse, module)
    elif isinstance(argument, ast.Name) and (value := _constant(argument.id, module)):
        yield value
    elif isinstance(argument, ast.Name) and argument.id != PARAMETER:
        yield from _all_ids(module)


def _constant(name: str, module: Module) -> str | None:
    definition = module.definitions.get(name)
    for statement in definition.statements if definition else ():
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            return str(statement.value.value)
    return None


def _all_ids(module: Module) -> Iterator[str]:
    texts = {text for definition in module.definitions.values() for text in definition.mentions.texts}
    yield from (text for text in sorted(texts) if text.isidentifier() and (PROMPTS / f"{text}.j2").is_file())
