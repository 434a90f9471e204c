"""Detect chains of thought that mention what cannot be heard: title, artist, file, data set, given facts.

The paper's chains never mention metadata: a model that learns to say so learns to guess instead of to listen.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from music_flamingo.scoring.claims.gates import holds, lowered

_SPOKEN_OF = re.compile(
    r"""\b(
        (the|these|those|given|provided|measured|available|supplied)\ (\w+\ )?facts? |
        facts?\ (say|says|state|states|show|shows|indicate|indicates|tell|tells|given|provided|above|below) |
        meta-?data | payload | json | data\ ?sets? | ground\ truth | training\ data |
        (file|track|song|artist|album)\ ?-?(name|id|title)s? | title[ds]? | (audio|sound)\ file |
        according\ to\ (the|its)\ (captions?|annotations?|labels?|tags?|description|data|tool|analysis) |
        (annotations?|labels?|tags?|rationale)\ (say|says|state|states|given|provided) |
        (the|a|first|initial)\ captions?\ (say|says|state|states|mention|mentions|describe|describes) |
        (as\ )?(an?\ )?(answer|key)\ (is\ |was\ )?(known|given|provided)\ (in\ advance|beforehand|to\ me|above) |
        confidence\ (of|score|value|level)s?
    )\b | \.(wav|mp3|flac|ogg|m4a|opus|mid|midi)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_KEYWORDS = (
    *(
        "fact",
        "meta",
        "payload",
        "json",
        "data",
        "truth",
        "file",
        "name",
        " id",
        "-id",
        "title",
        "according",
        "annotation",
        "label",
    ),
    *(
        "fileid",
        "trackid",
        "songid",
        "artistid",
        "albumid",
        " tag",
        "tags",
        "tag ",
        "rationale",
        "caption",
        "known",
        "given",
        "provided",
    ),
    *("confidence", ".wav", ".mp3", ".flac", ".ogg", ".m4a", ".opus", ".mid"),
)
_LETTER = re.compile(r"[^\W\d_]")
SHORTEST_NAME = 4
"""Letters of a name in a script with letters like Latin ones; shorter ones (`Air`, `Rag`) are words of music too."""


def names_of(title: str | None, artist: str | None, uri: str) -> tuple[str, ...]:
    """Give a track's title, artist and the stem of its file: `two words.mp3` -> `two words`."""
    stem = uri.partition("?")[0].rpartition("/")[2].rpartition(".")[0]
    return tuple(filter(None, (title, artist, stem)))


@lru_cache(maxsize=65536)
def speaks_of_sources(text: str) -> bool:
    """Tell whether a text speaks of facts that were given, of files, titles, data sets or tools."""
    return holds(text, _KEYWORDS) and _SPOKEN_OF.search(text) is not None


def mentions_metadata(text: str, names: Iterable[str] = ()) -> bool:
    """True for a text that speaks of its sources, or says one of the track's `names` (title, artist, file).

    A name counts when it stands there as it is written: as whole words, of several words or of one that is quoted, or
    in a script without capitals. A lone word such as `Waltz` is what one hears and no title.
    """
    return speaks_of_sources(text) or any(_is_said(name, text) for name in names)


def _is_said(name: str, text: str) -> bool:
    name = " ".join(name.split())
    if len(_LETTER.findall(name)) < (SHORTEST_NAME if name.isascii() else 2):
        return False
    if name.lower() not in lowered(text):
        return False
    quoted, proper = _patterns_of(name)
    return quoted.search(text) is not None or (proper is not None and proper.search(text) is not None)


@lru_cache(maxsize=4096)
def _patterns_of(name: str) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    """(the name in quotes, the name as whole words where it cannot be a word of music)."""
    quoted = re.compile(rf"[\"'“‘«「《]{re.escape(name)}[\"'”’»」》]", re.IGNORECASE)
    is_proper = " " in name or name.lower() == name.upper()
    return quoted, re.compile(rf"(?<!\w){re.escape(name)}(?!\w)") if is_proper else None
