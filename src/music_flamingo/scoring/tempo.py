"""Compare tempi within 4 %, as mir_eval and the tempo literature define Acc1 and Acc2."""

TEMPO_TOLERANCE = 0.04
METRICAL_LEVELS = (1.0, 2.0, 0.5, 3.0, 1 / 3)
"""Acc2 also allows the double, half, triple and third."""


def same_tempo(estimated_bpm: float, reference_bpm: float, levels: tuple[float, ...] = (1.0,)) -> bool:
    """Whether two tempi (BPM) agree within 4 %, at any of the given metrical levels."""
    return any(abs(estimated_bpm - reference_bpm * k) <= TEMPO_TOLERANCE * reference_bpm * k for k in levels)
