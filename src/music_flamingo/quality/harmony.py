"""Compare chord labels and symbols by pitch class: C# equals Db, and a triad is contained in its seventh chord."""

from music_flamingo.records import Facts
from music_flamingo.scoring.normalise import PITCH_CLASSES


def pitch_class(name: str) -> int:
    """Pitch class of a note name with accidentals, in semitones above C (0 to 11)."""
    return (PITCH_CLASSES[name[0].lower()] + name.count("#") - name.count("b")) % 12


def read_label(label: str) -> tuple[int, str] | None:
    """(pitch class, lead-sheet suffix) of a mir_eval label."""
    if label in ("N", "X"):
        return None
    root, _, quality = label.partition("/")[0].partition(":")
    quality = quality.partition("(")[0]
    suffixes = {"maj": "", "min": "m", "min7": "m7", "min6": "m6", "maj6": "6", "hdim7": "m7b5", "minmaj7": "mmaj7"}
    suffixes |= {"sus2": "sus", "sus4": "sus", "9": "7", "11": "7", "13": "7", "maj9": "maj7", "min9": "m7"}
    return pitch_class(root), suffixes.get(quality, quality)


def symbol(root: str, kind: str) -> tuple[int, str]:
    """A chord's pitch class and its normalised kind."""
    return pitch_class(root), {"sus2": "sus", "sus4": "sus", "min7": "m7"}.get(kind, kind)


def triad(label: str) -> tuple[int, str] | None:
    """(pitch class, kind of triad), whatever is added."""
    read = read_label(label)
    if read is None or read[1] in ("1", "5"):
        return None
    root, kind = read
    if kind.startswith(("dim", "m7b5")):
        return root, "dim"
    if kind.startswith("aug") or kind.startswith("sus"):
        return root, kind[:3]
    return root, "minor" if kind.startswith("m") and not kind.startswith("maj") else "major"


def heard_labels(facts: Facts) -> list[str]:
    """Chord labels of the facts, in time order; empty where chords were not measured."""
    return [segment.label for segment in facts.chords.segments] if facts.chords else []


def is_heard(wanted: tuple[int, str], facts: Facts) -> bool:
    """A chord as it was measured, or its triad: Bdim where Bm7b5 is heard."""
    kind = {"": "major", "m": "minor", "dim": "dim", "aug": "aug", "sus": "sus"}.get(wanted[1])
    return any(
        read_label(label) == wanted or (kind and triad(label) == (wanted[0], kind)) for label in heard_labels(facts)
    )
