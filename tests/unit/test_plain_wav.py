"""A plain WAV file read without FFmpeg holds the samples that FFmpeg gives; any other file is left to FFmpeg."""

import struct

import numpy as np
import pytest

from music_flamingo.audio.decode import BadAudioError, decode_model_copy
from music_flamingo.audio.plain_wav import HEADER, SPDIF_MARK, plain_model_copy
from music_flamingo.serving.audio_window import QUICK_LIMITS
from music_flamingo.serving.uploads import UPLOAD_LIMITS, Upload, decode_upload


def wav(seconds: float = 2.5, rate_hz: int = 16000, num_channels: int = 1, level: float = 9000.0) -> bytes:
    rng = np.random.default_rng(rate_hz + num_channels)
    samples = (level * rng.standard_normal(int(seconds * rate_hz) * num_channels)).clip(-32768, 32767).astype("<i2")
    return header(samples.tobytes(), rate_hz, num_channels) + samples.tobytes()


def header(data: bytes, rate_hz: int = 16000, num_channels: int = 1, kind: int = 1, bits: int = 16) -> bytes:
    frame = num_channels * bits // 8
    form = (b"fmt ", 16, kind, num_channels, rate_hz, rate_hz * frame, frame, bits)
    return HEADER.pack(b"RIFF", 36 + len(data), b"WAVE", *form, b"data", len(data))


@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [16000, 22050, 44100, 48000, 192000])
@pytest.mark.parametrize("seconds", [2.0, 3.7])
def test_a_plain_wav_holds_the_samples_that_ffmpeg_gives(rate_hz, num_channels, seconds):
    data = wav(seconds, rate_hz, num_channels)
    plain = plain_model_copy(data, UPLOAD_LIMITS)
    assert plain is not None
    assert plain.tobytes() == decode_model_copy(data, UPLOAD_LIMITS).tobytes()
    assert plain.tobytes() == decode_upload(Upload(data), 16000).tobytes()


SOUND = wav()[HEADER.size :]
OTHERS = {
    "cut": wav()[:-1000],
    "one byte less": wav()[:-1],
    "with a chunk behind": wav() + b"LIST" + struct.pack("<I", 4) + b"INFO",
    "of a pipe": wav()[:40] + b"\xff\xff\xff\xff" + SOUND,
    "of a wrong whole": wav()[:4] + b"\x00\x00\x00\x00" + wav()[8:],
    "another form": b"RIFX" + wav()[4:],
    "floats": header(SOUND, kind=3, bits=32) + SOUND,
    "8 bits": header(SOUND, bits=8) + SOUND,
    "three channels": wav(num_channels=3),
    "8 kHz": wav(rate_hz=8000),
    "too short": wav(seconds=1.9),
    "no sound": header(b""),
    "no header": b"RIFF",
    "nothing": b"",
    "frames of DTS": header(SOUND) + bytes.fromhex("fe7f0180") + SOUND[4:],
    "frames of a digital line": header(SOUND) + SPDIF_MARK + SOUND[4:],
    "half a frame": header(SOUND[:-2], num_channels=2) + SOUND[:-2],
}


@pytest.mark.parametrize("name", OTHERS)
def test_any_other_file_is_left_to_ffmpeg_with_what_it_says_of_it(name):
    assert plain_model_copy(OTHERS[name], UPLOAD_LIMITS) is None


def test_a_plain_wav_that_is_too_long_is_left_to_ffmpeg():
    assert plain_model_copy(wav(121.0), QUICK_LIMITS) is None


def test_a_plain_wav_of_silence_is_refused_with_the_same_words():
    silent = wav(level=0.4)
    with pytest.raises(BadAudioError) as plain:
        plain_model_copy(silent, UPLOAD_LIMITS)
    with pytest.raises(BadAudioError) as whole:
        decode_model_copy(silent, UPLOAD_LIMITS)
    assert str(plain.value) == str(whole.value)
