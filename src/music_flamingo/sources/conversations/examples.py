"""Published turns as records: an Example for each, a Chain for each that comes with a thought.

A turn has the same id wherever it stands: its track's, and a digest of question, options and answer. So a chain of
MF-Think finds its question in MF-Skills, and what is published twice is seen.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from music_flamingo.core.hashing import sha256_json
from music_flamingo.records import Chain, Example, Step, TeacherStamp
from music_flamingo.records.caption import PUBLISHED_KIND
from music_flamingo.records.example import QuestionType, Reference, Skill
from music_flamingo.records.track import Split
from music_flamingo.sources.conversations.config import ConversationsConfig
from music_flamingo.sources.conversations.wording import SpokenTurn

FAMILIES: dict[QuestionType, str] = {
    "caption": "published_caption",
    "multiple_choice": "published_choice",
    "open": "published_question",
}
"""Type -> family: what training names to teach published data."""
DIGEST_CHARS = 16
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(<])")


class TrackOfEntry(NamedTuple):
    """What of a track its published texts take over; an entry without a track has its own name in its place."""

    id: str
    work_id: str
    split: Split


def example_of(
    turn: SpokenTurn,
    track: TrackOfEntry,
    place: str,
    config: ConversationsConfig,
    span_s: tuple[float, float] | None,
) -> Example:
    """A turn as a question of MF-Skills, without its thought. `place`: of its entry, file and number."""
    kind = type_of(turn, config.caption_from_words)
    skill: Skill = "caption" if kind == "caption" else config.skill
    return Example(
        id=turn_id(turn, track),
        track_id=track.id,
        work_id=track.work_id,
        split=track.split,
        skill=skill,
        type=kind,
        family=FAMILIES[kind],
        question=turn.question,
        options=list(turn.options),
        answer=turn.answer,
        rationale="",
        references=references(span_s),
        structured=[],
        teacher=published_stamp(place),
    )


def refused(reason: str, track: TrackOfEntry, place: str, skill: Skill) -> Example:
    """What stands for an entry or a turn that cannot be read: no words, its place and the reason."""
    empty = Example(
        id=f"{track.id}/{sha256_json([place, reason])[:DIGEST_CHARS]}",
        track_id=track.id,
        work_id=track.work_id,
        split=track.split,
        skill=skill,
        type="open",
        family=FAMILIES["open"],
        question="",
        options=[],
        answer="",
        rationale="",
        references=[],
        structured=[],
        teacher=published_stamp(place),
    )
    return empty.quarantined(reason)


def chain_of(turn: SpokenTurn, example: Example) -> Chain:
    """A turn with a thought as a chain about `example`: a step a sentence, none of them checked by a model."""
    assert turn.thinking is not None
    steps = [
        Step(text=text, family="", claim="", verdict="unchecked", confidence=0.0, rewritten_from=None)
        for text in sentences(turn.thinking)
    ]
    return Chain(
        id=f"{example.id}/chain",
        example_id=example.id,
        track_id=example.track_id,
        work_id=example.work_id,
        split=example.split,
        family=example.family,
        question=example.question,
        options=example.options,
        answer=example.answer,
        steps=steps,
        thinking=turn.thinking,
        difficulty="teacher_choice",
        teacher=example.teacher,
        references=example.references,
    )


def sentences(text: str) -> list[str]:
    """The sentences of a thought, in order."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def turn_id(turn: SpokenTurn, track: TrackOfEntry) -> str:
    """The id of a turn's question, wherever it is published."""
    return f"{track.id}/{sha256_json([turn.question, list(turn.options), turn.answer])[:DIGEST_CHARS]}"


def type_of(turn: SpokenTurn, caption_from_words: int) -> QuestionType:
    """A choice, a caption (a long answer), or an open question."""
    if turn.options:
        return "multiple_choice"
    return "caption" if len(turn.answer.split()) >= caption_from_words else "open"


def references(span_s: tuple[float, float] | None) -> list[Reference]:
    """The seconds that the entry's recording was cut from."""
    return [] if span_s is None else [Reference(kind="seconds", start_s=span_s[0], end_s=span_s[1], label=None)]


def published_stamp(place: str) -> TeacherStamp:
    """Who wrote it is not known; where it stands is: the file as model, the entry's number as revision."""
    file, _, number = place.rpartition(":")
    return TeacherStamp(kind=PUBLISHED_KIND, model=file, revision=number, prompt_id="", prompt_sha256="")


def repeats_last(records: Sequence[Example]) -> list[Example]:
    """The records with ids of their own: of those with one id the first stands, the others are `repeated`."""
    seen: dict[str, int] = {}
    found = []
    for record in records:
        count = seen[record.id] = seen.get(record.id, 0) + 1
        if count > 1:
            record = record.model_copy(update={"id": f"{record.id}_{count}"})
            record = record.quarantined("repeated") if record.is_ok else record
        found.append(record)
    return found
