"""Which tool hears beats, downbeats and tempo."""

from typing import Annotated, Literal

from pydantic import Field

from music_flamingo.core.ranges import Count, Positive
from music_flamingo.mir import BeatTracker, licences
from music_flamingo.mir.choices.base import ToolChoice


class MadmomBeats(ToolChoice):
    """madmom's recurrent nets for beats and bars."""

    uses = (licences.MADMOM,)
    kind: Literal["madmom"]
    beats_per_bar: tuple[Count, ...]
    """Bar lengths it may hear."""
    min_bpm: Positive
    max_bpm: Positive

    def open(self) -> BeatTracker:
        from music_flamingo.mir.madmom_beats import MadmomBeatTracker

        return MadmomBeatTracker(self.beats_per_bar, self.min_bpm, self.max_bpm)


class LibrosaBeats(ToolChoice):
    """librosa's dynamic programming, with bars by accents."""

    uses = (licences.LIBROSA,)
    kind: Literal["librosa"]
    beats_per_bar: tuple[Count, ...]
    """Bar lengths it may hear; librosa knows no downbeats, so accents decide."""
    min_bpm: Positive
    max_bpm: Positive

    def open(self) -> BeatTracker:
        from music_flamingo.mir.librosa_beats import LibrosaBeatTracker

        return LibrosaBeatTracker(self.beats_per_bar, self.min_bpm, self.max_bpm)


BeatsChoice = Annotated[MadmomBeats | LibrosaBeats, Field(discriminator="kind")]
