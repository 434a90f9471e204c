"""Choose between a key and its relative, which share their notes, by the chords: most pieces open on their tonic."""

from music_flamingo.mir.keys import pitch_class
from music_flamingo.mir.opinions import triad
from music_flamingo.records import Chords, Key

AS_LONG = 0.8
"""The relative's tonic sounds at least this share of the time that the key's own does ..."""
DOUBT = 0.55
"""... and opens the piece: then this part of the confidence is lost, and no key is trusted any more."""
OPENING_S = 0.3
"""A shorter first chord is an upbeat or a noise."""


def doubted_for_its_relative(key: Key, chords: Chords | None) -> Key:
    """The key, less sure where the piece opens on the relative's tonic and stays on it as long as on its own."""
    if chords is None:
        return key
    minor = key.mode == "minor"
    tonic = (pitch_class(key.tonic), minor)
    relative = ((tonic[0] + (3 if minor else -3)) % 12, not minor)
    lengths_s = {tonic: 0.0, relative: 0.0}
    opening: tuple[int, bool] | None = None
    for segment in chords.segments:
        named, length_s = triad(segment.label), segment.end_s - segment.start_s
        if named is None:
            continue
        if opening is None and length_s >= OPENING_S:
            opening = named
        if named in lengths_s:
            lengths_s[named] += length_s
    if opening != relative or lengths_s[relative] < AS_LONG * lengths_s[tonic]:
        return key
    return key.model_copy(update={"confidence": round(key.confidence * (1 - DOUBT), 4)})
