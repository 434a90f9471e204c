"""The sounds of training: windows of tracks as log-mel features, made when first asked for and kept while they fit."""

import io
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from music_flamingo.audio.flac import decode_flac
from music_flamingo.core.ports import Table
from music_flamingo.model.chat import Sound, hear
from music_flamingo.records import Track, Utterance

CACHE_BYTES = 600 * 2**20
"""Features kept in memory; 2,700 windows of 6 s with 96 mel bins take 300 MiB."""


@dataclass(frozen=True, order=True)
class Window:
    """A stretch of a track, in samples at the model's rate."""

    track_id: str
    start: int
    end: int


class SoundBank:
    """Gives the Sound of any window. Holds the compressed audio of tracks and utterances."""

    def __init__(self, processor, tracks: Iterable[Track | Utterance]) -> None:
        self.processor = processor
        self._flac = {t.id: t.audio.bytes for t in tracks if t.audio is not None}
        self._sounds: OrderedDict[Window, Sound] = OrderedDict()
        self._held_bytes = 0

    def __call__(self, window: Window) -> Sound:
        if window in self._sounds:
            self._sounds.move_to_end(window)
            return self._sounds[window]
        sound = hear(self.processor, self.samples(window))
        self._sounds[window] = sound
        self._held_bytes += _num_bytes(sound)
        while self._held_bytes > CACHE_BYTES and len(self._sounds) > 1:
            self._held_bytes -= _num_bytes(self._sounds.popitem(last=False)[1])
        return sound

    def samples(self, window: Window) -> np.ndarray:
        """float32 mono, shape (window.end - window.start,)."""
        return decode_flac(self._flac[window.track_id])[window.start : window.end]


def read_tracks(tracks: Table[Track], ids: set[str]) -> list[Track]:
    """The good tracks among `ids`, one shard in memory at a time."""
    return [track for track in tracks.ok() if track.id in ids]


def _num_bytes(sound: Sound) -> int:
    return sound.features_WMT.nbytes + sound.mask_WT.nbytes


def num_samples_of(tracks: Iterable[Track]) -> dict[str, int]:
    """Samples of each track's copy for the model, from the FLAC header."""
    import soundfile

    return {t.id: soundfile.info(io.BytesIO(t.audio.bytes)).frames for t in tracks if t.audio is not None}
