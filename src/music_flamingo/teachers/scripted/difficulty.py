"""Rate a question's difficulty by what must be heard for it and how close the facts lie to a border."""

import random

from music_flamingo.scoring.families import COMPOSITES, FAMILIES, FAST_ABOVE_BPM, SHORT_CAPTION, SLOW_BELOW_BPM
from music_flamingo.teachers.payloads import DifficultyPayload, DifficultyReply

OF_A_CAPTION = 3
OTHERS = 4
"""Chord names, cadences, forms: these need the whole piece, or theory, or both."""
NEAR_BORDER = 0.12
"""A tempo this close (as a ratio) to slow's or fast's border is harder to call."""
MANY_CHORDS = 5


def rate_difficulty(payload: DifficultyPayload, rng: random.Random) -> DifficultyReply:
    """Rate a question from 1 to 5: its family's usual difficulty, raised near borders of the facts."""
    facts = payload.facts
    family = FAMILIES.get(payload.family)
    difficulty, reasons = _usual(payload.family), [f"{payload.family} has its usual difficulty"]
    if payload.family == "tempo_class" and _near_border(facts.tempo_bpm):
        difficulty, reasons = difficulty + 2, [*reasons, "the tempo lies near a border"]
    if family and family.covered_by_chords and len({s.chord.harmony for s in facts.spans}) >= MANY_CHORDS:
        difficulty, reasons = difficulty + 1, [*reasons, "many chords sound"]
    if family and family.covered_by_drums and facts.has_drums:
        difficulty, reasons = difficulty + 1, [*reasons, "drums cover the pitches"]
    return DifficultyReply(difficulty=min(difficulty, 5), reason=", ".join(reasons))


def _usual(family: str) -> int:
    if family == SHORT_CAPTION:
        return OF_A_CAPTION
    if family in COMPOSITES:
        return COMPOSITES[family].difficulty
    return FAMILIES[family].difficulty if family in FAMILIES else OTHERS


def _near_border(tempo_bpm: float | None) -> bool:
    borders = (SLOW_BELOW_BPM, FAST_ABOVE_BPM)
    return tempo_bpm is not None and min(abs(tempo_bpm / border - 1) for border in borders) < NEAR_BORDER
