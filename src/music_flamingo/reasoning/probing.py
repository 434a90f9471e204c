"""Probe the SFT model on one track: probabilities of a question's options, and of yes for a statement.

A question with options gets a probability for each; one without gets 1 or 0, as the model's own words are right or not.
A statement gets the probability of yes, by the prompt `step_check`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from music_flamingo.core.record import Record
from music_flamingo.prompts import render_step_check
from music_flamingo.records import Example
from music_flamingo.scoring.normalise import same_answer

if TYPE_CHECKING:
    from music_flamingo.model.listener import Ask, Listener

YES_NO = ("yes", "no")


class ProbedQuestion(Record):
    """What the model made of one question; `id` is the example's."""

    options: list[str]
    probabilities: list[float]


def ask_questions(
    listener: "Listener",
    examples: Sequence[Example],
    samples: Mapping[str, np.ndarray],
    *,
    max_new_tokens: int,
    batch_size: int,
) -> list[ProbedQuestion]:
    """One Asked for each example, those with options first. `samples` by track id, float32 mono at the model's rate."""
    from music_flamingo.model.listener import Ask

    def questions(some: Sequence[Example]) -> list["Ask"]:
        return [Ask(samples[e.track_id], e.question, tuple(e.options), think=False) for e in some]

    closed = [e for e in examples if e.options]
    probabilities = listener.option_probabilities(questions(closed), batch_size=batch_size)
    asked = [
        ProbedQuestion(id=e.id, options=e.options, probabilities=p) for e, p in zip(closed, probabilities, strict=True)
    ]
    opened = [e for e in examples if not e.options]
    words = listener.answer(questions(opened), max_new_tokens=max_new_tokens, batch_size=batch_size)
    for example, said in zip(opened, words, strict=True):
        is_right = float(same_answer(said.text, example.answer))
        asked.append(ProbedQuestion(id=example.id, options=[example.answer], probabilities=[is_right]))
    return asked


class Affirmer:
    """Asks the model whether sentences are true of a track. Many threads may ask; one at a time is heard.

    The model is loaded, and a track decoded, when it is first asked of; the last tracks asked of are remembered.
    """

    def __init__(self, model: Path, flac_of: Callable[[str], bytes], *, batch_size: int, remembered: int) -> None:
        self._model, self._flac_of, self._batch_size = model, flac_of, batch_size
        self._remembered = remembered
        self._lock = Lock()
        self._listener: Listener | None = None
        self._samples: dict[str, np.ndarray] = {}

    def __call__(self, track_id: str, texts: Sequence[str]) -> dict[str, float]:
        """Text -> probability of yes, over yes and no."""
        import torch

        from music_flamingo.audio.flac import decode_flac
        from music_flamingo.model.listener import Ask, Listener

        with self._lock:
            if self._listener is None:
                torch.set_num_threads(1)  # as when it was asked its questions
                self._listener = Listener.load(self._model)
            if track_id not in self._samples:
                while len(self._samples) >= self._remembered:
                    del self._samples[next(iter(self._samples))]
                self._samples[track_id] = decode_flac(self._flac_of(track_id))
            samples = self._samples[track_id]
            asks = [Ask(samples, render_step_check(text), YES_NO, think=False) for text in texts]
            probabilities = self._listener.option_probabilities(asks, batch_size=self._batch_size)
        return {text: p[YES_NO.index("yes")] for text, p in zip(texts, probabilities, strict=True)}
