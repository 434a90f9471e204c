"""What follows from the stages is written by `make derive`, and nothing of it is stale."""

import shutil
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from music_flamingo import stages
from music_flamingo.core.hashing import PACKAGE_ROOT
from pipelines.component_code import NOT_SAID as NO_FIRST_LINE
from pipelines.derive import CONFIGURE, NOT_SAID, PACKAGE, PORTS, TITLES, derived, stale

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_derived_is_stale():
    assert stale() == [], "`make derive` writes these anew"


def test_every_port_is_said_to_hold_something():
    assert NOT_SAID not in (ROOT / PORTS).read_text(), f"{PORTS}: a port's description is written by hand"


@pytest.fixture
def tree(tmp_path) -> Path:
    """A copy of what is derived and of what it is derived from."""
    shutil.copytree(ROOT / "components", tmp_path / "components", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (PACKAGE, PORTS, TITLES, Path("dvc.yaml")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("dvc.yaml", "data/think_rejects", "data/thought"),
        ("components/reason/README.md", "`facts`", "`fact`"),
        ("components/reason/component.py", "    facts: Input[Dataset],\n", ""),
        ("components/facts/collect.py", '"originals": originals', ""),
        ("components/captions/__init__.py", "collect_captions", "collected"),
        (str(CONFIGURE), '("grpo", str)', '("gpro", str)'),
        (str(PACKAGE), '/grpo" =', '/gpro" ='),
        (str(TITLES), "Warm-up", "Warming"),
        (str(PORTS), "| reason | Chain |", "| reason | Example |"),
    ],
)
def test_a_derived_file_that_says_otherwise_is_found_and_mended(tree, path, old, new):
    file = tree / path
    before = file.read_text()
    assert old in before
    file.write_text(before.replace(old, new))
    assert stale(tree) == [Path(path)]
    file.write_text(derived(tree)[Path(path)])
    assert file.read_text() == before


def test_a_component_s_own_first_line_and_image_are_kept(tree):
    file = tree / "components/sft/component.py"
    file.write_text(file.read_text().replace("TRAIN_IMAGE", "ANNOTATE_IMAGE").replace('"""', '"""Anew: ', 1))
    text = derived(tree)[Path("components/sft/component.py")]
    assert text.count("Anew: ") == 2 and "TRAIN_IMAGE" not in text


def test_a_new_stage_s_component_is_written_whole_and_asks_for_its_first_line(tree):
    shutil.rmtree(tree / "components/speech")
    new = {Path(f"components/speech/{name}") for name in ("README.md", "__init__.py", "component.py")}
    assert set(stale(tree)) == new
    assert f'"""{NO_FIRST_LINE}"""' in derived(tree)[Path("components/speech/component.py")]


def test_every_component_says_what_it_does():
    for name in stages.ORDER:
        assert NO_FIRST_LINE not in (ROOT / f"components/{name}/component.py").read_text(), f"components/{name}"


def test_a_wheel_carries_every_data_file_that_a_result_depends_on():
    patterns = tomllib.loads((ROOT / PACKAGE).read_text())["tool"]["setuptools"]["package-data"]["music_flamingo"]
    for name in stages.ORDER:
        for path in stages.load(name).code().files:
            relative = str(path.relative_to(PACKAGE_ROOT))
            assert any(fnmatch(relative, p) for p in patterns), f"{name} reads {relative}, which pip would not install"
