"""One published entry, parsed: `id`, `sound` (one or several), `duration`, `conversations` of human and gpt.

Whatever an entry lacks becomes the reason of its record. All text is untrusted.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from music_flamingo.sources.about import clean
from music_flamingo.sources.conversations.wording import SpokenTurn, UnreadableTurnError, read_turn

HUMAN, MODEL, SYSTEM = ("human", "user"), ("gpt", "assistant"), "system"
MAX_SOUND_CHARS = 4096


@dataclass(frozen=True)
class RecordingReference:
    """What an entry says of its recording: enough to look for it."""

    id: str
    sound: str
    """The first one, of several."""
    num_sounds: int
    duration_s: float | None
    """Of the first one."""


class MalformedEntryError(ValueError):
    """An entry that is not of the layout. The message is the reason."""


def recording_of(value: Mapping[str, Any]) -> RecordingReference:
    """What the entry says of its recording. Raises MalformedEntryError."""
    given = value.get("sound")
    sounds = list(dict.fromkeys(given)) if isinstance(given, list) and all(isinstance(s, str) for s in given) else given
    if isinstance(sounds, str):
        sounds = [sounds]
    if not isinstance(sounds, list) or not sounds or not sounds[0] or len(sounds[0]) > MAX_SOUND_CHARS:
        raise MalformedEntryError("malformed:no_sound")
    name = value.get("id")
    return RecordingReference(
        id=clean(str(name)) if isinstance(name, (str, int)) else "",
        sound=clean(sounds[0]),
        num_sounds=len(sounds),
        duration_s=_seconds(value.get("duration")),
    )


def turns_of(value: Mapping[str, Any]) -> list[SpokenTurn | str]:
    """The turns in order, each with its question and answer, or the reason why it has none.

    Raises MalformedEntryError where human and model do not take turns.
    """
    messages = value.get("conversations")
    if not isinstance(messages, list):
        raise MalformedEntryError("malformed:no_conversations")
    said = [_message(message) for message in messages]
    if said and said[0][0] == SYSTEM:
        said = said[1:]
    if not said or len(said) % 2:
        raise MalformedEntryError("malformed:no_answer")
    turns: list[SpokenTurn | str] = []
    for (asker, asked), (answerer, answered) in zip(said[::2], said[1::2], strict=True):
        if asker not in HUMAN or answerer not in MODEL:
            raise MalformedEntryError("malformed:no_turns")
        try:
            turns.append(read_turn(asked, answered))
        except UnreadableTurnError as error:
            turns.append(str(error))
    return turns


def _message(message: object) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise MalformedEntryError("malformed:no_turns")
    who, words = message.get("from"), message.get("value")
    if not isinstance(who, str) or not isinstance(words, str):
        raise MalformedEntryError("malformed:no_turns")
    return who, clean(words)


def _seconds(value: object) -> float | None:
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
