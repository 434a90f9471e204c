"""Long recordings with several speakers: shared by CHiME, Switchboard and AliMeeting.

A session becomes segments that are cut where nobody speaks (`reading.cut_at_pauses`). What is wrong with it is kept
under its reason: a transcript that cannot be read, a segment whose times run backwards, a segment that is too long.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from pydantic import ValidationError

from music_flamingo.audio.decode import QuarantineReason
from music_flamingo.records import SpokenSegment
from music_flamingo.records.track import Split
from music_flamingo.sources.speech import BAD_TIMES, TOO_LONG, SpokenUtterance
from music_flamingo.sources.speech.reading import cut_at_pauses, from_zero, span_s

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TranscriptLine:
    """A line of a transcript as it stands there; not yet checked."""

    speaker: str
    start_s: float
    end_s: float
    text: str
    """Without marks of noise; empty where nothing else was said."""


@dataclass(frozen=True)
class Session:
    """A long recording: id, language, split, licence, reader by seconds."""

    id: str
    language: str
    split: Split
    licence: str
    read: Callable[[float, float], np.ndarray]
    """(start, end) in seconds -> mono float32 at 16 kHz. Raises BadAudioError or OSError."""


def cut(session: Session, lines: Callable[[], Iterable[TranscriptLine]], max_s: float) -> Iterator[SpokenUtterance]:
    """The session's segments. `lines` reads the transcript; it raises ValueError or OSError where it cannot.

    Lines without words are passed over: nothing is to be transcribed there.
    """
    try:
        found = [line for line in lines() if line.text]
    except (ValueError, OSError, KeyError, TypeError) as error:
        log.warning("the transcript of session %s cannot be read: %s", session.id, error)
        yield _said(session, "transcript", (), str(QuarantineReason.UNREADABLE))
        return
    good: list[SpokenSegment] = []
    for number, line in enumerate(found):
        try:
            good.append(SpokenSegment(speaker=line.speaker, start_s=line.start_s, end_s=line.end_s, text=line.text))
        except ValidationError:
            yield _said(session, f"line{number:05d}", (), f"{BAD_TIMES}:{line.start_s} to {line.end_s}")
    for number, group in enumerate(cut_at_pauses(good, max_s)):
        start_s, end_s = span_s(group)
        problem = TOO_LONG if end_s - start_s > max_s else None
        said = _said(session, f"{number:05d}", from_zero(group), problem)
        yield SpokenUtterance(**{**vars(said), "read": partial(session.read, start_s, end_s)})


def _said(session: Session, name: str, words: tuple[SpokenSegment, ...], problem: str | None) -> SpokenUtterance:
    return SpokenUtterance(
        id=f"{session.id}-{name}",
        language=session.language,
        split=session.split,
        words=words,
        read=lambda: np.zeros(0, np.float32),
        licence=session.licence,
        problem=problem,
    )
