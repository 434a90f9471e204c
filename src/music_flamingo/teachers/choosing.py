"""Choose the questions that are kept of a track: the audible families first, then some of every skill and type."""

import random

from music_flamingo.records.example import Skill
from music_flamingo.scoring.families import FAMILIES
from music_flamingo.teachers.payloads import WrittenQuestion


def choose_questions(
    asked: list[tuple[Skill, WrittenQuestion]], most: int, rng: random.Random
) -> list[tuple[Skill, WrittenQuestion]]:
    """At most `most` questions: the audible families, then the first of each skill and type, then a draw."""
    order = rng.sample(range(len(asked)), len(asked))
    first = [i for i in order if asked[i][1].family in FAMILIES]
    while more := [i for i in order if i not in first and _adds(asked, i, first)]:
        # what brings a skill and a type at once leaves room for the others
        first.append(max(more, key=lambda i: _adds(asked, i, first)))
    kept = [*first, *(i for i in order if i not in first)][:most]
    return [asked[i] for i in sorted(kept)]


def _adds(asked: list[tuple[Skill, WrittenQuestion]], i: int, chosen: list[int]) -> int:
    """How much a question brings that the chosen ones lack: its skill, its type, or both."""
    return (asked[i][0] not in {asked[j][0] for j in chosen}) + (
        asked[i][1].type not in {asked[j][1].type for j in chosen}
    )
