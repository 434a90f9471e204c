"""Which tool measures what: one small configuration a tool, told apart by `kind`. `open()` loads the tool.

Nothing is imported before `open()`, so a configuration is read quickly and without the tools.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from music_flamingo.mir import (
    BeatTracker,
    ChordRecogniser,
    DynamicsMeter,
    KeyEstimator,
    LyricsSource,
    SectionFinder,
    SoundDescriber,
)


class Choice(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class MadmomBeats(Choice):
    kind: Literal["madmom"]
    beats_per_bar: tuple[int, ...]
    """Bar lengths it may hear."""
    min_bpm: float
    max_bpm: float

    def open(self) -> BeatTracker:
        from music_flamingo.mir.madmom_beats import MadmomBeatTracker

        return MadmomBeatTracker(self.beats_per_bar, self.min_bpm, self.max_bpm)


class LibrosaBeats(Choice):
    kind: Literal["librosa"]
    beats_per_bar: tuple[int, ...]
    """Bar lengths it may hear; librosa knows no downbeats, so accents decide."""
    min_bpm: float
    max_bpm: float

    def open(self) -> BeatTracker:
        from music_flamingo.mir.librosa_beats import LibrosaBeatTracker

        return LibrosaBeatTracker(self.beats_per_bar, self.min_bpm, self.max_bpm)


class EssentiaKeys(Choice):
    kind: Literal["essentia"]
    profiles: tuple[str, ...]
    """essentia's names of key profiles: each has a vote, and the first breaks ties."""

    def open(self) -> KeyEstimator:
        from music_flamingo.mir.essentia_key import EssentiaKey

        return EssentiaKey(self.profiles)


class LibrosaKeys(Choice):
    kind: Literal["librosa"]

    def open(self) -> KeyEstimator:
        from music_flamingo.mir.librosa_harmony import LibrosaHarmony

        return LibrosaHarmony()


class ChordinoChords(Choice):
    kind: Literal["chordino"]

    def open(self) -> ChordRecogniser:
        from music_flamingo.mir.chordino import Chordino

        return Chordino()


class LibrosaChords(Choice):
    kind: Literal["librosa"]

    def open(self) -> ChordRecogniser:
        from music_flamingo.mir.librosa_harmony import LibrosaHarmony

        return LibrosaHarmony()


class LibrosaForm(Choice):
    kind: Literal["librosa"]
    min_section_s: float
    """No section is shorter."""
    min_novelty: float
    """A boundary stands out by this much, of the most novel moment's height."""
    alike_above: float
    """Sections whose harmony correlates by more than this get one letter: A B A."""

    def open(self) -> SectionFinder:
        from music_flamingo.mir.librosa_sections import LibrosaSections

        return LibrosaSections(self.min_section_s, self.min_novelty, self.alike_above)


class AnalysedSound(Choice):
    kind: Literal["analysis"]

    def open(self) -> SoundDescriber:
        from music_flamingo.mir.sound import SoundAnalyst

        return SoundAnalyst()


class MeasuredDynamics(Choice):
    kind: Literal["ebu_r128"]
    trend_db: float
    """Louder or softer by this much from beginning to end is a trend."""

    def open(self) -> DynamicsMeter:
        from music_flamingo.mir.dynamics import LoudnessDynamics

        return LoudnessDynamics(self.trend_db)


class LyricsOfSource(Choice):
    kind: Literal["source"]

    def open(self) -> LyricsSource:
        from music_flamingo.mir.lyrics import SourceLyrics

        return SourceLyrics()
