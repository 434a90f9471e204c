"""Which tool measures which fact: one file a group of facts, one small configuration a tool, chosen by `kind`.

A new tool for a known fact is its adapter in mir/, its choice here with its licence and a place in the one union below
it, a row in docs/reference/mir.md and a test. Nothing is imported before `open()`, so a configuration is read quickly
and without the tools.
"""

from music_flamingo.mir.choices.base import ToolChoice, identity_of, opened
from music_flamingo.mir.choices.beats import BeatsChoice
from music_flamingo.mir.choices.chords import ChordsChoice
from music_flamingo.mir.choices.content import ContentChoice
from music_flamingo.mir.choices.form import DynamicsChoice, SectionsChoice
from music_flamingo.mir.choices.keys import KeyChangesChoice, KeyChoice
from music_flamingo.mir.choices.lyrics import LyricsChoice
from music_flamingo.mir.choices.opinions import OpinionsChoice
from music_flamingo.mir.choices.sound import InstrumentsChoice, SoundChoice

__all__ = [
    "BeatsChoice",
    "ChordsChoice",
    "ContentChoice",
    "DynamicsChoice",
    "InstrumentsChoice",
    "KeyChangesChoice",
    "KeyChoice",
    "LyricsChoice",
    "OpinionsChoice",
    "SectionsChoice",
    "SoundChoice",
    "ToolChoice",
    "identity_of",
    "opened",
]
