"""Key by essentia's KeyExtractor: harmonic pitch class profiles against the profiles of the 24 keys. AGPL-3.0."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any

from music_flamingo.core.errors import MissingToolError
from music_flamingo.mir import RATE_HZ, NothingFoundError, Signal
from music_flamingo.mir.keys import Mode, pitch_class, spell_tonic
from music_flamingo.mir.opinions import key_opinion
from music_flamingo.mir.tonal import tonal
from music_flamingo.mir.tuning import named_surely, reference_hz
from music_flamingo.records import Key


@dataclass
class EssentiaKey:
    """Every profile has a vote, and the first breaks ties: three profiles err less often than any of them."""

    profiles: Sequence[str]
    _extractors: list[Any] = field(init=False, repr=False)
    _version: str = field(init=False)

    def __post_init__(self) -> None:
        try:
            import essentia
        except ImportError as error:
            raise MissingToolError(
                "facts.key is `essentia`, which is not installed. Install with: pip install essentia. "
                "Or set facts.key to {kind: librosa}."
            ) from error
        essentia.log.infoActive = False
        essentia.log.warningActive = False
        from essentia.standard import KeyExtractor

        self._extractors = [KeyExtractor(profileType=name, sampleRate=RATE_HZ) for name in self.profiles]
        self._version = version("essentia")

    def estimate(self, signal: Signal) -> Key:
        """Raises NothingFoundError where there is no pitched sound. The confidence is the mean strength of the votes
        for the key, less those against it; every vote is kept among the opinions."""
        votes = [vote for vote in map(partial(self._vote, signal), self.profiles, self._extractors) if vote]
        if not votes:
            raise NothingFoundError("essentia hears no key")
        label = Counter(vote.label for vote in votes).most_common(1)[0][0]  # of equals the one that came first
        won = [vote for vote in votes if vote.label == label]
        return Key(
            tool=f"essentia:{'+'.join(self.profiles)}",
            tool_version=self._version,
            confidence=round(min(1.0, sum(vote.confidence for vote in won) / len(self.profiles)), 4),
            tonic=won[0].tonic,
            mode=won[0].mode,
            opinions=[key_opinion(vote, won[0]) for vote in votes] if len(self.profiles) > 1 else [],
        )

    def _vote(self, signal: Signal, profile: str, extract: Any) -> Key | None:
        cents = signal.shared(tonal).tuning_cents
        extract.configure(profileType=profile, sampleRate=RATE_HZ, tuningFrequency=reference_hz(cents))
        name, scale, strength = extract(signal.samples)
        if strength <= 0:
            return None
        mode: Mode = "minor" if scale == "minor" else "major"
        return Key(
            tool=f"essentia:{profile}",
            tool_version=self._version,
            confidence=round(min(1.0, float(strength)) * named_surely(cents), 6),
            tonic=spell_tonic(pitch_class(name), mode),
            mode=mode,
        )
