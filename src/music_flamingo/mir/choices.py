"""Which tool measures what: one small configuration a tool, told apart by `kind`. `open()` loads the tool.

Nothing is imported before `open()`, so a configuration is read quickly and without the tools.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.core.http import Endpoint
from music_flamingo.mir import (
    BeatTracker,
    ChordRecogniser,
    DynamicsMeter,
    InstrumentTagger,
    KeyEstimator,
    LyricsSource,
    SectionFinder,
    SoundDescriber,
)


class Choice(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    def identity(self) -> dict[str, Any]:
        """What the tool's result depends on; a model counts by its weights, a server not by its address."""
        return self.model_dump(mode="json")


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


class LanguageOfSource(Choice):
    """The source's language tag."""

    kind: Literal["source"]


class LanguageOfText(Choice):
    """Recognised in the heard words, by py3langid."""

    kind: Literal["text"]
    min_confidence: float


class HeardLyrics(Choice):
    """What every recogniser of words is told."""

    window_s: float
    overlap_s: float
    """Of two windows: longer than any word, or one on a seam is cut."""
    line_pause_s: float
    """A rest this long begins a new line."""
    min_confidence: float
    """Below this, what was heard is no singing: lyrics are unavailable."""


class ParakeetChoice(HeardLyrics):
    kind: Literal["parakeet"]
    model: str
    """Folder of a Parakeet checkpoint (CTC or TDT) in transformers' layout. Nothing is downloaded."""
    device: Literal["cpu", "cuda"]
    language: Annotated[LanguageOfSource | LanguageOfText, Field(discriminator="kind")]

    def identity(self) -> dict[str, Any]:
        from music_flamingo.mir.models import folder_sha256

        return super().identity() | {"model": folder_sha256(Path(self.model))}

    def open(self) -> LyricsSource:
        from music_flamingo.mir.languages import LanguageRule
        from music_flamingo.mir.parakeet import ParakeetLyrics
        from music_flamingo.mir.transcripts import LyricsRules

        rule = LanguageRule(self.language.min_confidence if isinstance(self.language, LanguageOfText) else None)
        rules = LyricsRules(self.line_pause_s, self.min_confidence)
        return ParakeetLyrics(Path(self.model), self.window_s, self.overlap_s, rules, rule, self.device)


class TranscriptionEndpointChoice(HeardLyrics):
    kind: Literal["transcription_endpoint"]
    server: Endpoint
    model: str
    """As the server calls it."""
    revision: str
    """Which weights it serves: the server does not say, and results depend on it."""
    assumed_confidence: float
    """Of a word to which the server gives no probability."""
    seed: int
    """Of the jitter of waits."""

    def identity(self) -> dict[str, Any]:
        return {name: value for name, value in super().identity().items() if name not in ("server", "seed")}

    def open(self) -> LyricsSource:
        from music_flamingo.mir.transcription_endpoint import EndpointLyrics
        from music_flamingo.mir.transcripts import LyricsRules

        rules = LyricsRules(self.line_pause_s, self.min_confidence)
        return EndpointLyrics(
            self.server,
            self.model,
            self.revision,
            self.window_s,
            self.overlap_s,
            self.assumed_confidence,
            rules,
            self.seed,
        )


class TaggedInstruments(Choice):
    kind: Literal["tagger"]
    model: str
    """Folder of an audio-classification checkpoint with AudioSet's labels, in transformers' layout."""
    device: Literal["cpu", "cuda"]
    window_s: float
    """What the model is shown at once; the published transformers were trained on 10 s."""
    hop_s: float
    """From one window to the next: how finely a voice is placed."""
    min_probability: float
    min_voice_probability: float

    def identity(self) -> dict[str, Any]:
        from music_flamingo.mir.models import folder_sha256

        return super().identity() | {"model": folder_sha256(Path(self.model))}

    def open(self) -> InstrumentTagger:
        from music_flamingo.mir.tagger import AudioTagger, TagRules

        rules = TagRules(self.window_s, self.hop_s, self.min_probability, self.min_voice_probability)
        return AudioTagger(Path(self.model), rules, self.device)
