"""Cut a clip of a track's 16 kHz copy into a file, for a teacher that hears or for review."""

import io
from collections.abc import Sequence
from typing import Literal

from music_flamingo.audio.flac import MODEL_RATE_HZ

LEAD_S = 2.0
"""Heard before and after what is spoken of: what came before tells where a thing begins."""


def cut(flac: bytes, start_s: float, end_s: float, form: Literal["wav", "flac"]) -> bytes:
    """The samples from `start_s` to `end_s` of a FLAC of the training set, 16 kHz mono, 16 bits.

    The same segment gives the same bytes. Raises ValueError for a segment that holds no sample.
    """
    import soundfile

    with soundfile.SoundFile(io.BytesIO(flac)) as source:
        if source.samplerate != MODEL_RATE_HZ:
            raise ValueError(f"the model's copy has {MODEL_RATE_HZ} Hz, not {source.samplerate}")
        first, last = round(start_s * MODEL_RATE_HZ), min(round(end_s * MODEL_RATE_HZ), source.frames)
        if not 0 <= first < last:
            raise ValueError(f"no sample lies between {start_s} and {end_s} s of {source.frames / MODEL_RATE_HZ} s")
        source.seek(first)
        samples = source.read(last - first, dtype="int16")
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, MODEL_RATE_HZ, format=form.upper(), subtype="PCM_16")
    return buffer.getvalue()


def window(spoken_of: Sequence[tuple[float, float]], duration_s: float, max_s: float) -> tuple[float, float]:
    """(start, end) in seconds of a clip for (start, end) of what an example speaks of; else of the beginning."""
    cited = [(start, end) for start, end in spoken_of if end - start < max_s]
    if duration_s <= max_s or not cited:
        return 0.0, min(duration_s, max_s)
    start_s = max(min(start for start, _ in cited) - LEAD_S, 0.0)
    return start_s, min(max(end for _, end in cited) + LEAD_S, duration_s, start_s + max_s)
