"""Key names: one spelling for each of the 24 keys, the one with fewer accidentals."""

from typing import Literal, cast

Mode = Literal["major", "minor"]

MAJOR_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"": 0, "#": 1, "b": -1}


def pitch_class(name: str) -> int:
    """`Db` -> 1. Raises ValueError for what is no note name."""
    letter, accidental = name[:1], name[1:]
    if letter not in _LETTERS or accidental not in _ACCIDENTALS:
        raise ValueError(f"not a note name: {name!r}")
    return (_LETTERS[letter] + _ACCIDENTALS[accidental]) % 12


def split_label(label: str) -> tuple[str, Mode]:
    """`F# minor` -> (`F#`, `minor`). Raises ValueError for what is no key."""
    tonic, _, mode = label.partition(" ")
    if mode not in ("major", "minor"):
        raise ValueError(f"not a key: {label!r}")
    return tonic, cast(Mode, mode)


def spell_tonic(pitch: int, mode: Mode) -> str:
    """Tonic of a key, by its pitch class: 1 is `Db` in major, `C#` in minor."""
    return (MAJOR_TONICS if mode == "major" else MINOR_TONICS)[pitch % 12]
