"""Music theory in numbers and names: keys, chords, roman numerals, cadences, form, tempo terms.

Pitch classes count semitones from C (0 to 11). Chord labels are mir_eval's (`A:min7/b3`). Roman numerals count
from the tonic of the key: upper case for major and augmented triads, lower case for minor and diminished ones,
an accidental for a root outside the key's scale (natural minor in minor keys, with `vii°` on the leading note).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from music_flamingo.records.measured import Segment

Mode = Literal["major", "minor"]
CadenceName = Literal["authentic", "half", "plagal", "deceptive"]

LETTERS = "CDEFGAB"
LETTER_CLASSES = (0, 2, 4, 5, 7, 9, 11)
SCALES: dict[Mode, tuple[int, ...]] = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
PLAIN_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
"""The commoner spelling of each minor tonic: C# and G#, where major has Db and Ab."""

DEGREES = ("I", "II", "III", "IV", "V", "VI", "VII")
MAJOR_STEPS = ("I", "bII", "II", "bIII", "III", "IV", "#IV", "V", "bVI", "VI", "bVII", "VII")
MINOR_STEPS = ("I", "bII", "II", "III", "#III", "IV", "#IV", "V", "VI", "#VI", "VII", "#VII")

TEMPO_TERMS = (
    (60.0, "Largo"),
    (66.0, "Larghetto"),
    (76.0, "Adagio"),
    (108.0, "Andante"),
    (120.0, "Moderato"),
    (168.0, "Allegro"),
    (float("inf"), "Presto"),
)
"""Upper limit in beats a minute and the term, after the scale of a common metronome."""

_TRIADS = (
    (re.compile(r"^(hdim7|hdim|dim7|dim)"), "dim"),
    (re.compile(r"^min"), "min"),
    (re.compile(r"^aug"), "aug"),
    (re.compile(r"^sus"), "sus"),
    (re.compile(r"^(maj|7|9|11|13|6)"), "maj"),
)
_SEVENTHS = {
    "7": "7",
    "9": "7",
    "11": "7",
    "13": "7",
    "maj9": "maj7",
    "min9": "7",
    "maj7": "maj7",
    "min7": "7",
    "minmaj7": "maj7",
    "dim7": "dim7",
    "hdim7": "hdim7",
    "maj6": "6",
    "min6": "6",
    "6": "6",
}
_SYMBOLS = {"maj": "", "min": "m", "dim": "dim", "aug": "aug", "sus": "sus"}

KEY_RELATIONS = ("same", "relative", "parallel", "dominant", "subdominant", "distant")


def pitch_class(name: str) -> int:
    """`Eb` -> 3. Raises ValueError for what is not a note name."""
    if not re.fullmatch(r"[A-G](b{0,2}|#{0,2})", name):
        raise ValueError(f"not a note name: {name!r}. Write a letter A to G with b or #.")
    return (LETTER_CLASSES[LETTERS.index(name[0])] + name.count("#") - name.count("b")) % 12


def enharmonic(one: str, other: str) -> bool:
    """True when two spellings sound alike: C# and Db."""
    return pitch_class(one) == pitch_class(other)


@dataclass(frozen=True)
class KeyName:
    """A key: tonic and mode."""

    tonic: str
    mode: Mode

    @classmethod
    def parse(cls, label: str) -> "KeyName":
        """`Eb major` -> KeyName("Eb", "major")."""
        tonic, _, mode = label.partition(" ")
        pitch_class(tonic)
        if mode == "major":
            return cls(tonic, "major")
        if mode == "minor":
            return cls(tonic, "minor")
        raise ValueError(f"not a key: {label!r}. Write a tonic and a mode, e.g. `Eb major`.")

    @property
    def pitch_class(self) -> int:
        """Pitch class of the tonic, in semitones above C (0 to 11)."""
        return pitch_class(self.tonic)

    @property
    def label(self) -> str:
        """The key as "TONIC MODE"."""
        return f"{self.tonic} {self.mode}"

    def same(self, other: "KeyName") -> bool:
        """Whether both keys have the same mode and enharmonically equal tonics."""
        return self.mode == other.mode and enharmonic(self.tonic, other.tonic)


def name_key(tonic_class: int, mode: Mode) -> KeyName:
    """The key on a pitch class in its commoner spelling."""
    return KeyName((PLAIN_NAMES if mode == "major" else MINOR_NAMES)[tonic_class % 12], mode)


def relative_key(key: KeyName) -> KeyName:
    """C major -> A minor, and back; spelled with the same signature."""
    step = 5 if key.mode == "major" else 2
    mode: Mode = "minor" if key.mode == "major" else "major"
    return KeyName(spell((key.pitch_class + SCALES[key.mode][step]) % 12, key), mode)


def key_relation(one: KeyName, other: KeyName) -> str:
    """One of KEY_RELATIONS, seen from the first key."""
    if one.same(other):
        return "same"
    if relative_key(one).same(other):
        return "relative"
    interval = (other.pitch_class - one.pitch_class) % 12
    if interval == 0:
        return "parallel"
    if one.mode == other.mode and interval in (7, 5):
        return "dominant" if interval == 7 else "subdominant"
    return "distant"


def spell(target: int, key: KeyName) -> str:
    """A pitch class as that key writes it; the plain name where the key would need a double accidental."""
    steps = MAJOR_STEPS if key.mode == "major" else MINOR_STEPS
    step = steps[(target - key.pitch_class) % 12]
    degree = DEGREES.index(step.lstrip("b#"))
    letter = LETTERS[(LETTERS.index(key.tonic[0]) + degree) % 7]
    shift = (target - pitch_class(letter) + 6) % 12 - 6
    return letter + ("#" * shift if shift > 0 else "b" * -shift) if abs(shift) <= 1 else PLAIN_NAMES[target % 12]


@dataclass(frozen=True)
class Chord:
    """A chord of mir_eval's: `root` a pitch class, `triad` maj, min, dim, aug or sus, `seventh` the added note."""

    root: int
    triad: str
    seventh: str

    @property
    def harmony(self) -> tuple[int, str]:
        """What makes it the same harmony: root and triad, whatever is added or lies in the bass."""
        return self.root, self.triad

    def symbol(self, key: KeyName | None) -> str:
        """`F#m7`, as a lead sheet writes it."""
        root = spell(self.root, key) if key else PLAIN_NAMES[self.root]
        if self.seventh in ("dim7", "hdim7"):
            return root + {"dim7": "dim7", "hdim7": "m7b5"}[self.seventh]
        return root + _SYMBOLS[self.triad] + self.seventh


def parse_chord(label: str) -> Chord | None:
    """The chord of a mir_eval label; None for `N`, `X` and qualities without a triad."""
    if label in ("N", "X"):
        return None
    root, _, rest = label.partition("/")[0].partition(":")
    quality = rest.partition("(")[0] or "maj"
    triad = next((name for pattern, name in _TRIADS if pattern.match(quality)), None)
    return Chord(pitch_class(root), triad, _SEVENTHS.get(quality, "")) if triad else None


def roman_numeral(chord: Chord, key: KeyName) -> str:
    """`V7` for G:7 in C major, `vii°` for B:dim in C minor, `bVI` for Ab:maj in C major."""
    steps = MAJOR_STEPS if key.mode == "major" else MINOR_STEPS
    step = steps[(chord.root - key.pitch_class) % 12]
    if step == "#VII" and chord.triad == "dim":
        step = "VII"
    accidental, numeral = re.fullmatch(r"([b#]?)([IV]+)", step).groups()  # type: ignore[union-attr]
    if chord.triad in ("min", "dim"):
        numeral = numeral.lower()
    mark = {"dim": "°", "aug": "+", "sus": "sus"}.get(chord.triad, "")
    if chord.seventh == "hdim7":
        mark = "ø"
    seventh = {"7": "7", "maj7": "maj7", "dim7": "7", "hdim7": "7", "6": "6"}.get(chord.seventh, "")
    return accidental + numeral + mark + seventh


def chord_function(chord: Chord, key: KeyName) -> str | None:
    """`tonic`, `subdominant` or `dominant` for a chord of the key; None for others."""
    numeral = re.sub(r"[°ø+67]|maj7|sus", "", roman_numeral(chord, key))
    functions: dict[str, dict[str, tuple[str, ...]]] = {
        "tonic": {"major": ("I", "iii", "vi"), "minor": ("i", "III", "VI")},
        "subdominant": {"major": ("ii", "IV"), "minor": ("ii", "iv", "IV")},
        "dominant": {"major": ("V", "vii"), "minor": ("V", "v", "vii", "VII")},
    }
    return next((name for name, by_mode in functions.items() if numeral in by_mode[key.mode]), None)


def is_borrowed(chord: Chord, key: KeyName) -> bool:
    """True when the chord belongs to the parallel key and not to this one (modal mixture).

    The dominant and the leading-note chord of harmonic minor, and IV of melodic minor, count as the key's own.
    """
    numeral = re.sub(r"[7]|maj7", "", roman_numeral(chord, key))
    borrowed = {"major": ("i", "iv", "bIII", "bVI", "bVII", "ii°", "v"), "minor": ("I", "ii", "#iii", "#vi")}
    return numeral in borrowed[key.mode]


@dataclass(frozen=True)
class ChordSpan:
    """A chord with its label from `start_s` to `end_s`."""

    chord: Chord
    start_s: float
    end_s: float
    label: str


def chord_spans(segments: Sequence[Segment], shortest_s: float = 0.0) -> list[ChordSpan]:
    """The sounding chords in order; neighbours of one harmony are one span, shorter ones are passed over."""
    spans: list[ChordSpan] = []
    for segment in segments:
        chord = parse_chord(segment.label)
        if chord is None or segment.end_s - segment.start_s < shortest_s:
            continue
        if spans and spans[-1].chord.harmony == chord.harmony:
            spans[-1] = ChordSpan(spans[-1].chord, spans[-1].start_s, segment.end_s, spans[-1].label)
        else:
            spans.append(ChordSpan(chord, segment.start_s, segment.end_s, segment.label))
    return spans


def cadence(chords: Sequence[Chord], key: KeyName) -> CadenceName | None:
    """The cadence that the last two harmonies make; None where they make none."""
    if len(chords) < 2:
        return None
    before, last = (re.sub(r"[67]|maj7", "", roman_numeral(c, key)) for c in chords[-2:])
    tonic = "I" if key.mode == "major" else "i"
    dominant = ("V", "vii°", "viiø")
    if last in (tonic, "I"):
        if before in dominant:
            return "authentic"
        return "plagal" if before in ("IV", "iv") else None
    if last == "V":
        return "half"
    if before == "V" and last == ("vi" if key.mode == "major" else "VI"):
        return "deceptive"
    return None


def form_letters(sections: Sequence[Segment]) -> list[str]:
    """Labels as letters in order of appearance: verse chorus verse -> A B A."""
    order = list(dict.fromkeys(s.label for s in sections))
    return [chr(ord("A") + order.index(s.label)) if len(order) <= 26 else s.label for s in sections]


def form_name(letters: Sequence[str]) -> str | None:
    """The name of a form, where it has one."""
    names = {"A B": "binary", "A B A": "ternary", "A A B": "bar form", "A B A C A": "rondo", "A A B A": "song form"}
    if len(letters) > 1 and len(set(letters)) == 1:
        return "strophic"
    if len(letters) > 2 and len(set(letters)) == len(letters):
        return "through-composed"
    return names.get(" ".join(letters))


def tempo_term(bpm: float) -> str:
    """`Allegro` for 132."""
    return next(term for below, term in TEMPO_TERMS if bpm < below)


def harmonic_rhythm(spans: Sequence[ChordSpan], num_bars: int) -> str | None:
    """How often the harmony changes: `less than once a bar`, `about once a bar`, `more than once a bar`."""
    if num_bars < 2:
        return None
    changes_a_bar = sum(1 for _ in pairwise(spans)) / num_bars
    if changes_a_bar < 0.75:
        return "less than once a bar"
    return "about once a bar" if changes_a_bar <= 1.25 else "more than once a bar"
