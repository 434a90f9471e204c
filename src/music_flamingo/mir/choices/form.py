"""Which tool finds sections, and how dynamics are measured."""

from typing import Annotated, Literal

from pydantic import Field

from music_flamingo.core.ranges import Fraction, Positive
from music_flamingo.mir import DynamicsMeter, SectionFinder
from music_flamingo.mir.choices.base import ToolChoice


class RepeatedForm(ToolChoice):
    """Sections by what comes back."""

    kind: Literal["repeats"]
    min_section_s: Positive
    """No section is shorter."""
    repeat_above: Fraction
    """Correlation over a phrase above which it is the same music again."""
    min_novelty: Annotated[float, Field(ge=0, le=2)]
    """How far harmony and timbre move at a boundary that is no repetition: 0 for not at all, 2 at most."""
    split_above_s: Positive
    """Only a longer section is divided where the music changes."""
    alike_above: Fraction
    """Sections whose harmony correlates by more than this get one letter: A B A."""

    def open(self) -> SectionFinder:
        from music_flamingo.mir.repeated_sections import RepeatedSections

        return RepeatedSections(
            self.min_section_s, self.repeat_above, self.min_novelty, self.split_above_s, self.alike_above
        )


SectionsChoice = RepeatedForm


class MeasuredDynamics(ToolChoice):
    """Dynamics by EBU R128 short-term loudness."""

    kind: Literal["ebu_r128"]
    trend_db: Positive
    """Louder or softer by this much from beginning to end is a trend."""

    def open(self) -> DynamicsMeter:
        from music_flamingo.mir.dynamics import LoudnessDynamics

        return LoudnessDynamics(self.trend_db)


DynamicsChoice = MeasuredDynamics
