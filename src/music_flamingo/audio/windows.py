"""Choose the audio window (start, end) fed to the model."""

import random
from collections.abc import Iterator
from typing import Literal

Rule = Literal["first", "middle", "random"]


def choose_window(num_samples: int, max_samples: int, rule: Rule, rng: random.Random | None = None) -> tuple[int, int]:
    """(start, end) in samples of at most `max_samples`; the whole recording when it is no longer.

    `random` draws the start evenly from `rng`.
    """
    if max_samples <= 0 or num_samples < 0:
        raise ValueError(f"a window needs a positive length: {max_samples} of {num_samples} samples")
    spare = max(0, num_samples - max_samples)
    if rule == "random":
        if rng is None:
            raise ValueError("the rule `random` needs a generator: pass rng=random.Random(seed)")
        start = rng.randint(0, spare)
    else:
        start = spare // 2 if rule == "middle" else 0
    return start, min(num_samples, start + max_samples)


def tile(duration_s: float, window_s: float, min_last_s: float) -> Iterator[tuple[float, float]]:
    """(start_s, end_s) of windows that cover the whole; a last one below `min_last_s` joins the one before."""
    start_s = 0.0
    while start_s < duration_s:
        end_s = start_s + window_s
        if duration_s - end_s < min_last_s:
            end_s = duration_s
        yield start_s, end_s
        start_s = end_s
