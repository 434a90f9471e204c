"""Decoding real files of every format, FLAC in memory, windows, and the way back to the original."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
from support import sounds

from music_flamingo.audio.claims import holds_bare_samples
from music_flamingo.audio.decode import (
    AudioStream,
    BadAudioError,
    DecodeLimits,
    QuarantineReason,
    Resampler,
    decode_model_copy,
    decode_original,
    open_audio,
)
from music_flamingo.audio.flac import MODEL_RATE_HZ, decode_flac, encode_flac
from music_flamingo.audio.measure import hear
from music_flamingo.audio.originals import open_original
from music_flamingo.audio.windows import choose_window, tile
from music_flamingo.core.errors import CorruptDataError, MissingInputError
from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.record import Provenance
from music_flamingo.records import Track

LIMITS = DecodeLimits(
    max_bytes=50_000_000,
    min_duration_s=2.0,
    max_duration_s=60.0,
    min_rate_hz=16000,
    max_rate_hz=192000,
    max_channels=2,
    max_tag_chars=1000,
)
LEVEL, FREQUENCY_HZ = 0.3, 440.0
MP3_LEVEL = 0.95
"""LAME writes a little softer, so that peaks do not clip."""


def fit_sine(samples: np.ndarray, rate_hz: int) -> tuple[float, float]:
    """(amplitude of the 440 Hz sine, RMS of what is no such sine) in the middle of the samples."""
    t = np.arange(len(samples)) / rate_hz
    middle = slice(len(samples) // 4, 3 * len(samples) // 4)
    basis = np.stack([np.sin(2 * np.pi * FREQUENCY_HZ * t), np.cos(2 * np.pi * FREQUENCY_HZ * t)], axis=1)[middle]
    weights = np.linalg.lstsq(basis, samples[middle], rcond=None)[0]
    return float(np.hypot(*weights)), float(np.sqrt(np.mean((basis @ weights - samples[middle]) ** 2)))


@pytest.mark.parametrize("suffix", sounds.SUFFIXES)
def test_every_format_gives_the_same_sine(suffix: str) -> None:
    data = sounds.encode(sounds.sine(4.0), suffix)
    expected = LEVEL * (MP3_LEVEL if suffix == "mp3" else 1.0)
    for samples, rate_hz in ((decode_model_copy(data, LIMITS), MODEL_RATE_HZ), decode_original(data, LIMITS)):
        amplitude, rest = fit_sine(samples, rate_hz)
        assert samples.dtype == np.float32 and samples.ndim == 1
        assert len(samples) / rate_hz == pytest.approx(4.0, abs=0.06)
        assert amplitude == pytest.approx(expected, rel=0.02)
        assert rest < 0.004


@pytest.mark.parametrize("suffix", ["flac", "mp3", "m4a", "opus"])
def test_tags_are_read_with_names_in_lower_case(suffix: str) -> None:
    tags = {"title": "Ünder <|im_end|>", "artist": "A", "lyrics": "la\nli"}
    with open_audio(sounds.encode(sounds.sine(3.0), suffix, tags=tags), LIMITS) as audio:
        assert {name: audio.tags[name] for name in tags} == tags


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_width_of_sample_has_full_scale_one(tmp_path: Path, subtype: str) -> None:
    path = sounds.write(tmp_path / "x.wav", sounds.sine(3.0), subtype=subtype)
    assert fit_sine(*decode_original(path, LIMITS))[0] == pytest.approx(LEVEL, rel=0.01)


WAVS = ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM", "MS_ADPCM"]


@pytest.mark.parametrize("kind", [*sounds.SUFFIXES, *WAVS])
@pytest.mark.parametrize("kept", [1.0, 0.6], ids=["whole", "cut"])
def test_a_wav_read_in_large_packets_holds_the_same_samples(
    tmp_path: Path, monkeypatch, kind: str, kept: float
) -> None:
    """And every other format does, which is read as ever."""
    samples = sounds.tune(6.0, seed=1)
    stereo = np.stack([samples, 0.5 * samples[::-1]], axis=1)
    if kind in WAVS:
        data = sounds.write(tmp_path / "x.wav", stereo, subtype=kind).read_bytes()
    else:
        data = sounds.encode(samples, kind)
    data = data[: int(kept * len(data))]

    def heard() -> bytes | str:
        try:
            return decode_model_copy(data, LIMITS).tobytes()
        except BadAudioError as error:
            return str(error)

    found = heard()
    assert holds_bare_samples(io.BytesIO(data)) == (kind in ("wav", "PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW"))
    monkeypatch.setattr("music_flamingo.audio.decode.holds_bare_samples", lambda _: False)
    assert found == heard()


@pytest.mark.parametrize("mark", ["7ffe8001", "fe7f0180", "1fffe800", "ff1f00e8"])
def test_a_wav_of_dts_frames_is_tried_as_every_codec(mark: str) -> None:
    data = bytearray(sounds.encode(sounds.sine(4.0), "wav"))
    assert holds_bare_samples(io.BytesIO(data))
    data[200_000:200_004] = bytes.fromhex(mark)
    assert not holds_bare_samples(io.BytesIO(data))


def test_stereo_becomes_the_mean_of_its_channels(tmp_path: Path) -> None:
    both = np.stack([sounds.sine(3.0), np.zeros(3 * sounds.RATE_HZ, "f4")], axis=1)
    samples, _ = decode_original(sounds.write(tmp_path / "x.flac", both), LIMITS)
    assert fit_sine(samples, sounds.RATE_HZ)[0] == pytest.approx(LEVEL / 2, rel=0.01)


def test_the_wrong_suffix_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(sounds.encode(sounds.sine(3.0), "mp3"))
    assert len(decode_model_copy(path, LIMITS)) == pytest.approx(3 * MODEL_RATE_HZ, abs=200)


def test_resampling_in_blocks_leaves_no_seams() -> None:
    samples = sounds.tune(5.0, seed=1)
    whole, blocks = Resampler(sounds.RATE_HZ), Resampler(sounds.RATE_HZ)
    expected = np.concatenate([whole.feed(samples), whole.end()])
    cuts = np.split(samples, [1000, 1003, 90000])
    assert np.array_equal(np.concatenate([*(blocks.feed(c) for c in cuts), blocks.end()]), expected)


def test_the_resampler_agrees_with_scipy() -> None:
    from scipy.signal import resample_poly

    samples = sounds.tune(2.0, seed=2, rate_hz=48000)
    resampler = Resampler(48000)
    ours = np.concatenate([resampler.feed(samples), resampler.end()])
    theirs = resample_poly(samples, 1, 3)
    assert np.sqrt(np.mean((ours - theirs[: len(ours)])[100:-100] ** 2)) < 0.02 * theirs.std()


@pytest.mark.parametrize(("change", "reason"), [
    ({"max_bytes": 1000}, QuarantineReason.TOO_LARGE),
    ({"max_duration_s": 2.9}, QuarantineReason.TOO_LONG),
    ({"min_duration_s": 3.1}, QuarantineReason.TOO_SHORT),
    ({"max_rate_hz": 22050}, QuarantineReason.BAD_RATE),
    ({"min_rate_hz": 48000}, QuarantineReason.BAD_RATE),
    ({"max_channels": 0}, QuarantineReason.TOO_MANY_CHANNELS),
    ({"max_tag_chars": 3}, QuarantineReason.TAGS_TOO_LARGE),
])  # fmt: skip
def test_every_limit_has_its_reason(change: dict[str, float], reason: QuarantineReason) -> None:
    data = sounds.encode(sounds.sine(3.0), "flac", tags={"title": "Title"})
    decode_original(data, LIMITS)
    with pytest.raises(BadAudioError) as caught:
        decode_original(data, LIMITS.model_copy(update=change))
    assert caught.value.reason == reason


@pytest.mark.parametrize("form", ["mp3", "m4a", "opus", "ogg", "flac"])
@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_a_song_of_just_the_longest_length_is_taken_with_its_encoders_padding(form: str, rate_hz: int) -> None:
    limits = LIMITS.model_copy(update={"max_duration_s": 3.0})
    samples, _ = decode_original(
        sounds.encode(sounds.tune(3.0, seed=4, rate_hz=rate_hz), form, rate_hz=rate_hz), limits
    )
    assert len(samples) > 0
    with pytest.raises(BadAudioError, match="too_long"):
        decode_original(sounds.encode(sounds.tune(3.3, seed=4, rate_hz=rate_hz), form, rate_hz=rate_hz), limits)


def test_a_cut_mp3_without_a_frame_count_is_what_it_is() -> None:
    """Without the encoder's count nobody knows how long it was: FFmpeg's guess from the bit rate is no claim."""
    data = sounds.encode(sounds.sine(4.0), "mp3").replace(b"Xing", b"\0\0\0\0").replace(b"Info", b"\0\0\0\0")
    samples, rate_hz = decode_original(data[: len(data) // 2], LIMITS)
    assert len(samples) / rate_hz == pytest.approx(2.0, abs=0.2)


def test_one_damaged_packet_is_passed_over() -> None:
    data = bytearray(sounds.encode(sounds.tune(20.0, seed=3), "mp3"))
    data[100_000:100_200] = bytes(200)
    samples, rate_hz = decode_original(bytes(data), LIMITS)
    assert len(samples) / rate_hz == pytest.approx(20.0, abs=0.2)


def test_hearing_gives_copy_and_facts_in_one_go(tmp_path: Path) -> None:
    path = sounds.write(tmp_path / "x.flac", sounds.sine(3.0))
    heard = hear(path, LIMITS)
    assert (heard.rate_hz, heard.num_channels, heard.duration_s) == (44100, 1, 3.0)
    assert np.array_equal(heard.model_copy, decode_model_copy(path, LIMITS))
    assert heard.loudness.peak_dbfs == pytest.approx(20 * np.log10(LEVEL), abs=0.05)


def test_flac_keeps_every_16_bit_sample_and_gives_the_same_bytes() -> None:
    samples = (np.random.default_rng(0).integers(-32768, 32768, 5000) / 32768).astype("f4")
    data = encode_flac(samples)
    assert np.array_equal(decode_flac(data), samples)
    assert encode_flac(samples) == data


def test_flac_clips_what_is_over_full_scale() -> None:
    assert decode_flac(encode_flac(np.array([2.0, -2.0], "f4"))).tolist() == [32767 / 32768, -1.0]


def test_flac_refuses_two_channels() -> None:
    with pytest.raises(ValueError, match="mono"):
        encode_flac(np.zeros((10, 2), "f4"))


def test_windows_follow_their_rule() -> None:
    assert choose_window(100, 60, "first") == (0, 60)
    assert choose_window(100, 60, "middle") == (20, 80)
    assert choose_window(50, 60, "middle") == (0, 50)
    drawn = {choose_window(100, 60, "random", random.Random(i)) for i in range(200)}
    assert {end - start for start, end in drawn} == {60}
    assert min(drawn)[0] == 0 and max(drawn)[0] == 40


def test_a_random_window_needs_a_generator() -> None:
    with pytest.raises(ValueError, match="generator"):
        choose_window(100, 60, "random")


def test_tiles_cover_the_whole_and_a_crumb_joins_the_last() -> None:
    assert list(tile(65.0, 30.0, 10.0)) == [(0.0, 30.0), (30.0, 65.0)]
    assert list(tile(75.0, 30.0, 10.0)) == [(0.0, 30.0), (30.0, 60.0), (60.0, 75.0)]
    assert list(tile(12.0, 30.0, 10.0)) == [(0.0, 12.0)]


def track_of(path: Path, original: str) -> Track:
    return Track(
        id="t", work_id="w", split="train", title=None, artist=None, tradition=None, language=None, lyrics=None,
        uri="x", original=original, source_sha256=sha256_file(path), audio_sha256=None, duration_s=None,
        original_rate_hz=None, num_channels=None, loudness=None, fingerprint=[], audio=None,
        provenance=Provenance(made_by="ingest", tool="t", tool_version="1"),
    )  # fmt: skip


def test_an_original_is_found_in_its_port_or_by_its_uri_and_verified(tmp_path: Path) -> None:
    path = sounds.write(tmp_path / "aa" / "söng #1.wav", sounds.sine(2.0))
    inside, elsewhere = track_of(path, "aa/söng #1.wav"), track_of(path, path.as_uri())
    assert open_original(inside, tmp_path) == open_original(elsewhere, tmp_path / "no") == path
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CorruptDataError, match="söng #1"):
        open_original(inside, tmp_path)
    path.unlink()
    with pytest.raises(MissingInputError, match="söng #1"):
        open_original(elsewhere, tmp_path)


@pytest.mark.parametrize("name", ["dbl", "dblp", "flt", "fltp", "s16", "s16p", "s32", "s32p", "u8", "u8p"])
@pytest.mark.parametrize("channels", [1, 2])
def test_frames_are_joined_to_blocks_of_a_second_without_a_change(name, channels):
    """In the middle the samples become of another kind, and no frame says when it sounds."""
    played = np.random.default_rng(0).uniform(-0.5, 0.5, (channels, 90 * 400)).astype(np.float32)
    kinds = [name] * 60 + ["flt" if name.startswith("s16") else "s16"] * 30
    frames = [frame_of(played[:, 400 * n : 400 * (n + 1)], kind) for n, kind in enumerate(kinds)]
    blocks = list(AudioStream(16_000, channels, {}, None, iter(frames), LIMITS).blocks())
    assert [block.shape[1] for block in blocks] == [16_000, 8_000, 12_000]
    assert all(block.dtype == np.float32 for block in blocks)
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), played, atol=0.01)


def frame_of(samples: np.ndarray, name: str):
    """An FFmpeg frame of (C, n) samples between -1 and 1."""
    import av

    kind = {"dbl": "f8", "flt": "f4", "s16": "i2", "s32": "i4", "u8": "u1"}[name.removesuffix("p")]
    scale = {"s16": 2.0**15, "s32": 2.0**31, "u8": 2.0**7}.get(name.removesuffix("p"), 1.0)
    made = (samples.astype(np.float64) * scale + (128 if kind == "u1" else 0)).astype(kind)
    made = made if name.endswith("p") else made.T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(made), name, "mono" if len(samples) == 1 else "stereo")
    frame.sample_rate = 16_000
    return frame
