"""Licences and citations of where recordings and speech come from, named by their configurations."""

from music_flamingo.core.licences import Licence

OWN_RECORDINGS = Licence(tool="your recordings", licence="as you hold them")
LISTED_RECORDINGS = Licence(
    tool="the recordings of your table", licence="as its column `licence` says, else as you hold them"
)
CORPUS = Licence(
    tool="music21's corpus (scores)",
    licence="mixed; rendered here and not redistributed",
    citation="M. S. Cuthbert, C. Ariza: music21: a toolkit for computer-aided musicology, ISMIR 2010",
)
SOUNDFONT = Licence(tool="TimGM6mb soundfont", licence="GPL-2.0")
ESPEAK = Licence(tool="espeak-ng (speech)", licence="GPL-3.0")
