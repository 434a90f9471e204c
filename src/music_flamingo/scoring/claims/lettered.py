"""Letters that name sections without saying so: `B lasts 20 seconds`, `A and B alternate`."""

import re

from music_flamingo.scoring.claims.gates import holds
from music_flamingo.scoring.claims.parts import VERB_OF_A_PART

_BARE_LETTER = re.compile(
    rf"(?<![\w#'])(?<!(?i:section|ections) )(?<!(?i:part|arts) )(?:(?P<two>[A-E](?:, [A-E])*,? and [A-E])|(?P<one>[A-E]))(?= (?i:then |also |only |always |both |each |first |itself )?(?i:{VERB_OF_A_PART})\b)"
)
_CHORDS = ("chord", "harmon", "triad", "major", "minor", "tonic", "dominant", "note", "key")


def with_sections(text: str) -> str:
    """Give a plain text in which letters that do what sections do are named so: `B lasts` becomes `section B lasts`."""
    if holds(text, _CHORDS) or _BARE_LETTER.search(text) is None:
        return text

    def named(match: re.Match[str]) -> str:
        return (
            re.sub(r"[A-E]", lambda letter: f"section {letter[0]}", match[0]) if match["two"] else f"section {match[0]}"
        )

    return _BARE_LETTER.sub(named, text)
