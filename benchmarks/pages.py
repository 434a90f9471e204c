"""python benchmarks/pages.py SITE [--runs 5]: how fast the pages of a site are, in headless Chromium on a local server.

For each page: elements, requests, kB sent without its sound, first and largest contentful paint and the end of its
scripts' first work (s); the middle of several cold loads. SITE is a folder with index.html, as `mf demo` and the report
stage write it.
"""

import argparse
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.chromium import Page, browser  # noqa: E402

ENTRIES = """(() => {
  const navigation = performance.getEntriesByType("navigation")[0], files = performance.getEntriesByType("resource");
  const quiet = files.filter((f) => !f.name.endsWith(".flac"));
  const bytes = navigation.encodedBodySize + quiet.reduce((n, f) => n + f.encodedBodySize, 0);
  return { requests: 1 + files.length, bytes,
    paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime, largest: window.largest,
    scripts: navigation.domContentLoadedEventEnd, elements: document.querySelectorAll("*").length };
})()"""
WATCH = (
    "new PerformanceObserver((l) => { window.largest = l.getEntries().at(-1).startTime })"
    ".observe({type: 'largest-contentful-paint', buffered: true})"
)


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A browser that leaves a page stops reading its sound."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def measured(page: Page, address: str, runs: int) -> dict[str, Any]:
    """The middle of several loads without a cache."""
    page.send("Network.setCacheDisabled", cacheDisabled=True)
    page.send("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
    loads = []
    for _ in range(runs):
        page.send("Page.navigate", url="about:blank")
        page.open(address, 1100, 800)
        page.wait_for("performance.getEntriesByName('first-contentful-paint').length && window.largest")
        loads.append(page.value(ENTRIES))
    return {name: median(load[name] for load in loads) for name in loads[0]}


def main() -> None:
    """Print a table of the start page, the comparison and every song's page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    pages = [*sorted(given.site.glob("*.html")), *sorted(given.site.glob("listen/*.html"))]
    print("| page | elements | requests | kB without sound | first paint (s) | largest paint (s) | scripts done (s) |")
    print("|---|---|---|---|---|---|---|")
    with (
        _Server(("127.0.0.1", 0), partial(_Quiet, directory=str(given.site))) as server,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        browser(Path(profile)) as page,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for path in pages:
            name = path.relative_to(given.site).as_posix()
            found = measured(page, f"http://127.0.0.1:{server.server_port}/{name}", given.runs)
            times = " | ".join(f"{found[key] / 1000:.2f}" for key in ("paint", "largest", "scripts"))
            counts = f"{found['elements']:.0f} | {found['requests']:.0f} | {found['bytes'] / 1000:.0f}"
            print(f"| {name} | {counts} | {times} |")
        server.shutdown()


if __name__ == "__main__":
    main()
