"""Rows of three and more triads, as `Eb major gives way to C minor and finally Bb major`: chords, and no keys."""

import re
from collections.abc import Sequence
from typing import TypeVar

_JOINT = re.compile(
    r",? ?(?:(?:and|to|then|into|next|on|onto|finally|back|lastly|again|before|after|over|followed|gives way|giving way|moves?|moving|goes|going|leads?|leading|turns?|turning|passes|passing|returns?|returning|comes?|by|through|via|eventually|ultimately|once more|chords?|triads?|a|an|the),? ?)*",
    re.IGNORECASE,
)
_KEYS_BEFORE = re.compile(r"\b(?:keys?|tonalit\w+|modulat\w*|relative|parallel)\b[^.;]{0,40}$", re.IGNORECASE)
LEAST_IN_A_ROW = 3
V = TypeVar("V")


def in_rows(found: Sequence[tuple[re.Match[str], V]], text: str) -> list[tuple[re.Match[str], V]]:
    """Give those of the triads found in a text that stand in such a row, unless keys are spoken of before it."""
    rows: list[list[tuple[re.Match[str], V]]] = []
    for pair in sorted(found, key=lambda pair: pair[0].start()):
        if rows and _JOINT.fullmatch(text, rows[-1][-1][0].end(), pair[0].start()):
            rows[-1].append(pair)
        else:
            rows.append([pair])
    long = (row for row in rows if len(row) >= LEAST_IN_A_ROW)
    return [pair for row in long if not _KEYS_BEFORE.search(text, 0, row[0][0].start()) for pair in row]
