"""How hard a question is, by what must be heard for it and how close the facts lie to a border."""

import random

from music_flamingo.scoring.families import FAST_ABOVE_BPM, SLOW_BELOW_BPM
from music_flamingo.teachers.payloads import DifficultyPayload, DifficultyReply

BY_FAMILY = {"drums": 1, "texture": 2, "lead_envelope": 2, "tempo_class": 2, "meter": 3, "mode": 4, "short_caption": 3}
OTHERS = 4
"""Chord names, cadences, forms: these need the whole piece, or theory, or both."""
NEAR_BORDER = 0.12
"""A tempo this close (as a ratio) to slow's or fast's border is harder to call."""
MANY_CHORDS = 5


def rate_difficulty(payload: DifficultyPayload, rng: random.Random) -> DifficultyReply:
    facts = payload.facts
    difficulty, reasons = BY_FAMILY.get(payload.family, OTHERS), [f"{payload.family} has its usual difficulty"]
    if payload.family == "tempo_class" and _near_border(facts.tempo_bpm):
        difficulty, reasons = difficulty + 2, [*reasons, "the tempo lies near a border"]
    if payload.family in ("mode", "texture") and len({s.chord.harmony for s in facts.spans}) >= MANY_CHORDS:
        difficulty, reasons = difficulty + 1, [*reasons, "many chords sound"]
    if payload.family in ("lead_envelope", "texture") and facts.has_drums:
        difficulty, reasons = difficulty + 1, [*reasons, "drums cover the pitches"]
    return DifficultyReply(difficulty=min(difficulty, 5), reason=", ".join(reasons))


def _near_border(tempo_bpm: float | None) -> bool:
    borders = (SLOW_BELOW_BPM, FAST_ABOVE_BPM)
    return tempo_bpm is not None and min(abs(tempo_bpm / border - 1) for border in borders) < NEAR_BORDER
