"""vLLM's plugin as far as it goes without vLLM: found by its entry point, importable alone, harmless elsewhere."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_flamingo.model.context import Hearing
from music_flamingo.scoring import extract
from music_flamingo.vllm_plugin import tags
from music_flamingo.vllm_plugin.windowing import SoundWindows, audio_tokens

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "src/music_flamingo/vllm_plugin"

FAKE_VLLM = """
import sys, types
def module(name, **names):
    made = sys.modules[name] = types.ModuleType(name)
    made.__path__ = []
    vars(made).update(names)
    return made
models, parsers = {}, {}
for name in ("vllm", "vllm.model_executor", "vllm.model_executor.models"):
    module(name)
registry = types.SimpleNamespace(register_model=models.__setitem__)
module("vllm.model_executor.models.registry", ModelRegistry=registry)
lazily = lambda name, file, cls: parsers.__setitem__(name, f"{file}:{cls}")
module("vllm.reasoning", ReasoningParserManager=types.SimpleNamespace(register_lazy_module=lazily))
config = module("vllm.config.model", **NAMES)
module("vllm.config", model=config)
import vllm_plugin
vllm_plugin.register()
vllm_plugin.register()
"""
RESOLVE = "NAMES = {'_resolve_auto_dtype': lambda model_type, config_dtype, *, is_pooling_model: 'bfloat16'}"


def run_alone(tmp_path: Path, code: str) -> subprocess.CompletedProcess:
    """With nothing but a copy of the plugin's folder and the standard library."""
    (tmp_path / "vllm_plugin").mkdir()
    for file in PLUGIN.glob("*.py"):
        (tmp_path / "vllm_plugin" / file.name).write_text(file.read_text())
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_vllm_finds_the_plugin_by_its_entry_points():
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    module, _, function = points["vllm.general_plugins"]["music_flamingo"].partition(":")
    assert (ROOT / "src" / module.replace(".", "/")) == PLUGIN and function == "register"
    module, _, name = points["vllm.logits_processors"]["music_flamingo"].partition(":")
    assert f"class {name}(" in (ROOT / "src" / module.replace(".", "/")).with_suffix(".py").read_text()


@pytest.mark.parametrize("path", sorted(PLUGIN.glob("*.py")), ids=lambda path: path.name)
def test_nothing_of_the_rest_of_the_project_is_imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not any(name.startswith("music_flamingo") for name in names)


def test_a_copy_of_the_folder_registers_model_and_parser(tmp_path):
    done = run_alone(tmp_path, f"{RESOLVE}\n{FAKE_VLLM}\nprint(models, parsers)")
    assert "'MusicFlamingoForConditionalGeneration': 'vllm_plugin.model:MusicFlamingoOnVllm'" in done.stdout
    assert "'music_flamingo': 'vllm_plugin.reasoning:MusicFlamingoReasoning'" in done.stdout


def test_the_weights_dtype_stands_for_music_flamingo_and_for_no_other_model(tmp_path):
    asked = (
        "print(*(config._resolve_auto_dtype(m, 'float32', is_pooling_model=False) for m in ('musicflamingo', 'qwen2')))"
    )
    assert run_alone(tmp_path, f"{RESOLVE}\n{FAKE_VLLM}\n{asked}").stdout.split() == ["float32", "bfloat16"]


def test_a_vllm_that_chooses_the_dtype_elsewhere_is_served_with_a_warning(tmp_path):
    done = run_alone(tmp_path, f"NAMES = {{}}\n{FAKE_VLLM}")
    assert "--dtype" in done.stderr


def test_tags_and_their_form_are_those_of_the_project():
    assert tags.TAGS == extract.TAGS


def processor_of(window_s: int, hop: int, max_audio_s: int) -> SimpleNamespace:
    extractor = SimpleNamespace(chunk_length=window_s, hop_length=hop, sampling_rate=16_000)
    return SimpleNamespace(feature_extractor=extractor, max_audio_len=max_audio_s)


@given(
    window_s=st.sampled_from([2, 6, 30]),
    num_windows=st.integers(1, 60),
    hop=st.sampled_from([160, 320]),
    num_samples=st.integers(700, 16_000 * 2000),
    rule=st.sampled_from(["first", "middle"]),
)
def test_the_plugin_hears_what_the_project_hears(window_s, num_windows, hop, num_samples, rule):
    processor = processor_of(window_s, hop, window_s * num_windows)
    hearing = Hearing(16_000, hop, window_s, window_s * num_windows, 100_000)
    plugin = SoundWindows.of(processor, {"rule": rule, "max_audio_s": hearing.max_audio_s})
    start, end = plugin.heard(num_samples)
    assert (start, end) == hearing.window_of(num_samples, rule)
    frames = [-(-(b - a) // hop) for a, b in plugin.chunks(end - start)]
    assert sum(map(audio_tokens, frames)) == hearing.audio_tokens(end - start)
    assert min(map(audio_tokens, frames)) > 0


def test_a_checkpoint_without_a_rule_hears_the_first_whole_windows():
    plugin = SoundWindows.of(processor_of(30, 160, 1200), {})
    assert plugin.heard(16_000 * 1500) == (0, 16_000 * 1200)
    assert SoundWindows.of(processor_of(30, 160, 1800), {}).heard(16_000 * 1790) == (0, 16_000 * 1790)


def test_a_recording_too_short_and_a_rule_that_is_not_known_are_errors():
    with pytest.raises(ValueError, match="at least 321"):
        SoundWindows.of(processor_of(30, 160, 1200), {}).heard(320)
    with pytest.raises(ValueError, match="not known: first, middle"):
        SoundWindows.of(processor_of(30, 160, 1200), {"rule": "random"})
