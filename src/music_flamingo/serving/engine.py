"""Request lifecycle: admission, audio decode, prompt, token stream.

Decoding and log-mel features run in processes of their own (`isolation`), the model in its thread (`scheduler`): the
event loop stays free.
"""

import asyncio
import copy
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from music_flamingo.model.answering import answering_template
from music_flamingo.model.chat import ChatTokens, EncoderAudio, Turn, tokenise
from music_flamingo.model.listener import WINDOW_RULE, Listener, ListenerOutput
from music_flamingo.serving.audio_window import DECODERS, DECODING_S, QUICK_LIMITS, AudioWindow, Ears, WindowFeatures
from music_flamingo.serving.bundle import ReleaseInfo
from music_flamingo.serving.detokenizer import TextDelta
from music_flamingo.serving.errors import ApiError, echo
from music_flamingo.serving.fairness import MAX_IN_HAND, RANK, RequestPlaces
from music_flamingo.serving.formats import Grammars, ResponseFormat
from music_flamingo.serving.isolation import Isolated, preload
from music_flamingo.serving.metrics import AUDIO_SECONDS, RECORDINGS
from music_flamingo.serving.recordings import CACHE_MIB, CachedWindow, RecordingCache
from music_flamingo.serving.scheduler import AdmittedRequest, Event, GenerationJob, Scheduler
from music_flamingo.serving.uploads import Upload

MAX_QUESTION_CHARS = 2000
CHARS_PER_TOKEN = 16
"""More than a token has on average in any language."""
NICENESS = 10
"""Of the processes that decode long recordings."""


@dataclass(frozen=True)
class Before:
    """What was said before a question."""

    turns: tuple[tuple[str, str], ...] = ()
    sound_at: int = 0
    """The turn whose question came with the recording."""
    system: str | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text, as a client sent it."""
        return (*(text for turn in self.turns for text in turn), *([self.system] if self.system else []))


NOTHING_BEFORE = Before()


class Engine:
    """Use `stream` within one event loop, or `answer_now` without one."""

    def __init__(self, listener: Listener, info: ReleaseInfo, cache_mib: int = CACHE_MIB) -> None:
        self.listener = listener
        if info.think:  # a release made before its template stated the rule
            listener.processor.chat_template = answering_template(listener.processor.chat_template)
        self.hearing = listener.hearing.for_answers(info.max_new_tokens)
        self.info = info
        self.recordings = RecordingCache(cache_mib * 2**20)
        # tokenizers know one thread at a time: features are made by a copy
        self._ears = Ears(copy.deepcopy(listener.processor), self.hearing, WINDOW_RULE)
        preload("music_flamingo.model.chat", "music_flamingo.serving.audio_window")
        self.decoder = Isolated(self._ears, DECODERS, DECODING_S, max_waiting=MAX_IN_HAND)
        self.long_decoder = Isolated(self._ears, DECODERS, DECODING_S, max_waiting=MAX_IN_HAND, niceness=NICENESS)
        self.grammars = Grammars(listener.processor.tokenizer, listener.model.config.text_config.vocab_size)
        self._scheduler = Scheduler(listener)
        self.places = RequestPlaces()
        self._tokenising = threading.Lock()

    async def hear(self, upload: Upload) -> CachedWindow:
        """The recording as the model hears it. Raises ApiError for what cannot be decoded."""
        key = await upload.digest()
        RECORDINGS.labels("known" if self.recordings.knows(key) else "new").inc()
        recording = await self.recordings.get(key, lambda: self._heard(upload))
        AUDIO_SECONDS.inc(recording.duration_s)
        return recording

    async def _heard(self, upload: Upload) -> CachedWindow:
        window: WindowFeatures | None = await self.decoder.run(upload, QUICK_LIMITS)
        if window is None:  # nobody waits for the decoding of a long one but those who sent such
            window = await self.long_decoder.run(upload)
        assert window is not None
        return self._cached(window)

    def listen(self, window: AudioWindow) -> CachedWindow:
        """Compute log-mel features of an audio window in this thread, to be encoded by the model's."""
        return self._cached(self._ears.features(window))

    def _cached(self, heard: WindowFeatures) -> CachedWindow:
        model = self.listener.model
        token_bytes = model.config.text_config.hidden_size * model.dtype.itemsize
        sound = EncoderAudio(torch.from_numpy(heard.features_WMT), torch.from_numpy(heard.mask_WT), heard.num_tokens)
        return CachedWindow(sound, heard.window_s, heard.duration_s, token_bytes)

    def prepare(
        self,
        recording: CachedWindow,
        question: str,
        max_new_tokens: int | None = None,
        temperature: float = 0.0,
        seed: int = 0,
        stop: Sequence[str] = (),
        form: ResponseFormat | None = None,
        think: bool = True,
        before: Before = NOTHING_BEFORE,
    ) -> AdmittedRequest:
        """Raises ApiError when the words are too many, imitate the model's own marks, or leave no room."""
        marks = self.listener.processor.tokenizer.all_special_tokens
        _require_plain_words(question, marks)
        _require_short(before, CHARS_PER_TOKEN * self.hearing.context_tokens)
        for text in before.texts:
            _require_no_marks(text, marks)
        limit = self.info.max_new_tokens if max_new_tokens is None else max_new_tokens
        constraint = self.grammars.constraint(form)
        prompt = self._prompt(recording, question, think and self.info.think and constraint is None, before)
        room = self.hearing.context_tokens - len(prompt.ids)
        if limit > room:
            message = f"sound and question leave room for {max(room, 0)} new tokens, not {limit}."
            raise ApiError(400, message, "context_length_exceeded", "max_tokens")
        return AdmittedRequest(recording, prompt, limit, temperature, seed, tuple(stop), constraint)

    async def stream(
        self, request: AdmittedRequest, in_pieces: bool = True
    ) -> AsyncIterator[TextDelta | ListenerOutput]:
        """The words as they come, or the first alone, then the whole. Ends early when the reader goes away."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event] = asyncio.Queue()

        def tell(event: Event) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(events.put_nowait, event)

        job = GenerationJob(request, tell, in_pieces, RANK.get())
        self._scheduler.submit(job)
        try:
            while True:
                event = await events.get()
                if isinstance(event, Exception):
                    raise event
                yield event
                if isinstance(event, ListenerOutput):
                    return
        finally:
            job.left = True

    def answer_now(self, requests: Sequence[AdmittedRequest]) -> list[ListenerOutput]:
        """In this thread, without a server."""
        told: list[list[Event]] = [[] for _ in requests]
        Scheduler(self.listener).work_off(
            [GenerationJob(r, events.append) for r, events in zip(requests, told, strict=True)]
        )
        for event in (events[-1] for events in told):
            if isinstance(event, Exception):
                raise event
        return [event for events in told if isinstance(event := events[-1], ListenerOutput)]

    def warm_up(self) -> None:
        """One answer to a second of noise: libraries are loaded and the first listener need not wait for them."""
        noise = np.random.default_rng(0).normal(0, 0.1, self.listener.sample_rate_hz).astype(np.float32)
        recording = self.listen(AudioWindow(noise, (0.0, 1.0), 1.0))
        self.answer_now([self.prepare(recording, "Are drums heard in this music, yes or no?", 8)])
        self.decoder.start()
        self.grammars.start()

    def close(self) -> None:
        """End all processes."""
        for part in (self.decoder, self.long_decoder, self.grammars):
            part.close()

    def _prompt(self, recording: CachedWindow, question: str, think: bool, before: Before) -> ChatTokens:
        turns = (*(Turn(*said) for said in before.turns), Turn(question.strip(), None))
        with self._tokenising:
            return tokenise(self.listener.processor, turns, recording.num_tokens, think, before.system, before.sound_at)


def _require_plain_words(question: str, marks: Sequence[str]) -> None:
    if not question.strip() or len(question) > MAX_QUESTION_CHARS:
        found = f"{len(question)} were sent" if question.strip() else "only spaces were sent"
        raise ApiError(
            400, f"a question has 1 to {MAX_QUESTION_CHARS} characters; {found}.", "bad_question", "messages"
        )
    _require_no_marks(question, marks)


def _require_short(before: Before, max_chars: int) -> None:
    # before it is made into tokens, which takes a second for every few megabytes
    if (num_chars := sum(map(len, before.texts))) > max_chars:
        message = f"what was said before the question has {num_chars} characters; the context has no room for them."
        raise ApiError(400, message, "context_length_exceeded", "messages")


def _require_no_marks(text: str, marks: Sequence[str]) -> None:
    for mark in marks:
        if mark in text:
            raise ApiError(
                400,
                f"a question or what was said before holds {echo(mark)}, a mark of the model.",
                "bad_question",
                "messages",
            )
