"""The loaded model behind a queue: one thread asks it, a few requests at a time, and the event loop stays free.

Greedy requests with the same limit are answered together. A sampled request is answered alone, so that its seed
gives the same words whoever else is asking.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from music_flamingo.core.errors import UserError
from music_flamingo.model.chat import Turn, tokenise
from music_flamingo.model.listener import WINDOW_RULE, Ask, Heard, Listener
from music_flamingo.prompts import render_question
from music_flamingo.serving.bundle import ReleaseInfo
from music_flamingo.serving.errors import ApiError, echo

MAX_BATCH = 8
MAX_IN_HAND = 32
"""More requests than this are turned away with 429, rather than held until their clients give up."""
MAX_QUESTION_CHARS = 2000


@dataclass(frozen=True)
class Request:
    """A question that has been found answerable, with the stretch of the recording that will be heard."""

    samples: np.ndarray
    start_s: float
    """Where the stretch begins in the recording."""
    question: str
    max_new_tokens: int
    temperature: float
    seed: int

    def batches_with(self, other: "Request") -> bool:
        return self.temperature == other.temperature == 0 and self.max_new_tokens == other.max_new_tokens


class Engine:
    """Use `answer` within one event loop, or `answer_now` without one."""

    def __init__(self, listener: Listener, info: ReleaseInfo) -> None:
        self.listener = listener
        self.info = info
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._waiting: deque[tuple[Request, asyncio.Future[Heard]]] = deque()
        self._draining: asyncio.Task[None] | None = None
        self._num_in_hand = 0

    def prepare(
        self,
        samples: np.ndarray,
        question: str,
        max_new_tokens: int | None = None,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Request:
        """A request about a whole recording (float32 mono at the model's rate).

        Raises ApiError when the recording is too short, the words are too many or imitate the model's own marks.
        """
        _require_plain_words(question, self.listener.processor.tokenizer.all_special_tokens)
        try:
            start, end = self.listener.hearing.window_of(len(samples), WINDOW_RULE, rng=None)
        except UserError as error:
            raise ApiError(422, str(error), "audio_too_short") from error
        limit = self.info.max_new_tokens if max_new_tokens is None else max_new_tokens
        self._require_room(end - start, question, limit)
        start_s = start / self.listener.sample_rate_hz
        return Request(samples[start:end].copy(), start_s, question, limit, temperature, seed)

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among the requests in hand, from its decoding to its answer. Raises ApiError when all are taken."""
        if self._num_in_hand >= MAX_IN_HAND:
            raise ApiError(429, f"{MAX_IN_HAND} requests are in hand already; try again later.", "busy")
        self._num_in_hand += 1
        try:
            yield
        finally:
            self._num_in_hand -= 1

    async def answer(self, prepare: Callable[[], Request]) -> Heard:
        """The model's words to what `prepare` gives, which runs on the model's thread: tokenizers know no other."""
        loop = asyncio.get_running_loop()
        request = await loop.run_in_executor(self._thread, prepare)
        future: asyncio.Future[Heard] = loop.create_future()
        self._waiting.append((request, future))
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain())
        return await future

    def answer_now(self, requests: Sequence[Request]) -> list[Heard]:
        """Ask the model in this thread: requests that batch together."""
        first = requests[0]
        heard = self.listener.answer(
            [Ask(r.samples, r.question, (), self.info.think) for r in requests],
            max_new_tokens=first.max_new_tokens,
            batch_size=len(requests),
            temperature=first.temperature,
            seed=first.seed,
        )
        return [_in_the_recording(h, r.start_s) for h, r in zip(heard, requests, strict=True)]

    async def _drain(self) -> None:
        while batch := self._take():
            requests = [request for request, _ in batch]
            work = asyncio.get_running_loop().run_in_executor(self._thread, self.answer_now, requests)
            # wait, not await: what goes wrong belongs to those who asked, and the next batch must still be taken
            await asyncio.wait([work])
            for index, (_, future) in enumerate(batch):
                if future.done():
                    continue
                if error := work.exception():
                    future.set_exception(error)
                else:
                    future.set_result(work.result()[index])

    def _take(self) -> "list[tuple[Request, asyncio.Future[Heard]]]":
        """The longest waiting request and those that batch with it; requests whose client went away are dropped."""
        batch: list[tuple[Request, asyncio.Future[Heard]]] = []
        later: deque[tuple[Request, asyncio.Future[Heard]]] = deque()
        for entry in self._waiting:
            if entry[1].done():
                continue
            joins = not batch or (len(batch) < MAX_BATCH and entry[0].batches_with(batch[0][0]))
            (batch if joins else later).append(entry)
        self._waiting = later
        return batch

    def _require_room(self, num_samples: int, question: str, max_new_tokens: int) -> None:
        hearing = self.listener.hearing
        sound = hearing.audio_tokens(num_samples)
        words = render_question(question, (), self.info.think)
        num_tokens = len(tokenise(self.listener.processor, (Turn(words, None),), sound).ids)
        if num_tokens + max_new_tokens > hearing.context_tokens:
            room = hearing.context_tokens - num_tokens
            message = f"sound and question leave room for {max(room, 0)} new tokens, not {max_new_tokens}."
            raise ApiError(400, message, "context_length_exceeded", "max_tokens")


def _require_plain_words(question: str, marks: Sequence[str]) -> None:
    if not question.strip() or len(question) > MAX_QUESTION_CHARS:
        found = f"{len(question)} were sent" if question.strip() else "only spaces were sent"
        raise ApiError(
            400, f"a question has 1 to {MAX_QUESTION_CHARS} characters; {found}.", "bad_question", "messages"
        )
    for mark in marks:
        if mark in question:
            raise ApiError(400, f"the question holds {echo(mark)}, a mark of the model.", "bad_question", "messages")


def _in_the_recording(heard: Heard, start_s: float) -> Heard:
    start, end = heard.window_s
    return replace(heard, window_s=(start_s + start, start_s + end))
