"""vLLM's plugin as far as it goes without vLLM: found by its entry point, importable alone, harmless elsewhere."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "src/music_flamingo/vllm_plugin"

FAKE_VLLM = """
import sys, types, importlib.util
for name in ("vllm", "vllm.model_executor", "vllm.model_executor.models", "vllm.model_executor.models.registry"):
    module = types.ModuleType(name)
    module.__path__ = []
    sys.modules[name] = module
registered = {}
registry = types.SimpleNamespace(register_model=registered.__setitem__)
sys.modules["vllm.model_executor.models.registry"].ModelRegistry = registry
if HAS_MUSIC:
    found = types.ModuleType("vllm.model_executor.models.musicflamingo")
    found.__spec__ = importlib.util.spec_from_loader(found.__name__, None)
    sys.modules[found.__name__] = found
import vllm_plugin
vllm_plugin.register()
print(registered)
"""


def run_alone(tmp_path: Path, code: str) -> subprocess.CompletedProcess:
    """With nothing but a copy of the plugin's folder and the standard library."""
    (tmp_path / "vllm_plugin").mkdir()
    for file in PLUGIN.glob("*.py"):
        (tmp_path / "vllm_plugin" / file.name).write_text(file.read_text())
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_vllm_finds_the_plugin_by_its_entry_point():
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["vllm.general_plugins"]
    module, _, function = points["music_flamingo"].partition(":")
    assert (ROOT / "src" / module.replace(".", "/")) == PLUGIN and function == "register"


@pytest.mark.parametrize("path", sorted(PLUGIN.glob("*.py")), ids=lambda path: path.name)
def test_nothing_of_the_rest_of_the_project_is_imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not any(name.startswith("music_flamingo") for name in names)


def test_a_copy_of_the_folder_registers_the_model(tmp_path):
    done = run_alone(tmp_path, f"HAS_MUSIC = True\n{FAKE_VLLM}")
    assert "'MusicFlamingoForConditionalGeneration': 'vllm_plugin.any_window:AnyWindowMusicFlamingo'" in done.stdout


def test_a_vllm_without_music_flamingo_is_left_as_it_is_with_a_warning(tmp_path):
    done = run_alone(tmp_path, f"HAS_MUSIC = False\n{FAKE_VLLM}")
    assert done.stdout.strip() == "{}" and "use vLLM 0.24" in done.stderr
