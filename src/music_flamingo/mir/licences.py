"""Licences and citations that tools of several facts share; a tool of one fact states its own with its choice."""

from music_flamingo.core.licences import Licence

LIBROSA = Licence(
    tool="librosa (beats, downbeats, key, chords)",
    licence="ISC",
    citation="B. McFee et al.: librosa: audio and music signal analysis in Python, SciPy 2015",
)
MADMOM = Licence(
    tool="madmom's models (beats, downbeats, key, chords)",
    licence="CC BY-NC-SA 4.0",
    citation="S. Boeck et al.: madmom: a new Python audio and music signal processing library, ACM Multimedia 2016",
)
