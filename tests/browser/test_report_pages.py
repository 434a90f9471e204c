"""The site in headless Chromium: it plays, seeks, filters, keeps hostile titles quiet, and fits a phone."""

import html
import json
import re
import shutil
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.report_ports import make_run

from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.stage import execute
from music_flamingo.stages.report import STAGE

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for found in map(shutil.which, NAMES) if found), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--autoplay-policy=no-user-gesture-required",
)
DARK, LIGHT = 0, 1

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="needs headless Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    data = make_run(tmp_path_factory.mktemp("run"))
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    outputs = {"site": data / "site"}
    execute(STAGE, stage_json(params, "report"), {n: data / n for n in STAGE.inputs}, outputs)
    return data / "site"


def dump(address: str, profile: Path, *flags: str) -> str:
    """The page's DOM after its scripts ran."""
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", *flags, "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def measure(pages: list[Path], script: str, tmp_path: Path, width: int, *flags: str) -> dict[str, object]:
    """Evaluate `script` (an expression of `d`, the document, and `w`, its window) in each page at that width."""
    probe = tmp_path / "probe.html"
    frames = json.dumps([p.as_uri() for p in pages])
    probe.write_text(
        f"""<pre id="out"></pre><script>
        const found = {{}};
        async function all() {{
          for (const address of {frames}) {{
            const frame = document.createElement("iframe");
            frame.style = "width:{width}px;height:844px;border:0";
            frame.src = address;
            document.body.append(frame);
            await new Promise((done) => (frame.onload = done));
            const w = frame.contentWindow, d = frame.contentDocument;
            found[address.split("/").pop()] = {script};
            frame.remove();
          }}
          document.getElementById("out").textContent = JSON.stringify(found);
        }}
        all();
        </script>"""
    )
    opened = ("--allow-file-access-from-files", "--disable-web-security", "--virtual-time-budget=60000")
    text = dump(probe.as_uri(), tmp_path / "profile", *opened, *flags)
    found = re.search(r'<pre id="out">(.+?)</pre>', text, re.DOTALL)
    assert found, "the probe gave nothing"
    return dict(json.loads(html.unescape(found.group(1))))


def every_page(site: Path) -> list[Path]:
    return [*sorted(site.glob("*.html")), *sorted(site.glob("listen/*.html"))]


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_scrolls_sideways(site, tmp_path, width):
    pages = every_page(site)
    found = measure(pages, "d.documentElement.scrollWidth - d.documentElement.clientWidth", tmp_path, width)
    assert found == {page.name: 0 for page in pages}


def test_colours_follow_the_preference_and_text_stays_legible(site, tmp_path):
    script = """["body", ".lead", ".kicker", ".port code", ".tag", "figcaption span"].map((s) => {
        const e = d.querySelector(s); let b = e;
        const see = (c) => c && !c.endsWith(", 0)") && c !== "transparent";
        while (b && !see(w.getComputedStyle(b).backgroundColor)) b = b.parentElement;
        return [s, w.getComputedStyle(e).color, w.getComputedStyle(b).backgroundColor]; })"""
    papers = {}
    for scheme in (LIGHT, DARK):
        flag = f"--blink-settings=preferredColorScheme={scheme}"
        found = measure([site / "index.html"], script, tmp_path, 1280, flag)["index.html"]
        papers[scheme] = luminance(found[0][2])
        for selector, ink, paper in found:
            assert contrast(ink, paper) >= 4.5, f"{selector}: {ink} on {paper}"
    assert papers[LIGHT] > 0.8
    assert papers[DARK] < 0.05


def luminance(colour: str) -> float:
    channels = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """WCAG 2.1 contrast ratio."""
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_an_address_with_a_time_opens_there(site, tmp_path):
    page = next(site.glob("listen/joplin*.html"))
    text = dump(f"{page.as_uri()}#t=2.2", tmp_path / "profile", "--virtual-time-budget=4000")
    assert 'aria-valuenow="2.2"' in text
    assert re.search(r'class="at">0:02\.2<', text)
    assert re.search(r"--p: ?0\.366", text)
    assert re.search(r'class="now-chord">F<', text)
    assert re.search(r'class="now-bar">2\.2<', text)


class Slow(BaseHTTPRequestHandler):
    """Answers after two seconds: a page that waits for it lets real time pass, which virtual time does not."""

    def do_GET(self) -> None:
        time.sleep(2)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def slow_address():
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_player_plays_and_moves_its_head(site, tmp_path, slow_address):
    page = next(site.glob("listen/joplin*.html"))
    probe = tmp_path / "probe.html"
    probe.write_text(
        f"""<pre id="out"></pre><iframe src="{page.as_uri()}#t=1&play"></iframe><img src="{slow_address}"><script>
        addEventListener("load", () => {{
          const d = document.querySelector("iframe").contentDocument;
          const head = d.querySelector(".timeline");
          document.getElementById("out").textContent = JSON.stringify([
            d.querySelector("audio").currentTime, Number(head.style.getPropertyValue("--p")),
            Number(head.getAttribute("aria-valuenow")), d.querySelector(".player").className]);
        }});
        </script>"""
    )
    opened = ("--allow-file-access-from-files", "--disable-web-security")
    text = dump(probe.as_uri(), tmp_path / "profile", *opened)
    heard_s, place, shown_s, state = json.loads(html.unescape(re.search(r'<pre id="out">(.+?)</pre>', text).group(1)))
    assert "is-playing" in state
    assert 1.5 < heard_s < 6.0
    assert shown_s == pytest.approx(heard_s, abs=0.2)
    assert place == pytest.approx(heard_s / 6, abs=0.04)


def test_the_catalogue_filters_by_text(site, tmp_path):
    page = site / "catalogue.html"
    text = dump(f"{page.as_uri()}#ragtime test", tmp_path / "profile", "--virtual-time-budget=1000")
    assert len(re.findall(r'<tr hidden="">', text)) == 13 - 2
    assert "2 of 13" in text


def test_a_hostile_title_runs_nothing(site, tmp_path):
    titles = measure(every_page(site), "d.title", tmp_path, 1280)
    assert "owned" not in titles.values()
