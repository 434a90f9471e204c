"""Training items (a question with its target) from MF-Skills and MF-Think, and which families are trainable.

Only split `train` is taught. A family whose answers are all the same in the training split teaches nothing but a
habit, so it is left out and named.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from music_flamingo.core.errors import UserError
from music_flamingo.prompts.loader import render_question
from music_flamingo.records import Category, Chain, Example, Reference
from music_flamingo.records.chain import HeardClaim
from music_flamingo.scoring.answers import AnswerKind, kind_of
from music_flamingo.scoring.families import parts_asked

CAPTION_TYPE = "caption"

CLOCK = re.compile(r"\d s\b|\b\d+:\d\d\b")
"""A time of the recording in words: `7.2 s`, `1:05`."""


@dataclass(frozen=True)
class TrainingItem:
    """One thing to learn about one recording."""

    id: str
    track_id: str
    family: str
    question: str
    prompt: str
    """The question as the model reads it, with options and the request to think."""
    target: str
    """The words the model should say."""
    reference: str
    """The bare answer: what classes are balanced by, and what rewards compare with."""
    options: tuple[str, ...]
    structured: tuple[Category, ...]
    is_caption: bool
    kind: AnswerKind = "text"
    """How rewards compare an answer with the reference."""
    weight: float = 1.0
    """Multiplies the loss of the target."""
    spans_s: tuple[tuple[float, float], ...] = ()
    """What the question's references name of the recording, in seconds; empty where it has none."""
    names_a_time: bool = False
    """Question or answer count seconds from the start of the recording."""
    heard: tuple[HeardClaim, ...] = ()
    """What was measured when, where its chain in MF-Think says so: what a reward may ask for."""
    is_about_all: bool = False
    """It can be asked of the whole recording alone, as a transcript can."""

    @property
    def branch(self) -> str:
        """Items of one name have targets that part ways where the sound decides; of a composite question the names of
        its parts belong to it, for they are in the question and not in the sound."""
        parts = parts_asked(self.family, self.question)
        return self.family if parts is None else "/".join([self.family, *(part.family for part in parts)])


@dataclass
class Tally:
    """What is known of a family's items without holding them."""

    num_items: int = 0
    is_caption: bool = False
    """Of the first item."""
    is_open: bool = False
    """Some item has no options: its answers are no classes, and are not counted one by one."""
    first: str = ""
    differ: bool = False
    """There are at least two different answers."""
    counts: Counter[str] = field(default_factory=Counter)
    """Answer -> items; empty for open families."""

    def add(self, item: TrainingItem) -> None:
        """Count one item of the family."""
        if not self.num_items:
            self.is_caption, self.first = item.is_caption, item.reference
        self.num_items += 1
        self.differ = self.differ or item.reference != self.first
        self.is_open = self.is_open or item.is_caption or not item.options
        if self.is_open:
            self.counts.clear()
        else:
            self.counts[item.reference] += 1

    def why_not(self, min_answers: int) -> str | None:
        """Why the family cannot be trained with fewer than `min_answers` different answers; None if it can."""
        if not self.num_items:
            return "no example"
        if 1 + self.differ < min_answers and not self.is_caption:
            return f"only one answer ({self.first})"
        return None

    def weight(self, reference: str, family_weight: float) -> float:
        """Every answer of a closed family has the same total; captions and open answers count alike."""
        if self.is_open:
            return family_weight
        share = self.num_items / len(self.counts)
        return family_weight * share / self.counts[reference]

    @property
    def by_answer(self) -> dict[str, int]:
        """Number of items by answer; open answers and captions in one count."""
        if self.is_open:
            return {"caption" if self.is_caption else "open": self.num_items}
        return dict(sorted(self.counts.items()))


@dataclass(frozen=True)
class Curriculum:
    """The items of the families that are taught, and why other families are not."""

    items: tuple[TrainingItem, ...]
    left_out: Mapping[str, str]
    counts: Mapping[str, dict[str, int]]
    """Family -> answer -> items; captions and open answers count together."""


def item_of_example(example: Example, think: bool) -> TrainingItem:
    """The plain answer of an example; with `think` the prompt asks for thinking, and the target is the bare answer."""
    return TrainingItem(
        id=example.id,
        track_id=example.track_id,
        family=example.family,
        question=example.question,
        prompt=render_question(example.question, example.options, think=think),
        target=example.answer,
        reference=example.answer,
        options=tuple(example.options),
        structured=tuple(example.structured),
        is_caption=example.type == CAPTION_TYPE,
        kind=kind_of(example.type, example.family, example.options, example.answer),
        spans_s=_spans(example.references),
        names_a_time=example.type == "time" or names_a_time(example.question, example.answer),
    )


def item_of_chain(chain: Chain, is_caption: bool) -> TrainingItem:
    """A chain of thought and its answer, in tags."""
    return TrainingItem(
        id=chain.id,
        track_id=chain.track_id,
        family=chain.family,
        question=chain.question,
        prompt=render_question(chain.question, chain.options, think=True),
        target=f"<think>{chain.thinking}</think><answer>{chain.answer}</answer>",
        reference=chain.answer,
        options=tuple(chain.options),
        structured=(),
        is_caption=is_caption,
        spans_s=_spans(chain.references),
        names_a_time=names_a_time(chain.question, chain.thinking, chain.answer),
    )


def plain_item_of_chain(chain: Chain) -> TrainingItem:
    """The question of a chain with its bare answer: what a model is taught that answers without thinking."""
    thinking = item_of_chain(chain, is_caption=False)
    prompt = render_question(chain.question, chain.options, think=False)
    return replace(thinking, id=f"{chain.id}/plain", prompt=prompt, target=chain.answer)


def _spans(references: Iterable[Reference]) -> tuple[tuple[float, float], ...]:
    return tuple((reference.start_s, reference.end_s) for reference in references)


def names_a_time(*texts: str) -> bool:
    """Whether any of the texts names a time like 1:23."""
    return any(CLOCK.search(text) for text in texts)


def curriculum(
    items: Iterable[TrainingItem], families: Mapping[str, float], stage: str, *, min_answers: int = 2
) -> Curriculum:
    """The items of `families` (name -> weight) that can be taught, weighted so that a family's answers count alike.

    A family needs `min_answers` different answers. Raises UserError when no family can be taught.
    """
    tallies, found = {name: Tally() for name in families}, []
    for item in items:
        if item.family in tallies:
            tallies[item.family].add(item)
            found.append(item)
    left_out = why_left_out(tallies, stage, min_answers)
    kept = [
        replace(item, weight=tallies[item.family].weight(item.reference, families[item.family]))
        for item in found
        if item.family not in left_out
    ]
    return Curriculum(tuple(sorted(kept, key=lambda item: item.id)), left_out, counts_of(tallies, left_out))


def why_left_out(tallies: Mapping[str, Tally], stage: str, min_answers: int) -> dict[str, str]:
    """Family -> why it cannot be taught. Raises UserError when none can."""
    left_out = {name: reason for name, tally in tallies.items() if (reason := tally.why_not(min_answers))}
    if len(left_out) == len(tallies):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(left_out.items()))
        raise UserError(
            f"`{stage}` finds nothing to teach in the training split ({reasons}). Add music that differs in what the "
            f"families ask for, or name other families under `{stage}.families` in params.yaml."
        )
    return left_out


def counts_of(tallies: Mapping[str, Tally], left_out: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Items by answer for each family that is not left out, in order of names."""
    return {name: tallies[name].by_answer for name in sorted(tallies) if name not in left_out}
