"""`mf demo` as a newcomer calls it: one recording in, a page out."""

import re

import numpy as np
import pytest
import soundfile

from music_flamingo.cli import main
from music_flamingo.core.manifest import read_manifest
from music_flamingo.runs import demo as demo_module

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def chords(seconds: float) -> np.ndarray:
    """Struck triads, one a half second, at 44.1 kHz."""
    rate = 44_100
    t = np.arange(rate // 2) / rate
    roots = [261.6, 349.2, 392.0, 261.6]
    struck = [sum(np.sin(2 * np.pi * f * r * t) for r in (1, 1.26, 1.5)) * np.exp(-4 * t) for f in roots]
    bar = np.concatenate(struck) * 0.15
    return np.tile(bar, int(seconds // 2)).astype(np.float32)


def test_one_recording_becomes_a_page_with_its_facts_captions_and_questions(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(demo_module, "runs_folder", lambda: tmp_path / "runs")
    song = tmp_path / "my song (live) {1}.wav"
    soundfile.write(song, chords(20.0), 44_100)
    assert main(["demo", str(song)]) == 0
    told = capfd.readouterr().out
    assert re.search(r"Songs: file://\S+/songs/index.html", told)
    (folder,) = (tmp_path / "runs").iterdir()
    assert read_manifest(folder / "data" / "skills").num_records
    (page,) = (folder / "songs" / "listen").glob("*.html")
    text = page.read_text()
    assert "my song (live) {1}" in text and "bpm" in text and "Captions" in text
    assert 'href="../evaluation.html"' not in text, "no link to a page that is not there"
    assert main(["demo", str(song)]) == 0
    assert "Running stage 'facts'" not in capfd.readouterr().out, "a second call measures nothing again"


def test_what_is_no_file_is_refused_with_the_way_for_folders(tmp_path, capsys):
    assert main(["demo", str(tmp_path)]) == 2
    assert "--until validate" in capsys.readouterr().err
