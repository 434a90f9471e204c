"""Parse Praat's TextGrid, long form: tiers of intervals, as AliMeeting writes them; strict."""

import re
from dataclasses import dataclass
from pathlib import Path

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_TEXT = r'"((?:[^"]|"")*)"'
_TIER = re.compile(r"^\s*item \[\d+\]:", re.MULTILINE)
_CLASS = re.compile(rf"class = {_TEXT}")
_NAME = re.compile(rf"name = {_TEXT}")
_SIZE = re.compile(r"intervals: size = (\d+)")
_INTERVAL = re.compile(rf"intervals \[\d+\]:\s*xmin = {_NUMBER}\s*xmax = {_NUMBER}\s*text = {_TEXT}")


@dataclass(frozen=True)
class TextGridInterval:
    """A labelled interval, in seconds."""

    start_s: float
    end_s: float
    text: str


def read_text_grid(path: Path) -> dict[str, list[TextGridInterval]]:
    """Tier -> its intervals. Raises ValueError for what is no long TextGrid, or not whole."""
    text = _decoded(path.read_bytes())
    head, *tiers = _TIER.split(text)
    if 'Object class = "TextGrid"' not in head:
        raise ValueError(f"{path} is no TextGrid in Praat's long form")
    return dict(_tier(path, tier) for tier in tiers)


def _decoded(data: bytes) -> str:
    """Praat writes UTF-8, or UTF-16 with a mark where a text needs it."""
    return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")


def _tier(path: Path, text: str) -> tuple[str, list[TextGridInterval]]:
    kind, name, size = _CLASS.search(text), _NAME.search(text), _SIZE.search(text)
    if kind is None or name is None or kind[1] != "IntervalTier" or size is None:
        raise ValueError(f"{path} has a tier that is not one of intervals")
    found = [TextGridInterval(float(a), float(b), said.replace('""', '"')) for a, b, said in _INTERVAL.findall(text)]
    if len(found) != int(size[1]):
        raise ValueError(f"{path}: tier {name[1]} claims {size[1]} intervals and holds {len(found)}")
    return name[1], found
