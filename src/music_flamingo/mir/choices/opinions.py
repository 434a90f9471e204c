"""Which other tools are asked about a fact, and what their disagreement costs."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from music_flamingo.core.ranges import Fraction, Positive
from music_flamingo.mir.choices.base import ToolChoice
from music_flamingo.mir.choices.chords import ChordTool
from music_flamingo.mir.choices.keys import OneKeyTool

if TYPE_CHECKING:
    from music_flamingo.mir.opinions import SecondEstimator, SecondOpinions
    from music_flamingo.records import Chords, Tempo


class OnsetTempoOpinion(ToolChoice):
    """From the rises of level that the beats are checked with: next to free."""

    kind: Literal["onsets"]
    min_bpm: Positive
    max_bpm: Positive

    def open(self) -> "SecondEstimator[Tempo]":
        from music_flamingo.mir.onset_tempo import OnsetTempo

        return OnsetTempo(self.min_bpm, self.max_bpm)


class TriadOpinion(ToolChoice):
    """Chroma against the 24 triads: next to free."""

    kind: Literal["templates"]

    def open(self) -> "SecondEstimator[Chords]":
        from music_flamingo.mir.chord_templates import ChordTemplates

        return ChordTemplates()


OneChordTool = Annotated[ChordTool | TriadOpinion, Field(discriminator="kind")]


class OpinionsChoice(ToolChoice):
    """Which other tools are asked about a fact; null asks nobody."""

    tempo: OnsetTempoOpinion | None
    key: OneKeyTool | None
    chords: OneChordTool | None
    doubt: Fraction
    """Share of the confidence that full disagreement takes away."""

    def open(self) -> "SecondOpinions":
        from music_flamingo.mir.opinions import ChordJudge, KeyJudge, SecondOpinions

        chords = None
        if self.chords:
            chords = self.chords.open() if isinstance(self.chords, TriadOpinion) else ChordJudge(self.chords.open())
        return SecondOpinions(
            tempo=self.tempo.open() if self.tempo else None,
            key=KeyJudge(self.key.open()) if self.key else None,
            chords=chords,
            doubt=self.doubt,
        )
