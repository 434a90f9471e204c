"""What is taught: items (a question with its target) out of MF-Skills and MF-Think, the families that can be taught.

Only split `train` is taught. A family whose answers are all the same in the training split teaches nothing but a
habit, so it is left out and named.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from music_flamingo.core.errors import UserError
from music_flamingo.prompts.loader import render_question
from music_flamingo.records import Category, Chain, Example
from music_flamingo.scoring.answers import AnswerKind, kind_of

CAPTION_TYPE = "caption"


@dataclass(frozen=True)
class Item:
    """One thing to learn about one track."""

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


@dataclass(frozen=True)
class Curriculum:
    """The items of the families that are taught, and why other families are not."""

    items: tuple[Item, ...]
    left_out: Mapping[str, str]

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Family -> answer -> items; captions count together."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for item in self.items:
            counts[item.family]["caption" if item.is_caption else item.reference] += 1
        return {family: dict(sorted(counts[family].items())) for family in sorted(counts)}


def item_of_example(example: Example, think: bool) -> Item:
    """The plain answer of an example; with `think` the prompt asks for thinking, and the target is the bare answer."""
    return Item(
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
    )


def item_of_chain(chain: Chain, is_caption: bool) -> Item:
    """A chain of thought and its answer, in tags."""
    return Item(
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
    )


def curriculum(items: Iterable[Item], families: Mapping[str, float], stage: str, *, min_answers: int = 2) -> Curriculum:
    """The items of `families` (name -> weight) that can be taught, weighted so that a family's answers count alike.

    A family needs `min_answers` different answers. Raises UserError when no family can be taught.
    """
    by_family: dict[str, list[Item]] = {name: [] for name in families}
    for item in items:
        if item.family in by_family:
            by_family[item.family].append(item)
    left_out = {name: reason for name, found in by_family.items() if (reason := _why_not(found, min_answers))}
    kept = [
        item for name, found in by_family.items() if name not in left_out for item in _balanced(found, families[name])
    ]
    if not kept:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(left_out.items()))
        raise UserError(
            f"`{stage}` finds nothing to teach in the training split ({reasons}). Add music that differs in what the "
            f"families ask for, or name other families under `{stage}.families` in params.yaml."
        )
    return Curriculum(tuple(sorted(kept, key=lambda item: item.id)), left_out)


def _why_not(items: Sequence[Item], min_answers: int) -> str | None:
    if not items:
        return "no example"
    answers = {item.reference for item in items}
    if len(answers) < min_answers and not items[0].is_caption:
        return f"only one answer ({min(answers)})"
    return None


def _balanced(items: Sequence[Item], family_weight: float) -> list[Item]:
    """Weights that give every answer of a closed family the same total; captions and open answers count alike."""
    counts = Counter(item.reference for item in items)
    if any(item.is_caption or not item.options for item in items):
        return [replace(item, weight=family_weight) for item in items]
    share = len(items) / len(counts)
    return [replace(item, weight=family_weight * share / counts[item.reference]) for item in items]
