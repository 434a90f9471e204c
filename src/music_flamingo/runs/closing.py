"""Print the summary that ends a run: records made, rejects by reason, the report's address, the next command."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from music_flamingo.core.errors import MissingInputError
from music_flamingo.core.manifest import Manifest, read_manifest
from music_flamingo.core.record import OK, QUARANTINED

TABLES = (
    ("tracks", "recordings", None),
    ("skills", "questions and captions", "rejects"),
    ("think", "chains", "think_rejects"),
)
"""(port, its records in words, the port of what was refused; None where both lie in one)."""
REASONS_SHOWN = 4


def closing_lines(data: Path) -> Iterator[str]:
    """Lines about the finished ports in `data`; a port that is not there is passed over."""
    for port, words, refused_in in TABLES:
        kept = _manifest(data / port)
        if kept is None:
            continue
        refused = (_manifest(data / refused_in) if refused_in else kept) or kept
        reasons = _reasons(refused)
        yield f"  {kept.status.get(OK, 0):,} {words} kept, {sum(reasons.values()):,} refused{_in_words(reasons)}"
    release = _manifest(data / "release")
    if release is not None:
        yield f"  release: {release.metrics.get('status', 'sealed')}"


def _reasons(manifest: Manifest) -> Counter[str]:
    """Records by reason; what follows a colon is a detail."""
    found: Counter[str] = Counter()
    for status, number in manifest.status.items():
        if status != OK:
            found[status.removeprefix(QUARANTINED).partition(":")[0]] += number
    return found


def _in_words(reasons: dict[str, int]) -> str:
    if not reasons:
        return ""
    first = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{reason.replace('_', ' ')} {number:,}" for reason, number in first[:REASONS_SHOWN])
    return f" ({shown}{', ...' if len(first) > REASONS_SHOWN else ''})"


def _manifest(port: Path) -> Manifest | None:
    try:
        return read_manifest(port)
    except MissingInputError:
        return None
