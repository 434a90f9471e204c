"""Which tool says what plays: the coarse sound, instruments and voice."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.licences import Licence
from music_flamingo.core.ranges import Count, Fraction, Positive
from music_flamingo.mir import MusicTagger, SoundDescriber
from music_flamingo.mir.choices.base import ToolChoice


class AnalysedSound(ToolChoice):
    """The project's own analysis of drums, texture and envelope."""

    kind: Literal["analysis"]

    def open(self) -> SoundDescriber:
        from music_flamingo.mir.sound import SoundAnalyst

        return SoundAnalyst()


SoundChoice = AnalysedSound


TAGGER = Licence(tool="the tagger's weights in the folder that was named", licence="as their card states")


class TaggedInstruments(ToolChoice):
    """An audio classifier with AudioSet's labels, or others by a mapping file."""

    uses = (TAGGER,)
    kind: Literal["tagger"]
    model: str
    """Folder of an audio-classification checkpoint in transformers' layout."""
    labels: str | None
    """YAML file that maps the model's labels to plain names; null for AudioSet's labels."""
    device: Literal["cpu", "cuda"]
    window_s: Positive
    """What the model is shown at once; the published transformers were trained on 10 s."""
    hop_s: Positive
    """From one window to the next: how finely a voice is placed."""
    min_probability: Fraction
    min_voice_probability: Fraction

    def identity(self) -> dict[str, Any]:
        from music_flamingo.mir.models import folder_sha256

        labels = sha256_file(Path(self.labels)) if self.labels else None
        return super().identity() | {"model": folder_sha256(Path(self.model)), "labels": labels}

    def open(self) -> MusicTagger:
        from music_flamingo.mir.tagger import AUDIOSET, AudioTagger, LabelNames, TagRules

        rules = TagRules(self.window_s, self.hop_s, self.min_probability, self.min_voice_probability)
        names = LabelNames.read(Path(self.labels)) if self.labels else AUDIOSET
        return AudioTagger(Path(self.model), rules, self.device, names)


MUSICNN = Licence(
    tool="musicnn (instruments, voice, genre)",
    licence="ISC",
    citation="J. Pons and X. Serra: musicnn: pre-trained convolutional neural networks for music audio tagging, 2019",
)


class MusicnnTags(ToolChoice):
    """musicnn's networks, from the wheel, and the project's own families of instruments on top of them."""

    uses = (MUSICNN,)
    kind: Literal["musicnn"]
    every: Count
    """Of the windows of 3 s that follow each other, one in so many is heard."""
    min_probability: Fraction
    """An instrument or a genre below this is not said."""

    def open(self) -> MusicTagger:
        from music_flamingo.mir.musicnn_tagger import MusicnnTagger

        return MusicnnTagger(self.every, self.min_probability)


InstrumentsChoice = Annotated[MusicnnTags | TaggedInstruments, Field(discriminator="kind")]
