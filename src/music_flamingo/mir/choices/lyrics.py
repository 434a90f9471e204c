"""Where lyrics come from: the source, or a recogniser of words."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from music_flamingo.core.http import Endpoint
from music_flamingo.core.licences import Licence
from music_flamingo.core.ranges import Fraction, NonNegative, Positive, Seed
from music_flamingo.mir import LyricsSource
from music_flamingo.mir.choices.base import ToolChoice


class LyricsOfSource(ToolChoice):
    """The words that the source carries."""

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
    min_confidence: Fraction


class HeardLyrics(ToolChoice):
    """The windows and thresholds of every recogniser of words."""

    window_s: Positive
    overlap_s: NonNegative
    """Of two windows: longer than any word, or one on a seam is cut."""
    line_pause_s: NonNegative
    """A rest this long begins a new line."""
    min_confidence: Fraction
    """Below this, what was heard is no singing: lyrics are unavailable."""


PARAKEET = Licence(tool="Parakeet (lyrics): the weights in the folder that was named", licence="as their card states")


class ParakeetChoice(HeardLyrics):
    """NVIDIA Parakeet, from a folder of weights."""

    uses = (PARAKEET,)
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


WHISPER = Licence(
    tool="Whisper (lyrics): the weights in the folder that was named",
    licence="as their card states",
    citation="A. Radford et al.: Robust speech recognition via large-scale weak supervision, 2022",
)


class WhisperChoice(HeardLyrics):
    """OpenAI's Whisper, from a folder of weights."""

    uses = (WHISPER,)
    kind: Literal["whisper"]
    model: str
    """Folder of a Whisper checkpoint in transformers' layout. Nothing is downloaded."""
    device: Literal["cpu", "cuda"]
    max_no_speech: Fraction
    """A window is left out where the model takes it for silence at least as surely."""
    language: str | None
    """ISO 639-1 code; null lets the model recognise it."""

    def identity(self) -> dict[str, Any]:
        from music_flamingo.mir.models import folder_sha256

        return super().identity() | {"model": folder_sha256(Path(self.model))}

    def open(self) -> LyricsSource:
        from music_flamingo.mir.transcripts import LyricsRules
        from music_flamingo.mir.whisper import WhisperLyrics, WhisperRules

        whisper = WhisperRules(self.window_s, self.overlap_s, self.max_no_speech, self.language)
        rules = LyricsRules(self.line_pause_s, self.min_confidence)
        return WhisperLyrics(Path(self.model), whisper, rules, self.device)


TRANSCRIPTION = Licence(tool="the transcription server's model", licence="as its operator states")


class TranscriptionEndpointChoice(HeardLyrics):
    """Any server with OpenAI's transcription route."""

    uses = (TRANSCRIPTION,)
    kind: Literal["transcription_endpoint"]
    server: Endpoint
    model: str
    """As the server calls it."""
    revision: str
    """Which weights it serves: the server does not say, and results depend on it."""
    assumed_confidence: Fraction
    """Of a word to which the server gives no probability."""
    seed: Seed
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


LyricsTool = LyricsOfSource | ParakeetChoice | WhisperChoice | TranscriptionEndpointChoice
LyricsChoice = Annotated[LyricsTool, Field(discriminator="kind")]
