"""axe-core's checks of accessibility (MPL-2.0, not part of this project) in a page that Chromium has open.

Taken from node_modules where it is installed (npm install axe-core), or from the file that AXE_CORE names.
"""

import os
from pathlib import Path

from support.chromium import Page

ROOT = Path(__file__).resolve().parents[2]
PLACES = (Path(os.environ.get("AXE_CORE", "")), ROOT / "node_modules/axe-core/axe.min.js")
AXE = next((path for path in PLACES if path.is_file()), None)
GRAVE = ("critical", "serious")


def findings(page: Page) -> list[str]:
    """What axe finds critical or serious in the open page, a line each, in the light and in the dark."""
    assert AXE is not None
    found = []
    for scheme in ("light", "dark"):
        page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        page.value(AXE.read_text(encoding="utf-8") + ";0")
        violations = page.value(
            "axe.run(document).then((r) => r.violations.map((v) => [v.impact, v.id, v.nodes[0].html.slice(0, 120)]))"
        )
        found += [f"{scheme}: {' '.join(v)}" for v in violations if v[0] in GRAVE]
    return found
