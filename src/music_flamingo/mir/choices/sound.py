"""Which tool says what plays: the coarse sound, instruments and voice."""

from pathlib import Path
from typing import Any, Literal

from music_flamingo.core.licences import Licence
from music_flamingo.core.ranges import Fraction, Positive
from music_flamingo.mir import InstrumentTagger, SoundDescriber
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
    """An audio classifier with AudioSet's labels."""

    uses = (TAGGER,)
    kind: Literal["tagger"]
    model: str
    """Folder of an audio-classification checkpoint with AudioSet's labels, in transformers' layout."""
    device: Literal["cpu", "cuda"]
    window_s: Positive
    """What the model is shown at once; the published transformers were trained on 10 s."""
    hop_s: Positive
    """From one window to the next: how finely a voice is placed."""
    min_probability: Fraction
    min_voice_probability: Fraction

    def identity(self) -> dict[str, Any]:
        from music_flamingo.mir.models import folder_sha256

        return super().identity() | {"model": folder_sha256(Path(self.model))}

    def open(self) -> InstrumentTagger:
        from music_flamingo.mir.tagger import AudioTagger, TagRules

        rules = TagRules(self.window_s, self.hop_s, self.min_probability, self.min_voice_probability)
        return AudioTagger(Path(self.model), rules, self.device)


InstrumentsChoice = TaggedInstruments
