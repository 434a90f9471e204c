"""Compare chord symbols by root and triad, ignoring extensions and inversions.

`Cm7`, `C:min7/b3`, `C minor` and `B#m` are one triad. Sevenths, inversions and tensions are left aside, as mir_eval's
`triads` comparison does, because what is measured of them is unsure.
"""

import re
import unicodedata
from functools import lru_cache

from music_flamingo.scoring.normalise import ACCIDENTALS, PITCH_CLASSES

_CHORD = re.compile(
    r"([A-G])(##?|bb?| ?sharp| ?flat)?\s*:?\s*"
    r"([A-Za-z+°ø-]*[\d#b]*(?:sus[24]?|add\d+)?)(?: chord)?(?:\([^)]*\))?(?:/\S+)?"
)
_SHIFTS = {"": 0, "#": 1, "##": 2, "sharp": 1, "b": -1, "bb": -2, "flat": -1}
_TRIADS = (
    (re.compile(r"sus|.*sus[24]?$"), "sus"),
    (re.compile(r"dim|hdim|°|ø|o\d*$|m7b5|min7b5|-7b5"), "dim"),
    (re.compile(r"aug|\+"), "aug"),
    (re.compile(r"minor|min|m(?!aj|ajor)|-"), "min"),
    (re.compile(r"major|maj|M|dom|add|6|7|9|11|13|$"), "maj"),
)
"""What a quality begins with -> its triad; the first that fits."""


# a few hundred symbols are all that a catalogue has
@lru_cache(maxsize=4096)
def parse_chord(text: str) -> tuple[int, str] | None:
    """(pitch class of the root, `maj`, `min`, `dim`, `aug` or `sus`) of one chord symbol; None for anything else."""
    plain = " ".join(unicodedata.normalize("NFKC", text).translate(ACCIDENTALS).split()).strip(" .,;:!?")
    match = _CHORD.fullmatch(plain)
    if match is None:
        return None
    letter, accidental, quality = match.groups()
    triad = next((name for pattern, name in _TRIADS if pattern.match(quality)), None)
    if triad is None:
        return None
    shift = _SHIFTS[(accidental or "").strip()]
    return (PITCH_CLASSES[letter.lower()] + shift) % 12, triad


def triad_of(label: str) -> tuple[int, str] | None:
    """Give the triad that a measured chord's label names, without what stands in brackets; None where it names none."""
    return parse_chord(label.partition("(")[0])
