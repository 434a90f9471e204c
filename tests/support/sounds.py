"""Real audio files for tests, written by FFmpeg (PyAV) and libsndfile."""

import io
from pathlib import Path

import av
import numpy as np
import soundfile

RATE_HZ = 44100

CODECS = {
    "wav": ("wav", "pcm_s16le", "s16"),
    "flac": ("flac", "flac", "s16"),
    "mp3": ("mp3", "libmp3lame", "s16p"),
    "m4a": ("ipod", "aac", "fltp"),
    "opus": ("ogg", "libopus", "s16"),
}
"""Suffix -> FFmpeg's container, codec and sample format."""
SUFFIXES = (*CODECS, "ogg")


def sine(duration_s: float, frequency_hz: float = 440.0, level: float = 0.3, rate_hz: int = RATE_HZ) -> np.ndarray:
    return (level * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * rate_hz)) / rate_hz)).astype("f4")


def tune(duration_s: float, seed: int, rate_hz: int = RATE_HZ, note_s: float = 0.4) -> np.ndarray:
    """A melody of random notes with overtones: fingerprints need something that changes."""
    rng = np.random.default_rng(seed)
    count = int(np.ceil(duration_s / note_s))
    notes = []
    for pitch in rng.integers(50, 80, count):
        t = np.arange(round(note_s * rate_hz)) / rate_hz
        wave = sum(np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * k * t) / k for k in (1, 2, 3, 4))
        notes.append(0.2 * wave * np.exp(-2 * t))
    return np.concatenate(notes)[: round(duration_s * rate_hz)].astype("f4")


def encode(
    samples: np.ndarray,
    suffix: str,
    rate_hz: int = RATE_HZ,
    bit_rate: int = 128_000,
    tags: dict[str, str] | None = None,
) -> bytes:
    """Mono samples as a file of the format that `suffix` names."""
    if suffix == "ogg":
        return _vorbis(samples, rate_hz, tags or {})
    container, codec, sample_format = CODECS[suffix]
    file = io.BytesIO()
    file.name = f"x.{suffix}"
    with av.open(file, "w", format=container) as output:
        output.metadata.update(tags or {})
        # Opus knows 48 kHz alone
        stream = output.add_stream(codec, rate=48000 if suffix == "opus" else rate_hz, layout="mono")
        stream.format = sample_format
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, :]), format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        resampler = av.AudioResampler(
            format=sample_format, layout="mono", rate=stream.rate, frame_size=stream.codec_context.frame_size or 4096
        )
        for resampled in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(resampled))
        output.mux(stream.encode(None))
    return file.getvalue()


def _vorbis(samples: np.ndarray, rate_hz: int, tags: dict[str, str]) -> bytes:
    """FFmpeg's wheel has no Vorbis encoder worth the name."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate_hz, 1, format="OGG", subtype="VORBIS") as file:
        for name, text in tags.items():
            setattr(file, name, text)
        for start in range(0, len(samples), rate_hz):  # one large write crashes libsndfile
            file.write(samples[start : start + rate_hz])
    return buffer.getvalue()


def write(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ, subtype: str = "PCM_16") -> Path:
    """Samples (n,) or (n, C) as WAV or FLAC by libsndfile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, subtype=subtype)
    return path
