"""The page of `mf serve` in headless Chromium: a song is dropped, measured, drawn, asked about, and jumped in."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.axe import AXE, findings
from support.chromium import BROWSER, Page, browser
from support.listening import heard_well, make_release
from support.served import serving

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="needs headless Chromium: apt-get install chromium"),
]

ROOT = Path(__file__).parents[2]
RATE_HZ = 44100
KEY = "a-key-for-the-tests-only"
HOSTILE = "<img src=x onerror=document.title='owned'>.wav"


def song(path: Path, seconds: float = 12.0) -> Path:
    """120 chords a minute in C major."""
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    chord = sum(np.sin(2 * np.pi * hz * time_s) for hz in (261.63, 329.63, 392.0)) / 3
    soundfile.write(path, 0.5 * chord * np.exp(-8 * (time_s % 0.5)), RATE_HZ)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("data")
    release = make_release(folder, *heard_well(), max_new_tokens=40)
    with serving(release, "--params", str(ROOT / "params.yaml")) as address:
        yield address


@pytest.fixture
def page(tmp_path) -> Iterator[Page]:
    with browser(tmp_path / "profile") as opened:
        yield opened
        assert opened.complaints == [], "scripts fail nowhere, and no other host is asked for anything"


def opened_song(page: Page, server: str, path: Path, width: int = 1200) -> None:
    page.open(f"{server}/ui/", width)
    page.choose_file("#file", path)
    page.wait_for("document.querySelectorAll('#facts dt').length > 2")


def test_a_song_is_measured_drawn_and_asked_about(page, server, tmp_path):
    opened_song(page, server, song(tmp_path / "song.wav"))
    facts = page.value("document.querySelector('#facts').innerText")
    assert "C major" in facts and "BPM (madmom" in facts
    drawn = "(() => { const c = document.querySelector('#picture'); return new Set(c.getContext('2d')" \
            ".getImageData(0, 0, c.width, c.height).data).size })()"  # fmt: skip
    assert page.value(drawn) > 5, "waveform, beats and chords have colours"
    page.value("document.querySelector('#trained button').click()")
    page.wait_for("document.querySelector('#answers .tiny')?.textContent.startsWith('Heard 3.0 to 9.0 s of 12.0 s')")
    assert page.value("document.querySelector('#answers .asked').textContent").startswith("Are drums heard")


def test_what_the_model_was_never_taught_is_answered_by_what_was_measured_and_marked(page, server, tmp_path):
    opened_song(page, server, song(tmp_path / "song.wav"))
    page.wait_for("document.querySelector('#trained button')")
    page.value("document.querySelector('#question').value = 'In which key is it?'")
    page.value("document.querySelector('#form').requestSubmit()")
    page.wait_for("document.querySelector('#answers .tiny:last-child')?.textContent.startsWith('Heard')")
    assert page.value("document.querySelector('#answers .measured').textContent").startswith("Measured: C major (")
    page.value("document.querySelector('#trained button').click()")
    page.wait_for("document.querySelectorAll('#answers li').length === 2")
    assert page.value("document.querySelectorAll('#answers .measured').length") == 1


def test_facts_and_a_picture_are_taken_along(page, server, tmp_path):
    opened_song(page, server, song(tmp_path / "song.wav"))
    page.value(
        "window.taken = []; HTMLAnchorElement.prototype.click = function () { taken.push([this.download, this.href]) };"
        "document.querySelector('#as-json').click(); document.querySelector('#as-png').click()"
    )
    (json_name, json_at), (png_name, png_at) = page.value("taken")
    assert (json_name, png_name) == ("song.json", "song.png")
    assert json_at.startswith("blob:") and png_at.startswith("data:image/png") and len(png_at) > 10_000


@pytest.mark.skipif(AXE is None, reason="needs axe-core: npm install axe-core, or AXE_CORE=axe.min.js")
def test_axe_finds_nothing_serious_before_and_after_a_song(page, server, tmp_path):
    page.open(f"{server}/ui/")
    assert findings(page) == []
    opened_song(page, server, song(tmp_path / "song.wav"))
    assert findings(page) == []


def test_times_in_an_answer_and_sections_are_jumped_to(page, server, tmp_path):
    opened_song(page, server, song(tmp_path / "song.wav"))
    page.value(
        "(() => { const p = element('p', 'The chorus begins at 0:05 and ends after 8.5 seconds, not at 9:59.');"
        "document.querySelector('#answers').append(p); linkTimes(p) })()"
    )
    assert page.value("document.querySelectorAll('#answers button.time').length") == 2
    page.value("document.querySelector('#answers button.time').click()")
    page.wait_for("Math.abs(document.querySelector('#player').currentTime - 5) < 1.5")
    page.value("document.querySelector('#sections button').click()")
    page.wait_for("document.querySelector('#player').currentTime < 2")


def test_a_hostile_file_name_is_text(page, server, tmp_path):
    opened_song(page, server, song(tmp_path / HOSTILE))
    assert page.value("document.querySelector('#song-title').textContent") == HOSTILE
    assert page.value("document.title") == "Listen and ask"


def test_what_is_no_recording_is_told(page, server, tmp_path):
    bad = tmp_path / "notes.wav"
    bad.write_text("no audio at all" * 50)
    page.open(f"{server}/ui/")
    page.choose_file("#file", bad)
    page.wait_for("document.querySelector('#problem').textContent.includes('cannot be used')")


def test_the_page_fits_a_phone_and_is_named_for_those_who_do_not_see_it(page, server, tmp_path):
    opened_song(page, server, song(tmp_path / "song.wav"), width=390)
    assert page.value("document.documentElement.scrollWidth <= 390")
    unnamed = "[...document.querySelectorAll('button, input, canvas')].filter(e => !e.hidden && !(e.innerText " \
              "|| e.labels?.length || e.getAttribute('aria-label') || e.type === 'file')).length"  # fmt: skip
    assert page.value(unnamed) == 0
    small = "[...document.querySelectorAll('.row button, .line button')].filter(e => e.offsetHeight && " \
            "e.offsetHeight < 40).length"  # fmt: skip
    assert page.value(small) == 0


def test_a_server_with_keys_asks_for_one_and_takes_it(page, tmp_path):
    (tmp_path / "keys").write_text(KEY)
    release = make_release(tmp_path / "data", *heard_well(), max_new_tokens=10)
    with serving(release, "--params", str(ROOT / "params.yaml"), "--api-keys", str(tmp_path / "keys")) as server:
        page.open(f"{server}/ui/")
        page.choose_file("#file", song(tmp_path / "song.wav"))
        page.wait_for("document.querySelector('#problem').textContent.includes('API key')")
        assert page.value("document.querySelector('#key-box').open")
        page.value(f"document.querySelector('#key').value = '{KEY}'")
        page.choose_file("#file", song(tmp_path / "other.wav"))
        page.wait_for("document.querySelectorAll('#facts dt').length > 2")
