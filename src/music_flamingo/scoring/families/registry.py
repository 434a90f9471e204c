"""The tables of families: single percepts, and composite questions made of them. A new one is its file and an entry."""

from music_flamingo.scoring.families.all_heard import ALL_HEARD
from music_flamingo.scoring.families.base import Family
from music_flamingo.scoring.families.composite import Composite
from music_flamingo.scoring.families.count_heard import COUNT_HEARD
from music_flamingo.scoring.families.drums import DRUMS
from music_flamingo.scoring.families.either_or import EITHER_OR
from music_flamingo.scoring.families.exactly_two import EXACTLY_TWO
from music_flamingo.scoring.families.lead_envelope import LEAD_ENVELOPE
from music_flamingo.scoring.families.meter import METER
from music_flamingo.scoring.families.mode import MODE
from music_flamingo.scoring.families.tempo_class import TEMPO_CLASS
from music_flamingo.scoring.families.texture import TEXTURE

FAMILIES: dict[str, Family] = {
    family.name: family for family in (TEMPO_CLASS, DRUMS, TEXTURE, LEAD_ENVELOPE, MODE, METER)
}
"""Questions about a single percept."""

COMPOSITES: dict[str, Composite] = {
    composite.name: composite for composite in (ALL_HEARD, COUNT_HEARD, EITHER_OR, EXACTLY_TWO)
}
"""Questions whose answer follows from several of them."""
