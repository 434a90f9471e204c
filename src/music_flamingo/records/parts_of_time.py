"""The facts of a part of a recording: what sounds between two times, from facts that are kept over time."""

from collections.abc import Callable, Iterable
from typing import Any

from music_flamingo.records.facts import MEASURED, Facts
from music_flamingo.records.heard import SOUND_CLAIMS, Content, Instruments, Sound, Vocals
from music_flamingo.records.measured import Segment

WHOLE_FROM = 0.98
"""A part of at least this share of the recording is the recording."""
SURE_FROM = 2.0
"""Log odds of a claim about a part: below this neither is said."""
HEARD_FROM = 0.5
"""Of the part's time: music, singing or speech from here on makes it what it is."""
LEAST_S = 1.0
"""A voice or an instrument shorter than this within the part is not named."""
OF_EACH_PART = "genre"
"""Holds for every part as for the whole."""


def during(facts: Facts, start_s: float, end_s: float) -> Facts:
    """Give the facts that hold between two times (s). What is known of the whole alone is None.

    Times stay those of the recording. The whole recording's facts come back where the part is all of it.
    """
    if facts.duration_s is None or end_s - start_s >= WHOLE_FROM * facts.duration_s:
        return facts
    changes: dict[str, Any] = {name: None for name in MEASURED if name != OF_EACH_PART}
    of_part = {name: cut(getattr(facts, name), start_s, end_s) for name, cut in OVER_TIME.items()}
    return facts.model_copy(update=changes | of_part)


def _sound(sound: Sound | None, start_s: float, end_s: float) -> Sound | None:
    """The claims by the mean log odds of the parts that overlap, weighed by how much they do."""
    parts = [p for p in sound.parts if p.start_s < end_s and p.end_s > start_s] if sound else []
    if sound is None or not parts:
        return None
    weights = [min(p.end_s, end_s) - max(p.start_s, start_s) for p in parts]

    def odds(field: str) -> float:
        return float(sum(w * getattr(p, field) for w, p in zip(weights, parts, strict=True)) / sum(weights))

    # what is not trusted of the whole is not trusted of a part
    claims = {
        claim.name: claim.by(odds(claim.odds), SURE_FROM) if getattr(sound, claim.name) is not None else None
        for claim in SOUND_CLAIMS
    }
    return sound.model_copy(update={**claims, "parts": parts})


def _content(content: Content | None, start_s: float, end_s: float) -> Content | None:
    if content is None:
        return None
    inside = _inside(content.heard, start_s, end_s)
    length_s = end_s - start_s
    music = _covered([s for s in inside if s.label in ("music", "singing")]) / length_s
    speech = _covered([s for s in inside if s.label == "speech"]) / length_s
    kind = "music" if music >= HEARD_FROM else "speech" if speech >= HEARD_FROM else "neither"
    kind = content.kind if kind == "neither" and content.kind == "music" and music > 0 else kind
    singing = _covered([s for s in inside if s.label == "singing"]) / length_s
    shares = {"music_share": music, "singing_share": singing, "speech_share": speech}
    rounded = {name: round(min(1.0, share), 4) for name, share in shares.items()}
    return content.model_copy(update={"kind": kind, "heard": inside, **rounded})


def _instruments(instruments: Instruments | None, start_s: float, end_s: float) -> Instruments | None:
    """Those that sound there; one that was only asked for the whole is not known of a part."""
    if instruments is None:
        return None
    heard = [(i, _inside(i.heard, start_s, end_s)) for i in instruments.labels]
    labels = [i.model_copy(update={"heard": where}) for i, where in heard if _covered(where) >= LEAST_S]
    return instruments.model_copy(update={"labels": labels})


def _voice(voice: Vocals | None, start_s: float, end_s: float) -> Vocals | None:
    if voice is None or not voice.present:
        return voice
    inside = _inside(voice.heard, start_s, end_s)
    if _covered(inside) >= LEAST_S:
        return voice.model_copy(update={"heard": inside})
    return voice.model_copy(update={"present": False, "heard": [], "register_heard": None})


def _inside(segments: Iterable[Segment], start_s: float, end_s: float) -> list[Segment]:
    return [
        s.model_copy(update={"start_s": max(s.start_s, start_s), "end_s": min(s.end_s, end_s)})
        for s in segments
        if s.start_s < end_s and s.end_s > start_s
    ]


def _covered(segments: Iterable[Segment]) -> float:
    """Seconds that at least one of the segments covers."""
    total, until = 0.0, float("-inf")
    for segment in sorted(segments, key=lambda s: s.start_s):
        total += max(0.0, segment.end_s - max(segment.start_s, until))
        until = max(until, segment.end_s)
    return total


OVER_TIME: dict[str, Callable[[Any, float, float], Any]] = {
    "sound": _sound,
    "content": _content,
    "instruments": _instruments,
    "voice": _voice,
}
"""Fact -> (fact of the whole, start_s, end_s) -> the fact of the part."""
