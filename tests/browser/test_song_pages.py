"""A song's page and the comparison of two in headless Chromium: played from any statement, taken along, accessible."""

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.axe import AXE, findings
from support.chromium import BROWSER, Page, browser
from support.report_ports import make_run

from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.stage import execute
from music_flamingo.stages.report import STAGE

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="needs headless Chromium: apt-get install chromium"),
]
CATCH = "window.taken = []; HTMLAnchorElement.prototype.click = function () { taken.push([this.download, this.href]) };"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    data = make_run(tmp_path_factory.mktemp("run"))
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    execute(STAGE, stage_json(params, "report"), {n: data / n for n in STAGE.inputs}, {"site": data / "site"})
    return data / "site"


@pytest.fixture
def page(tmp_path) -> Iterator[Page]:
    with browser(tmp_path / "profile") as opened:
        yield opened
        assert not [c for c in opened.complaints if "asked for file:" not in c], "scripts fail nowhere"


def song(site: Path) -> str:
    return next(site.glob("listen/joplin*.html")).as_uri()


def test_every_statement_plays_from_where_it_is_heard(page, site):
    page.open(song(site))
    stated = page.value("document.querySelectorAll('tr[data-fact], .question, .prose').length")
    plays = page.value(
        "[...document.querySelectorAll('tr[data-fact], .question, .prose')].filter((e) => (e.matches('.prose') ? "
        "e.nextElementSibling : e).querySelector('.seek, details')).length"
    )
    assert 0 < plays == stated
    page.value("[...document.querySelectorAll('tr[data-fact=Form] .seek')][0].click()")
    page.wait_for("document.querySelector('.player').classList.contains('is-playing')")


def test_a_picture_of_the_song_is_a_png_of_1200_by_630(page, site):
    page.open(song(site))
    page.value(CATCH + "document.querySelector('.to-png').click()")
    name, address = page.value("taken[0]")
    content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    assert name == "Maple-Leaf-Rag.png"
    assert content[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", content[16:24]) == (1200, 630)
    assert len(content) > 8000, "a blank one has 3 KB"


def test_two_songs_stand_next_to_each_other_and_differences_are_marked(page, site):
    one, other = sorted(p.stem for p in site.glob("listen/*.html"))[:2]
    page.open(f"{(site / 'compare.html').as_uri()}#{one}&{other}")
    shown = (
        "[...document.querySelectorAll('#compared thead [data-song]')].filter((c) => !c.hidden)"
        ".map((c) => c.dataset.song)"
    )
    assert sorted(page.value(shown)) == [one, other]
    page.value("(() => { const s = document.getElementById('other'); s.value = document.getElementById('one').value;"
               "s.dispatchEvent(new Event('change')) })()")  # fmt: skip
    assert page.value(shown) == [one]
    assert page.value("document.getElementById('differ').textContent") == "0 facts differ"


def test_the_keyboard_alone_plays_and_moves(page, site):
    page.open(song(site))
    page.value("document.querySelector('.timeline').focus()")
    for key, code in (("ArrowRight", 39), ("ArrowRight", 39)):
        page.send("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code)
    page.wait_for("Math.abs(document.querySelector('audio').currentTime - 2) < 0.2")
    assert page.value("document.querySelector('.timeline').getAttribute('aria-valuetext')") == "0:02.0 of 0:06.0"


@pytest.mark.skipif(AXE is None, reason="needs axe-core: npm install axe-core, or AXE_CORE=axe.min.js")
def test_axe_finds_nothing_serious_on_any_page(page, site):
    found = {}
    for path in [*sorted(site.glob("*.html")), *sorted(site.glob("listen/*.html"))[:3]]:
        page.open(path.as_uri())
        found[path.name] = findings(page)
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_what_is_known_of_a_song_is_next_to_its_page_as_json(site):
    path = next(site.glob("listen/joplin*.json"))
    known = json.loads(path.read_text())
    assert known["facts"]["key"]["tool"] == "madmom"
    assert known["questions"][0]["question"]
    assert "audio" not in known["track"]
