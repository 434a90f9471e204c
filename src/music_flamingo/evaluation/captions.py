"""Grade one-sentence captions against the scores' truth, category by category.

The categories and the words that count for them are those of the structured reward (paper, section on GRPO), here
written from the score instead of from measured facts. A caption is asked for once a track and judged on each of its
categories; its score is the mean over all values that occur (slow, medium, ..., drums, no drums), so that the same
sentence every time scores number of categories / number of values.
"""

import random
from collections.abc import Sequence

from music_flamingo.evaluation.items import SEPARATOR, ExamItem, spread_over_works
from music_flamingo.records import Category, Facts, Truth
from music_flamingo.records.facts import Beats, Tempo
from music_flamingo.records.heard import Sound
from music_flamingo.rewards.structured import structured_reward
from music_flamingo.scoring.extract import ANSWER, END_ANSWER
from music_flamingo.scoring.families import SHORT_CAPTION

_FROM_THE_SCORE = {"tool": "score", "tool_version": "1", "confidence": 1.0}


def choose_captions(truths: Sequence[Truth], request: str, num_tracks: int, seed: int) -> list[ExamItem]:
    """Items of up to `num_tracks` captions, spread over works; a category with one value only asks nothing."""
    chosen = spread_over_works(sorted(truths, key=lambda t: t.id), seed, SHORT_CAPTION)[:num_tracks]
    items = [
        ExamItem(t.id, t.work_id, SHORT_CAPTION, request, (), reference_of(category), tuple(category.values))
        for t in sorted(chosen, key=lambda t: t.id)
        for category in categories_of(t)
    ]
    values: dict[str, set[str]] = {}
    for item in items:
        values.setdefault(item.category, set()).add(item.reference)
    return [item for item in items if len(values[item.category]) > 1]


def categories_of(truth: Truth) -> list[Category]:
    """What a short caption of this piece should name, by the scripted writer of structured truths."""
    from music_flamingo.teachers.payloads import SongFacts, StructuredPayload, closed_questions
    from music_flamingo.teachers.scripted.short import write_structured_truth

    facts = _as_facts(truth)
    payload = StructuredPayload(
        track_id=truth.id,
        facts=SongFacts.of(facts, duration_s=0.0),
        closed=closed_questions(facts),
        captions=[],
        title=None,
        detail="short",
    )
    return write_structured_truth(payload, random.Random(0)).categories


def names_category(caption: str, values: Sequence[str]) -> bool:
    """Whether the caption holds one of the values, word for word, as the structured reward sees it."""
    category = Category(name="", values=list(values))
    return structured_reward(f"{ANSWER}{caption}{END_ANSWER}", [category]) == 1.0


def reference_of(category: Category) -> str:
    """Write a category and its accepted values as one reference text."""
    return f"{category.name}{SEPARATOR}{' or '.join(category.values)}"


def _as_facts(truth: Truth) -> Facts:
    """The score's truth in the form of measured facts: what perfect tools would have found."""
    return Facts(
        id=truth.id,
        work_id=truth.work_id,
        duration_s=None,
        tempo=Tempo(bpm=truth.tempo_bpm, **_FROM_THE_SCORE),
        beats=Beats(beats_s=[], positions=[], beats_per_bar=truth.beats_per_bar, **_FROM_THE_SCORE),
        key=None,
        chords=None,
        sections=None,
        dynamics=None,
        sound=Sound.model_validate(
            {**truth.model_dump(include=Sound.model_fields.keys() - _FROM_THE_SCORE.keys()), **_FROM_THE_SCORE}
        ),
        lyrics=None,
        problems=[],
    )
