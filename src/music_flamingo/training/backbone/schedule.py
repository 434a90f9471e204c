"""Schedule of a phase: which utterance is trained at which step, with which tasks, fixed by a seed.

An utterance is heard whole or not at all: words whose sound was cut off would be taught as invention. Corpora come by
their shares in every part of the plan, and each runs through all of its utterances before any comes again.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from music_flamingo.audio.flac import MODEL_RATE_HZ
from music_flamingo.core.errors import UserError
from music_flamingo.model.context import Hearing
from music_flamingo.records import Utterance
from music_flamingo.training.backbone.settings import Phase, SpeechTask
from music_flamingo.training.backbone.tasks import speech_item, takes
from music_flamingo.training.data.audio import TrainingWindow
from music_flamingo.training.data.items import TrainingItem
from music_flamingo.training.data.schedule import Lesson

TOO_LONG = "longer than the model hears"
TOO_SHORT = "too short to hear"
NO_TASK = "no task of the phase takes it"
NO_SHARE = "its corpus has no share"


@dataclass(frozen=True)
class SpeechPlan:
    """The scheduled samples, the number of items by task, and what was left out by reason."""

    lessons: list[Lesson]
    items: Counter[str]
    """Task -> lessons in which it is asked."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Why utterances of the training split are not heard -> how many."""

    def described(self) -> dict[str, object]:
        """Counts for the log: samples, utterances, items by task, left out by reason."""
        return {
            "lessons": len(self.lessons),
            "utterances": len({lesson.window.track_id for lesson in self.lessons}),
            "asked": dict(sorted(self.items.items())),
            "left_out": dict(sorted(self.left_out.items())),
        }


def heard_whole(utterance: Utterance, hearing: Hearing) -> TrainingWindow | None:
    """All of an utterance; None where the model cannot hear that much at once."""
    num_samples = num_samples_of(utterance)
    if not hearing.min_samples <= num_samples <= hearing.max_samples:
        return None
    return TrainingWindow(utterance.id, 0, hearing.trimmed(num_samples))


def num_samples_of(utterance: Utterance) -> int:
    """Length of an utterance in audio samples at 16 kHz."""
    assert utterance.duration_s is not None, "good utterances have a duration"
    return round(utterance.duration_s * MODEL_RATE_HZ)


def plan_phase(phase: Phase, utterances: Sequence[Utterance], hearing: Hearing, seed: int) -> SpeechPlan:
    """The lessons of all steps of a phase. Raises UserError where there is nothing to hear."""
    rng = random.Random(seed)
    left_out = Counter[str]()
    by_corpus: dict[str, list[Lesson]] = {name: [] for name, share in sorted(phase.corpora.items()) if share > 0}
    for utterance in sorted(utterances, key=lambda u: u.id):
        items = _items(utterance, phase.tasks)
        window = heard_whole(utterance, hearing)
        reason = _why_not(utterance, items, window, by_corpus, hearing)
        if reason is not None:
            left_out[reason] += 1
        elif window is not None:
            by_corpus[utterance.corpus].append(Lesson(window, items))
    empty = [name for name, lessons in by_corpus.items() if not lessons]
    if empty:
        raise UserError(
            f"phase {phase.name!r} of the backbone finds nothing to teach in {', '.join(empty)} ({dict(left_out)}). "
            "Name corpora of `speech.sources` with utterances for its tasks under `corpora`."
        )
    shares = {name: phase.corpora[name] for name in by_corpus}
    wanted = phase.steps * phase.batch_size * phase.optimiser.accumulation
    lessons = [_in_some_order(next(drawn), rng) for drawn in islice(_corpora(by_corpus, shares, rng), wanted)]
    return SpeechPlan(lessons, Counter(i.family for lesson in lessons for i in lesson.items), left_out)


def _items(utterance: Utterance, tasks: Mapping[SpeechTask, float]) -> tuple[TrainingItem, ...]:
    return tuple(
        speech_item(utterance, task, weight)
        for task, weight in sorted(tasks.items())
        if weight > 0 and takes(task, utterance)
    )


def _why_not(
    utterance: Utterance,
    items: Sequence[TrainingItem],
    window: TrainingWindow | None,
    by_corpus: Mapping[str, Sequence[Lesson]],
    hearing: Hearing,
) -> str | None:
    if utterance.corpus not in by_corpus:
        return NO_SHARE
    if not items:
        return NO_TASK
    if window is None:
        return TOO_SHORT if num_samples_of(utterance) < hearing.min_samples else TOO_LONG
    return None


def _corpora(
    by_corpus: Mapping[str, Sequence[Lesson]], shares: Mapping[str, float], rng: random.Random
) -> Iterator[Iterator[Lesson]]:
    """The corpus that the next lesson comes from, the one furthest behind its share first."""
    streams = {name: _rounds(lessons, rng) for name, lessons in by_corpus.items()}
    owed, total = dict.fromkeys(streams, 0.0), sum(shares.values())
    while True:
        for name in owed:
            owed[name] += shares[name] / total
        name = max(owed, key=lambda n: (owed[n], n))
        owed[name] -= 1.0
        yield streams[name]


def _rounds(lessons: Sequence[Lesson], rng: random.Random) -> Iterator[Lesson]:
    while True:
        yield from rng.sample(lessons, len(lessons))


def _in_some_order(lesson: Lesson, rng: random.Random) -> Lesson:
    """Each task comes first in its turn."""
    return Lesson(lesson.window, tuple(rng.sample(lesson.items, len(lesson.items))))
