"""musicnn (Pons and Serra 2019) in torch, from the checkpoints that its wheel carries; TensorFlow is not imported.

Front end of tall and wide filters over a log mel spectrogram, three dense layers of 1-d convolutions, pooling over time
by maximum and mean. Tags are of MagnaTagATune (MTT) and of the Million Song Dataset (MSD), 50 each.

B windows, T frames (187, 3 s), C channels.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from music_flamingo.audio.flac import MODEL_RATE_HZ
from music_flamingo.core.errors import MissingToolError
from music_flamingo.mir.tensor_bundle import read_tensors

if TYPE_CHECKING:
    import torch

FRAME_SIZE, HOP_SIZE, MEL_BANDS = 512, 256, 96
WINDOW_FRAMES = 187
WINDOW_SAMPLES = (WINDOW_FRAMES - 1) * HOP_SIZE + FRAME_SIZE
TALL = ((0, None), (1, None))
"""Filters that span most of the bands: number of the convolution."""
WIDE = ((2, 128), (3, 64), (4, 32))
"""Filters along time: number of the convolution, frames."""
EPSILON = 1e-3


@dataclass(frozen=True)
class MusicnnNet:
    """One network with its tags."""

    weights: dict[str, "torch.Tensor"]
    labels: tuple[str, ...]

    def __call__(self, mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log mel windows (B, T, bands) -> (probabilities of the tags (B, 50), the layer before them (B, 200))."""
        import torch

        with torch.inference_mode():
            pooled = self._pooled(torch.from_numpy(mel))
            hidden = torch.relu(pooled @ self.weights["dense/kernel"] + self.weights["dense/bias"])
            hidden = self._normed(hidden, 10)
            found = torch.sigmoid(hidden @ self.weights["dense_1/kernel"] + self.weights["dense_1/bias"])
        return found.numpy(), hidden.numpy()

    def _pooled(self, mel_BTF: "torch.Tensor") -> "torch.Tensor":
        import torch
        from torch.nn.functional import pad

        x = self._normed(mel_BTF[:, None], 0)
        tall = pad(x, (0, 0, 3, 3))
        front = [self._normed(self._convolved(tall, i), i + 1).amax(3) for i, _ in TALL]
        for i, frames in WIDE:
            padded = pad(x, (0, 0, (frames - 1) // 2, frames - 1 - (frames - 1) // 2))
            front.append(self._normed(self._convolved(padded, i), i + 1).amax(3))
        first_BCT = torch.cat(front, 1)
        second = self._along_time(first_BCT, 5)
        third = self._along_time(second, 6) + second
        fourth = self._along_time(third, 7) + third
        every = torch.cat([first_BCT, second, third, fourth], 1)
        return self._normed(torch.stack([every.amax(2), every.mean(2)], 2).flatten(1), 9)

    def _along_time(self, x_BCT: "torch.Tensor", number: int) -> "torch.Tensor":
        from torch.nn.functional import pad

        return self._normed(self._convolved(pad(x_BCT.transpose(1, 2)[:, None], (0, 0, 3, 3)), number), number + 1)[
            ..., 0
        ]

    def _convolved(self, x: "torch.Tensor", number: int) -> "torch.Tensor":
        from torch.nn.functional import conv2d

        name = _numbered("conv2d", number)
        kernel = self.weights[f"{name}/kernel"].permute(3, 2, 0, 1)
        return conv2d(x, kernel, self.weights[f"{name}/bias"]).relu()

    def _normed(self, x: "torch.Tensor", number: int) -> "torch.Tensor":
        """Batch normalisation over the second axis, as one scale and one shift."""
        scale, shift = self._folded[number]
        shape = [1, -1] + [1] * (x.dim() - 2)
        return x * scale.view(shape) + shift.view(shape)

    @cached_property
    def _folded(self) -> list[tuple["torch.Tensor", "torch.Tensor"]]:
        folded = []
        for number in range(11):
            name = _numbered("batch_normalization", number)
            scale = self.weights[f"{name}/gamma"] / (self.weights[f"{name}/moving_variance"] + EPSILON).sqrt()
            folded.append((scale, self.weights[f"{name}/beta"] - self.weights[f"{name}/moving_mean"] * scale))
        return folded


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def musicnn_version() -> str:
    """The installed version. Raises MissingToolError where there is none."""
    try:
        return version("musicnn")
    except PackageNotFoundError as error:
        raise MissingToolError(
            "facts.instruments needs musicnn's weights, and the package is not installed. Install with: pip install "
            "--no-deps musicnn==0.1.0, or set facts.instruments to null."
        ) from error


@lru_cache(maxsize=2)
def load_net(name: str) -> MusicnnNet:
    """`MTT` or `MSD`, from the installed wheel."""
    import torch

    musicnn_version()
    spec = find_spec("musicnn")
    assert spec is not None and spec.submodule_search_locations, "an installed package lies somewhere"
    folder = Path(spec.submodule_search_locations[0])
    tensors = read_tensors(folder / f"{name}_musicnn")
    weights = {key: torch.from_numpy(np.array(value)) for key, value in tensors.items() if "Adam" not in key}
    return MusicnnNet(weights, _labels((folder / "configuration.py").read_text(), name))


def _labels(source: str, name: str) -> tuple[str, ...]:
    found = re.search(rf"^{name}_LABELS = (\[.*?\])", source, re.MULTILINE | re.DOTALL)
    assert found, f"musicnn's configuration names no {name}_LABELS"
    return tuple(ast.literal_eval(found[1]))


def log_mel(samples: np.ndarray, starts: Sequence[int]) -> np.ndarray:
    """Log mel spectra of the windows of 16 kHz samples that begin at `starts`; silence after the end. (B, T, bands)."""
    found = np.empty((len(starts), WINDOW_FRAMES, MEL_BANDS), np.float32)
    window = np.hanning(FRAME_SIZE + 1)[:-1].astype(np.float32)
    for row, start in enumerate(starts):
        part = samples[start : start + WINDOW_SAMPLES]
        part = np.pad(part, (0, WINDOW_SAMPLES - len(part)))
        frames = np.lib.stride_tricks.sliding_window_view(part, FRAME_SIZE)[::HOP_SIZE] * window
        power = np.square(np.abs(np.fft.rfft(frames, axis=1))).astype(np.float32)
        found[row] = np.log10(10000 * (power @ _mel_filters()).astype(np.float16).astype(np.float32) + 1)
    return found


@lru_cache(maxsize=1)
def _mel_filters() -> np.ndarray:
    """Slaney's filters. Shape (257, 96)."""
    from transformers.audio_utils import mel_filter_bank

    bank = mel_filter_bank(
        FRAME_SIZE // 2 + 1, MEL_BANDS, 0.0, MODEL_RATE_HZ / 2, MODEL_RATE_HZ, norm="slaney", mel_scale="slaney"
    )
    return np.asarray(bank, np.float32)
