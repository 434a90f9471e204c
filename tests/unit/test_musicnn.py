"""musicnn's checkpoint read without TensorFlow, and what is made of its layers."""

import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from music_flamingo.core.errors import CorruptDataError
from music_flamingo.mir import RATE_HZ, Signal, musicnn_tagger
from music_flamingo.mir.musicnn_net import MEL_BANDS, WINDOW_FRAMES, log_mel
from music_flamingo.mir.tensor_bundle import read_tensors

needs_musicnn = pytest.mark.skipif(find_spec("musicnn") is None, reason="musicnn is not installed")


def _varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found, number = found + bytes([number & 127 | 128]), number >> 7
    return found + bytes([number])


def _block(*entries: tuple[bytes, bytes]) -> bytes:
    body = b"".join(_varint(0) + _varint(len(k)) + _varint(len(v)) + k + v for k, v in entries)
    return body + struct.pack("<II", 0, 1)


def save_bundle(folder: Path, name: str, values: np.ndarray) -> None:
    """A checkpoint with one tensor, in TensorFlow's format."""
    sizes = [b"\x08" + _varint(size) for size in values.shape]
    shape = b"".join(b"\x12" + _varint(len(size)) + size for size in sizes)
    data = values.tobytes()
    entry = b"\x08\x01\x12" + _varint(len(shape)) + shape + b"\x28" + _varint(len(data))
    first = _block((name.encode(), entry))
    handle = _varint(0) + _varint(len(first))
    second = _block((name.encode(), handle))
    footer = _varint(0) * 2 + _varint(len(first) + 1) + _varint(len(second))
    (folder / ".index").write_bytes(first + b"\0" + second + b"\0" + footer.ljust(48, b"\0"))
    (folder / ".data-00000-of-00001").write_bytes(data)


def test_a_tensor_of_a_tensorflow_checkpoint_is_read_with_its_shape(tmp_path: Path) -> None:
    values = np.arange(300, dtype=np.float32).reshape(150, 2)
    save_bundle(tmp_path, "dense/kernel", values)
    tensors = read_tensors(tmp_path)
    assert list(tensors) == ["dense/kernel"] and np.array_equal(tensors["dense/kernel"], values)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    save_bundle(tmp_path, "dense/kernel", np.ones((3, 2), np.float32))
    (tmp_path / ".data-00000-of-00001").write_bytes(b"\0" * 7)
    with pytest.raises(CorruptDataError, match="no TensorFlow checkpoint"):
        read_tensors(tmp_path)


def test_windows_past_the_end_are_silence() -> None:
    mel = log_mel(np.ones(1000, np.float32), [0, 5000])
    assert mel.shape == (2, WINDOW_FRAMES, MEL_BANDS) and mel[0].max() > 0 == mel[1].max()


def test_the_families_of_instruments_are_of_the_layers_that_the_networks_have() -> None:
    model = musicnn_tagger.load_instrument_model()
    assert model.weights.shape == (len(model.names), 500) and {"bass", "drums", "piano"} <= set(model.names)
    assert model.log_odds(np.zeros((3, 500), np.float32)).shape == (3, len(model.names))


@needs_musicnn
def test_drums_of_a_band_are_heard_and_a_silent_part_is_no_part_of_them() -> None:
    rng = np.random.default_rng(0)
    seconds = 40
    t = np.arange(seconds * RATE_HZ) / RATE_HZ
    hits = rng.normal(0, 0.4, len(t)) * np.exp(-25 * (t % 0.25)) + 0.5 * np.sin(2 * np.pi * 55 * t) * np.exp(
        -20 * (t % 0.5)
    )
    tags = musicnn_tagger.MusicnnTagger(every=3, min_probability=0.7).tag(Signal(hits.astype(np.float32)))
    (drums,) = [label for label in tags.instruments.labels if label.name == "drums"]
    assert drums.probability > 0.7 and drums.heard[0].start_s == 0
    assert tags.voice is not None and not tags.voice.present and tags.genre is not None
    assert tags.instruments.tool == "musicnn" and 0.7 <= tags.instruments.confidence <= 1
