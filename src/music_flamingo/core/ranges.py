"""Ranges of numbers in configurations: a value outside of its range is refused at parsing, with the field's name.

Infinities and NaN are in no range.
"""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""Of a random generator: NumPy's and torch's take 32 bits everywhere."""
Count = Annotated[int, Field(ge=1)]
CountOrNone = Annotated[int, Field(ge=0)]
"""0 for none."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, or a probability."""
PositiveFraction = Annotated[float, Field(gt=0, le=1)]
Decibels = Annotated[float, Field(ge=-200, le=60)]
Semitones = Annotated[int, Field(ge=-48, le=48)]
Percent = Annotated[int, Field(ge=0, le=99)]
"""As espeak-ng counts pitch."""

N = TypeVar("N", int, float)


def _ordered(ends: tuple[N, N]) -> tuple[N, N]:
    if ends[0] > ends[1]:
        raise ValueError(f"[least, most] are in order, and {ends[0]} is more than {ends[1]}")
    return ends


CountRange = Annotated[tuple[Count, Count], AfterValidator(_ordered)]
PercentRange = Annotated[tuple[Percent, Percent], AfterValidator(_ordered)]
SemitoneRange = Annotated[tuple[Semitones, Semitones], AfterValidator(_ordered)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]
NonNegativeRange = Annotated[tuple[NonNegative, NonNegative], AfterValidator(_ordered)]
FractionRange = Annotated[tuple[Fraction, Fraction], AfterValidator(_ordered)]
DecibelRange = Annotated[tuple[Decibels, Decibels], AfterValidator(_ordered)]
"""[least, most], from which something is drawn."""

LearningRate = Annotated[float, Field(gt=0, le=1)]
"""Of AdamW, whose steps are about as long as the rate: above 1 nothing is learned."""
