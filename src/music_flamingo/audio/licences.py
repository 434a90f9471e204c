"""Licence and citation of what fingerprints recordings, named by its choice (audio/fingerprint.py)."""

from music_flamingo.core.licences import Licence

CHROMAPRINT = Licence(
    tool="essentia (fingerprints)",
    licence="AGPL-3.0",
    citation="D. Bogdanov et al.: Essentia: an audio analysis library for music information retrieval, ISMIR 2013",
)
