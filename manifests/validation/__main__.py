"""python -m manifests.validation [OVERLAY ...]: render the overlays and say what is wrong with them."""

import sys
import time
from pathlib import Path

from manifests.validation.check import findings
from manifests.validation.render import RenderError, command, overlays, render


def main(asked: list[Path]) -> int:
    """0 when every overlay renders without a violation."""
    print(f"rendered by {' '.join(command())}")
    wrong: list[str] = []
    for overlay in asked or overlays():
        started_s = time.monotonic()
        resources = render(overlay)
        found = findings(resources)
        took_s = time.monotonic() - started_s
        print(f"{overlay.name:20} {len(resources):4d} resources  {len(found):3d} violations  {took_s:5.1f} s")
        wrong += [f"{overlay.name}: {line}" for line in found]
    print("\n".join(wrong), file=sys.stderr) if wrong else None
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main([Path(a) for a in sys.argv[1:]]))
    except RenderError as error:
        sys.exit(f"error: {error}")
