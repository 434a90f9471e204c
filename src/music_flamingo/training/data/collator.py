"""Collate samples into batches: token ids, log-mel features, and a loss weight per token (0: not trained).

B samples, L tokens.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch

from music_flamingo.model.chat import ChatTokens, Turn, batch_of, pad, tokenise, tokenise_apart
from music_flamingo.model.packing import packed_batch_of
from music_flamingo.training.data.audio import SoundBank
from music_flamingo.training.data.items import TrainingItem
from music_flamingo.training.data.schedule import Lesson
from music_flamingo.training.settings import Turns


class Branches:
    """Where the targets of a family part ways: there, and only there, the sound decides what comes next.

    A target is mostly form that any model learns at once. More weight on the branching tokens made tempo audible
    where a plain mean over tokens did not.
    """

    def __init__(self, processor, items: Iterable[TrainingItem], weight: float) -> None:
        self.processor = processor
        self.weight = weight
        self._next: defaultdict[tuple[str, tuple[int, ...]], set[int]] = defaultdict(set)
        if weight == 1.0:
            return  # nothing would come of it, and the targets of millions of items have no room here
        for branch, target in sorted({(item.branch, item.target) for item in items}):
            ids = self._ids(target)
            for at, token in enumerate(ids):
                self._next[branch, ids[:at]].add(token)

    def weights(self, branch: str, target_ids: tuple[int, ...]) -> list[float]:
        """Loss weight of each target token: raised where targets of a branch (TrainingItem.branch) part, else 1.0."""
        return [
            self.weight if len(self._next.get((branch, target_ids[:at]), ())) > 1 else 1.0
            for at in range(len(target_ids))
        ]

    def _ids(self, target: str) -> tuple[int, ...]:
        tokenizer = self.processor.tokenizer
        return (*tokenizer(target, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id)


class LessonCollator:
    """Lessons, or rows of several, as the trainer takes them; `sample_ids` name what was learned from."""

    def __init__(
        self,
        processor,
        lessons: Sequence[Lesson] | Sequence[tuple[Lesson, ...]],
        bank: SoundBank,
        branches: Branches,
        packing: bool = False,
        turns: Turns = "conversation",
    ) -> None:
        self.processor = processor
        self.lessons = lessons
        self.bank = bank
        self.branches = branches
        # questions apart from each other need the attention of packed rows
        self.packing = packing or turns == "isolated"
        self.tokenise = tokenise_apart if turns == "isolated" else tokenise

    def __call__(self, rows: Sequence[dict[str, int]]) -> dict:
        lessons = lessons_in(self.lessons[row["lesson"]] for row in rows)
        sounds = [self.bank(lesson.window) for lesson in lessons]
        turns = [tuple(Turn(item.prompt, item.target) for item in lesson.items) for lesson in lessons]
        tokens = [self.tokenise(self.processor, t, s.num_tokens) for t, s in zip(turns, sounds, strict=True)]
        weights = [self.token_weights(lesson, t) for lesson, t in zip(lessons, tokens, strict=True)]
        batch: dict
        if self.packing:
            # no sample and no question begins with an answer, so none is taught by what stands before it
            batch = {**packed_batch_of(tokens, sounds), "weights": torch.tensor([[w for row in weights for w in row]])}
        else:
            batch = dict(batch_of(self.processor, tokens, sounds, padding_side="right"))
            longest = batch["input_ids"].shape[1]
            batch["weights"] = torch.tensor([pad(w, longest, 0.0, "right") for w in weights])
        batch["sample_ids"] = [item.id for lesson in lessons for item in lesson.items]
        return batch

    def token_weights(self, lesson: Lesson, tokens: ChatTokens) -> list[float]:
        """0 outside the assistant's words; inside, the item's weight, times the branch weight where targets part."""
        weights = [0.0] * len(tokens.ids)
        for item, (start, end) in zip(lesson.items, answer_spans(tokens), strict=True):
            spread = self.branches.weights(item.branch, tokens.ids[start:end])
            weights[start:end] = [item.weight * w for w in spread]
        return weights


def lessons_in(planned: Iterable[Lesson | tuple[Lesson, ...]]) -> list[Lesson]:
    """The lessons of a batch, whether its rows hold one or several."""
    return [lesson for one in planned for lesson in ([one] if isinstance(one, Lesson) else one)]


def answer_spans(tokens: ChatTokens) -> list[tuple[int, int]]:
    """(start, end) of the assistant's words in each turn."""
    spans: list[tuple[int, int]] = []
    start: int | None = None
    for at, inside in enumerate((*tokens.is_answer, False)):
        if inside and start is None:
            start = at
        elif not inside and start is not None:
            spans.append((start, at))
            start = None
    return spans
