"""python tests/browser/pictures.py PAGE NAME [--height 760] [--dark]: a picture of a page for the README, as WebP.

PAGE is an address or a path; the picture lies in docs/pictures/NAME.webp. Needs headless Chromium. Of the page of a
running `mf serve` (http://127.0.0.1:8080/ui/) with --song FILE --question TEXT: the song measured and the question
answered.
"""

import argparse
import base64
import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.chromium import Page, browser  # noqa: E402

WIDTH = 1100


def ask(page: Page, song: Path, question: str) -> None:
    """Choose a song, wait until it is measured, ask, and wait for the answer."""
    page.choose_file("#file", song.resolve())
    page.wait_for("document.querySelectorAll('#facts dt').length > 2 && document.querySelector('#trained button')", 300)
    page.value(f"document.querySelector('#question').value = {json.dumps(question)}")
    page.value("document.querySelector('#form').requestSubmit()")
    page.wait_for("document.querySelector('#answers .tiny:last-child')?.textContent.startsWith('Heard')", 300)
    page.value("document.querySelector('#picture').scrollIntoView()")


def picture(address: str, name: str, height: int, dark: bool, asked: tuple[Path, str] | None = None) -> Path:
    """Take the top of a page, WIDTH pixels wide."""
    path = ROOT / "docs/pictures" / f"{name}.webp"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, browser(Path(profile)) as page:
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        page.send("Emulation.setEmulatedMedia", features=scheme)
        page.open(address, width=WIDTH, height=height)
        if asked:
            ask(page, *asked)
        taken = page.send("Page.captureScreenshot", format="webp", quality=85)
    path.write_bytes(base64.b64decode(taken["data"]))
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page")
    parser.add_argument("name")
    parser.add_argument("--height", type=int, default=760)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--song", type=Path)
    parser.add_argument("--question", default="In which key is it?")
    given = parser.parse_args()
    where = given.page if "://" in given.page else Path(given.page).resolve().as_uri()
    asked = (given.song, given.question) if given.song else None
    made = picture(where, given.name, given.height, given.dark, asked)
    print(f"{made}  {made.stat().st_size / 1024:.0f} KiB")
