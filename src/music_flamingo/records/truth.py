"""Truth: annotations of a rendered performance from its score. Read by evaluation alone, never by training."""

from pydantic import model_validator

from music_flamingo.core.record import Record
from music_flamingo.records.measured import Segment, require_increasing


class Truth(Record):
    """`id` is the track's id."""

    work_id: str
    tempo_bpm: float
    beats_s: list[float]
    downbeats_s: list[float]
    meter: str
    """As notated: `3/4`, `6/8`."""
    beats_per_bar: int
    key: str | None
    """`F# minor`, after transposition; None where the score's key is not clear."""
    chords: list[Segment]
    """mir_eval labels (`C:maj`, `A:min7`, `N`, `X` for what is no clear chord)."""
    sections: list[Segment]
    instruments: list[str]
    """General MIDI names of the sounding parts, the leading part first."""
    lead_family: str
    """`piano`, `strings`, `winds`, `plucked`, `organ`."""
    lead_envelope: str
    """`decaying` (struck, plucked) or `sustained` (bowed, blown, organ)."""
    has_drums: bool
    texture: str
    """`melody` (one line alone) or `chords` (several notes together)."""

    @model_validator(mode="after")
    def _ordered(self) -> "Truth":
        require_increasing(self.beats_s, "beats_s")
        require_increasing(self.downbeats_s, "downbeats_s")
        return self
