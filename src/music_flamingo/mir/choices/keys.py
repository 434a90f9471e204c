"""Which tool finds the key, and where the music modulates."""

from typing import Annotated, Literal

from pydantic import Field

from music_flamingo.core.licences import Licence
from music_flamingo.core.ranges import NonNegative, Positive
from music_flamingo.mir import KeyEstimator, KeyFollower, licences
from music_flamingo.mir.choices.base import ToolChoice

ESSENTIA = Licence(
    tool="essentia (key)",
    licence="AGPL-3.0",
    citation="D. Bogdanov et al.: Essentia: an audio analysis library for music information retrieval, ISMIR 2013",
)


class EssentiaKeys(ToolChoice):
    """essentia's key profiles."""

    uses = (ESSENTIA,)
    kind: Literal["essentia"]
    profiles: tuple[str, ...]
    """essentia's names of key profiles: each has a vote, and the first breaks ties."""

    def open(self) -> KeyEstimator:
        from music_flamingo.mir.essentia_key import EssentiaKey

        return EssentiaKey(self.profiles)


class LibrosaKeys(ToolChoice):
    """Krumhansl and Kessler's profiles on librosa's chroma."""

    uses = (licences.LIBROSA,)
    kind: Literal["librosa"]

    def open(self) -> KeyEstimator:
        from music_flamingo.mir.librosa_harmony import LibrosaHarmony

        return LibrosaHarmony()


class MadmomKeys(ToolChoice):
    """madmom's convolutional net for the key."""

    uses = (licences.MADMOM,)
    kind: Literal["madmom"]

    def open(self) -> KeyEstimator:
        from music_flamingo.mir.madmom_harmony import MadmomKey

        return MadmomKey()


KeyTool = EssentiaKeys | MadmomKeys | LibrosaKeys
OneKeyTool = Annotated[KeyTool, Field(discriminator="kind")]


class VotedKeys(ToolChoice):
    """Several tools with a vote each."""

    kind: Literal["vote"]
    voters: tuple[OneKeyTool, ...]
    """Each has a vote, and the first breaks ties."""

    def open(self) -> KeyEstimator:
        from music_flamingo.mir.key_vote import KeyVote

        return KeyVote([voter.open() for voter in self.voters])


KeyChoice = Annotated[KeyTool | VotedKeys, Field(discriminator="kind")]


class KeysOverTime(ToolChoice):
    """The key in windows, and where it changes."""

    kind: Literal["windows"]
    window_s: Positive
    step_s: Positive
    price: NonNegative
    """Of a change: how much better the new key fits, in correlation summed over the windows of its stay."""
    min_stay_s: NonNegative
    """A shorter visit to another key is no modulation."""

    def open(self) -> KeyFollower:
        from music_flamingo.mir.key_changes import KeyWindows

        return KeyWindows(self.window_s, self.step_s, self.price, self.min_stay_s)


KeyChangesChoice = KeysOverTime
