"""The sheet to review by ear in headless Chromium: keys rate, ratings survive and leave as CSV, clips play."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from music_flamingo.audio.flac import encode_flac
from music_flamingo.quality.sheet import Cited, SheetExample, write_sheet

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for found in map(shutil.which, NAMES) if found), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
FLAGS += ("--allow-file-access-from-files", "--disable-web-security", "--autoplay-policy=no-user-gesture-required")
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="needs headless Chromium: apt-get install chromium"),
]


def item(number: int, **changes) -> SheetExample:
    values = {"id": f"t/{number}", "stratum": "kept / harmony / open / key", "fate": "kept", "skill": "harmony"}
    values |= {"type": "open", "family": "key", "question": "Which key?", "options": ["C major", "A minor"]}
    values |= {"answer": "C major", "rationale": "The third is major.", "facts": ["key C major (0.90)"]}
    values |= {"teacher": "scripted: scripted", "clip": "clips/a.flac", "clip_start_s": 10.0, "clip_s": 3.0}
    cited = [Cited(kind="chords", label="C:maj", start_s=1.0, end_s=2.0)]
    return SheetExample.model_validate(values | {"cited": cited} | changes)


@pytest.fixture
def sheet(tmp_path) -> Path:
    folder = tmp_path / "review"
    items = [item(0), item(1, question=HOSTILE, fate="contradicts_facts", cited=[]), item(2)]
    write_sheet(folder, items, [])
    tone = np.sin(np.arange(3 * 16000) * 2 * np.pi * 220 / 16000).astype(np.float32) * 0.2
    (folder / "clips").mkdir()
    (folder / "clips" / "a.flac").write_bytes(encode_flac(tone))
    return folder / "index.html"


def evaluate(sheet: Path, script: str, tmp_path: Path, width: int = 1100) -> object:
    """The value of an async function's body over `d` (document), `w` (window) and `key` (presses a key)."""
    probe = tmp_path / "probe.html"
    probe.write_text(
        f"""<pre id="out"></pre><iframe id="f" style="width:{width}px;height:900px" src="{sheet.as_uri()}"></iframe>
        <script>
        const wait = (ms) => new Promise((done) => setTimeout(done, ms));
        document.getElementById("f").onload = async () => {{
          const w = document.getElementById("f").contentWindow, d = w.document;
          const key = (k) => d.body.dispatchEvent(new w.KeyboardEvent("keydown", {{key: k, bubbles: true}}));
          const value = await (async () => {{ {script} }})();
          document.getElementById("out").textContent = JSON.stringify(value);
        }};
        </script>"""
    )
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [str(BROWSER), *FLAGS, profile, "--virtual-time-budget=8000", "--dump-dom", probe.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="out">(.+?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found.group(1)))


def test_keys_rate_and_move_and_the_fate_is_told_after_the_rating(sheet, tmp_path):
    script = """const fate = d.getElementById("fate"), before = fate.textContent;
      key("1"); const after = fate.textContent;
      key("ArrowRight"); key("2"); key("ArrowRight"); key("3"); key("3");
      return [before, after, d.getElementById("where").textContent, d.getElementById("counts").textContent];"""
    before, after, where, counts = evaluate(sheet, script, tmp_path)
    assert "once rated" in before and after == "kept"
    assert where == "3 of 3"
    assert counts == "1 right, 1 wrong, 0 unsure", "the same key again takes a rating back"


def test_ratings_and_notes_leave_as_csv_and_survive_a_reload(sheet, tmp_path):
    script = """key("2"); const note = d.getElementById("note"); note.value = '=1+1, "flat"'; note.oninput();
      const kept = Object.values(w.localStorage)[0]; return [w.mfReview.asCsv(), w.mfReview.asJsonl(), kept];"""
    text, lines, kept = evaluate(sheet, script, tmp_path)
    assert text.splitlines()[1] == '"t/0","kept / harmony / open / key","wrong","\'=1+1, ""flat"""'
    assert json.loads(lines)["note"] == '=1+1, "flat"'
    assert json.loads(kept)["t/0"]["rating"] == "wrong"


def test_the_clip_plays_and_the_reference_is_marked_in_it(sheet, tmp_path):
    script = """const a = d.getElementById("audio");
      for (let k = 0; k < 50 && !(a.duration > 0); k++) await wait(50);
      const ref = d.querySelector(".ref"); key("r");
      for (let k = 0; k < 20 && !(a.currentTime >= 1); k++) await wait(50);
      return [a.duration, ref.style.left, a.currentTime, d.getElementById("references").textContent];"""
    duration, left, at, told = evaluate(sheet, script, tmp_path)
    assert duration == pytest.approx(3.0, abs=0.01)
    assert left.startswith("33.3")
    assert at >= 1.0
    assert told == "11.0 to 12.0 s C:maj", "in seconds of the recording"


def test_a_hostile_question_is_shown_and_runs_nothing(sheet, tmp_path):
    script = """key("ArrowRight"); await wait(50); return [d.title, d.getElementById("question").textContent];"""
    title, shown = evaluate(sheet, script, tmp_path)
    assert title != "owned" and shown == HOSTILE


@pytest.mark.parametrize("width", [1100, 390])
def test_the_sheet_does_not_scroll_sideways(sheet, tmp_path, width):
    script = "return d.documentElement.scrollWidth - d.documentElement.clientWidth;"
    assert evaluate(sheet, script, tmp_path, width) == 0
