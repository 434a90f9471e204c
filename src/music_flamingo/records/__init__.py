"""The records that travel between stages, one file each. Units are in the names; times are seconds from the start."""

from music_flamingo.records.caption import Caption, TeacherStamp
from music_flamingo.records.chain import Chain, Step
from music_flamingo.records.example import Category, Example, Reference
from music_flamingo.records.facts import (
    MEASURED,
    Beats,
    Chords,
    Dynamics,
    Facts,
    Key,
    Lyrics,
    Sections,
    Tempo,
    TempoLevel,
    Withheld,
    trusted,
)
from music_flamingo.records.heard import Content, Genre, HeardTag, Instrument, Instruments, Sound, SoundPart, Vocals
from music_flamingo.records.measured import Measured, Opinion, Segment
from music_flamingo.records.parts_of_time import during
from music_flamingo.records.prediction import Prediction, Score
from music_flamingo.records.rollout import Rollout, SampledAnswer
from music_flamingo.records.speech import SpokenSegment, Utterance
from music_flamingo.records.track import Audio, Loudness, Track
from music_flamingo.records.truth import Truth

__all__ = [
    "MEASURED",
    "Audio",
    "Beats",
    "Caption",
    "Category",
    "Chain",
    "Chords",
    "Content",
    "Dynamics",
    "Example",
    "Facts",
    "Genre",
    "HeardTag",
    "Instrument",
    "Instruments",
    "Key",
    "Loudness",
    "Lyrics",
    "Measured",
    "Opinion",
    "Prediction",
    "Reference",
    "Rollout",
    "SampledAnswer",
    "Score",
    "Sections",
    "Segment",
    "Sound",
    "SoundPart",
    "SpokenSegment",
    "Step",
    "TeacherStamp",
    "Tempo",
    "TempoLevel",
    "Track",
    "Truth",
    "Utterance",
    "Vocals",
    "Withheld",
    "during",
    "trusted",
]
