"""The notebook: kept without outputs, and every cell runs over a run's data."""

import json
import sys
import types
from pathlib import Path

import matplotlib
import pytest
from support import songs, tiny_world

NOTEBOOK = Path(__file__).parents[2] / "notebooks/walk.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def test_the_notebook_is_kept_without_outputs_and_with_stable_ids():
    code = [cell for cell in CELLS if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert [cell["id"] for cell in CELLS] == [f"cell-{place:02d}" for place in range(len(CELLS))]


@pytest.fixture
def data(tmp_path, monkeypatch):
    from music_flamingo.model.files import save_model
    from music_flamingo.records import Facts

    tiny_world.write_ports(tmp_path)
    ids = [track.id for track in tiny_world.tracks()]
    songs.write_port(tmp_path / "facts", Facts, [[songs.make_facts(i, i, duration_s=3.0) for i in ids]])
    save_model(tiny_world.model(), tiny_world.processor(), tmp_path / "sft_model")
    monkeypatch.setenv("MF_DATA", str(tmp_path))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.slow
def test_every_cell_runs_and_the_adapter_learns(data, monkeypatch, capsys):
    shown = []
    display = types.ModuleType("IPython.display")
    display.display, display.Audio = shown.append, lambda samples, rate: (len(samples), rate)
    ipython = types.ModuleType("IPython")
    ipython.get_ipython, ipython.version_info = lambda: None, (9, 0)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    matplotlib.use("Agg")
    named: dict = {}
    for cell in CELLS:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), named)
    assert (48000, 16000) in [one for one in shown if isinstance(one, tuple)], "three seconds are listened to"
    assert named["losses"][-1] < named["losses"][0]
    said = capsys.readouterr().out
    assert "16 questions and captions, 8 chains of thought" in said
    assert "reference: 'low'" in said
