"""Measure facts of an upload by MIR tools, and describe it with numbers from those facts.

Numbers in a language model's captions cannot be trusted. Here tempo, key and meter are measured, and say by which tool
and how surely; what the model itself thinks is listed with them, marked as such.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from music_flamingo.audio.decode import DecodeLimits
from music_flamingo.records import Facts, Vocals, trusted
from music_flamingo.records.example import CATEGORIES
from music_flamingo.scoring.families import FAMILIES, SHORT_CAPTION
from music_flamingo.serving.isolation import Isolated
from music_flamingo.serving.shared_work import SharedWork
from music_flamingo.serving.uploads import UPLOAD_LIMITS, Upload, audio_errors

MEASURING_S = 180.0
"""For one recording: tools take 1.4 s a minute of audio on one core."""
MAX_WAITING = 8
"""Recordings that wait to be measured."""
NICENESS = 5
"""Answers of the model go first."""
KEPT = 256
"""Recordings whose facts are remembered; those of a song of four minutes are about 60 kB."""

Measure = Callable[[bytes, DecodeLimits], Facts]
"""A module's own function, which raises BadAudioError for what cannot be decoded."""


class Measurer:
    """Facts of recordings, for one event loop."""

    def __init__(self, measure: Measure) -> None:
        self._measured = Isolated(_measure, 1, MEASURING_S, max_waiting=MAX_WAITING, niceness=NICENESS)
        self._measure = measure
        self._kept: OrderedDict[str, Facts] = OrderedDict()
        self._under_way: SharedWork[Facts] = SharedWork()

    async def facts(self, upload: Upload) -> Facts:
        """Raises ApiError as decoding does, and when too many recordings wait already."""
        key = await upload.digest()
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        facts = await self._under_way.do(key, lambda: self._measured.run(self._measure, upload))
        self._kept[key] = facts
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return facts

    def close(self) -> None:
        """End the worker processes."""
        self._measured.close()


def _measure(measure: Measure, upload: Upload) -> Facts:
    with audio_errors():
        return measure(upload.content, UPLOAD_LIMITS)


def facts_json(facts: Facts) -> dict[str, Any]:
    """Facts as they are answered: times in seconds, each fact with its tool, confidence and other opinions."""
    told = facts.model_dump(mode="json", exclude={"id", "work_id", "status"})
    if facts.beats is not None:
        told["beats"]["downbeats_s"] = facts.beats.downbeats_s
    return told


def description(facts: Facts, opinions: Sequence[tuple[str, str | None]]) -> dict[str, Any]:
    """A structured caption. `opinions`: (family, the model's answer) of the questions that it was trained on.

    Each category has a value with its source (`measured`, `model` or null) and, apart, what the model says. Only
    trusted facts are values; `withheld` names the others, each with its reason, and `content` what is heard at all.
    """
    said: dict[str, str] = {}
    for family, answer in opinions:
        if answer and family in FAMILIES:
            said[FAMILIES[family].category] = answer
    measured = _measured_values(trusted(facts))
    categories: dict[str, Any] = {}
    for name in CATEGORIES:
        own = said.get(name)
        if name in measured:
            categories[name] = {**measured[name], "source": "measured", "model": own}
        else:
            categories[name] = {"value": own, "source": "model" if own else None, "model": own}
    caption = next((answer for family, answer in opinions if family == SHORT_CAPTION), None)
    withheld = {entry.fact: entry.reason for entry in facts.withheld}
    content = facts.content.kind if facts.content else None
    return {
        "duration_s": facts.duration_s,
        "content": content,
        "withheld": withheld,
        "categories": categories,
        "model_caption": caption,
    }


def _measured_values(facts: Facts) -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = {}

    def tell(name: str, fact: Any, value: str) -> None:
        values[name] = {
            "value": value,
            "tool": fact.tool,
            "tool_version": fact.tool_version,
            "confidence": fact.confidence,
        }

    if facts.tempo is not None:
        tell("bpm", facts.tempo, f"{facts.tempo.bpm:.1f}")
    if facts.key is not None:
        changes = " -> ".join(segment.label for segment in facts.key.changes)
        tell("key", facts.key, changes or facts.key.label)
    if facts.beats is not None and facts.beats.beats_per_bar is not None:
        tell("meter", facts.beats, f"{facts.beats.beats_per_bar} beats in a bar")
    if facts.sections is not None:
        tell("structure", facts.sections, " ".join(segment.label for segment in facts.sections.segments))
    if facts.dynamics is not None:
        tell("dynamics", facts.dynamics, f"{facts.dynamics.range_db:.0f} dB, {facts.dynamics.trend}")
    if facts.instruments is not None and facts.instruments.labels:
        tell("instruments", facts.instruments, ", ".join(label.name for label in facts.instruments.labels))
    elif facts.sound is not None and facts.sound.has_drums is not None:
        tell("instruments", facts.sound, "with drums" if facts.sound.has_drums else "without drums")
    if facts.voice is not None:
        tell("vocal_character", facts.voice, said_of_voice(facts.voice))
    if facts.genre is not None and facts.genre.labels:
        tell("genre", facts.genre, ", ".join(label.name for label in facts.genre.labels))
    return values


def said_of_voice(voice: Vocals) -> str:
    """`no voice`, `a woman sings`, `somebody speaks`."""
    if not voice.present:
        return "no voice"
    if not voice.sings:
        return "somebody speaks"
    return {"female": "a woman sings", "male": "a man sings", None: "somebody sings"}[voice.register_heard]
