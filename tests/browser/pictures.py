"""python tests/browser/pictures.py PAGE NAME [--height 760] [--dark]: a picture of a page for the README, as WebP.

PAGE is an address or a path; the picture lies in docs/pictures/NAME.webp. Needs headless Chromium.
"""

import argparse
import base64
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.chromium import browser  # noqa: E402

WIDTH = 1100


def picture(address: str, name: str, height: int, dark: bool) -> Path:
    """Take the top of a page, WIDTH pixels wide."""
    path = ROOT / "docs/pictures" / f"{name}.webp"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, browser(Path(profile)) as page:
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        page.send("Emulation.setEmulatedMedia", features=scheme)
        page.open(address, width=WIDTH, height=height)
        taken = page.send("Page.captureScreenshot", format="webp", quality=85)
    path.write_bytes(base64.b64decode(taken["data"]))
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page")
    parser.add_argument("name")
    parser.add_argument("--height", type=int, default=760)
    parser.add_argument("--dark", action="store_true")
    given = parser.parse_args()
    where = given.page if "://" in given.page else Path(given.page).resolve().as_uri()
    made = picture(where, given.name, given.height, given.dark)
    print(f"{made}  {made.stat().st_size / 1024:.0f} KiB")
