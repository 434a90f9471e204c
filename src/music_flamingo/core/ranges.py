"""Ranges of numbers in configurations: a value outside of its range is refused at parsing, with the field's name.

Infinities and NaN are in no range.
"""

from typing import Annotated

from pydantic import Field

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
LearningRate = Annotated[float, Field(gt=0, le=1)]
"""Of AdamW, whose steps are about as long as the rate: above 1 nothing is learned."""
