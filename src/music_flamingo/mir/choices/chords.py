"""Which tool recognises chords."""

from typing import Annotated, Literal

from pydantic import Field

from music_flamingo.core.licences import Licence
from music_flamingo.mir import ChordRecogniser, licences
from music_flamingo.mir.choices.base import ToolChoice

CHORDINO = Licence(
    tool="Chordino (chords)",
    licence="GPL-2.0",
    citation="M. Mauch, S. Dixon: Approximate note transcription for the improved identification of difficult chords, "
    "ISMIR 2010",
)


class ChordinoChords(ToolChoice):
    """Chordino: NNLS chroma and Viterbi."""

    uses = (CHORDINO,)
    kind: Literal["chordino"]

    def open(self) -> ChordRecogniser:
        from music_flamingo.mir.chordino import Chordino

        return Chordino()


class LibrosaChords(ToolChoice):
    """Triads on librosa's chroma."""

    uses = (licences.LIBROSA,)
    kind: Literal["librosa"]

    def open(self) -> ChordRecogniser:
        from music_flamingo.mir.librosa_harmony import LibrosaHarmony

        return LibrosaHarmony()


class MadmomTriads(ToolChoice):
    """madmom's net and conditional random field: major and minor triads."""

    uses = (licences.MADMOM,)
    kind: Literal["madmom"]

    def open(self) -> ChordRecogniser:
        from music_flamingo.mir.madmom_harmony import MadmomChords

        return MadmomChords()


ChordTool = ChordinoChords | MadmomTriads | LibrosaChords
ChordsChoice = Annotated[ChordTool, Field(discriminator="kind")]
