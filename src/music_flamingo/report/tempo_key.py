"""When a measured tempo or key counts as the score's."""

TEMPO_TOLERANCE = 0.04
"""Within 4 %, as mir_eval and the tempo literature count Acc1."""
METRICAL_LEVELS = (1.0, 2.0, 0.5, 3.0, 1 / 3)
"""Acc2 also allows the double, half, triple and third."""

FLAT_NAMES = {"F#": "Gb", "C#": "Db", "G#": "Ab", "D#": "Eb", "A#": "Bb", "Cb": "B", "E#": "F", "B#": "C", "Fb": "E"}


def same_tempo(estimated_bpm: float, reference_bpm: float, levels: tuple[float, ...] = (1.0,)) -> bool:
    return any(abs(estimated_bpm - reference_bpm * k) <= TEMPO_TOLERANCE * reference_bpm * k for k in levels)


def flat_name(tonic: str) -> str:
    """One name for a pitch class: `F#` -> `Gb`."""
    return FLAT_NAMES.get(tonic, tonic)


def same_key(estimated: str, reference: str) -> bool:
    """Equal tonic, however spelled, and equal mode: `F# minor` is `Gb minor`."""
    (a_tonic, a_mode), (b_tonic, b_mode) = estimated.split(), reference.split()
    return (flat_name(a_tonic), a_mode) == (flat_name(b_tonic), b_mode)
