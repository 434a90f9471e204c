"""Async-stream helpers: metrics, collect, peek first token; and what a client sees of an error."""

import logging
import time
from collections.abc import AsyncIterator

from music_flamingo.model.listener import ListenerOutput
from music_flamingo.serving import metrics
from music_flamingo.serving.detokenizer import TextDelta
from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.recordings import CachedWindow

Told = AsyncIterator[TextDelta | ListenerOutput]

log = logging.getLogger(__name__)


async def measured(told: Told, recording: CachedWindow, started_s: float) -> Told:
    """The same, counted for Prometheus. `started_s`: monotonic time at which the request was there."""
    first_s: float | None = None
    async for said in told:
        now_s = time.monotonic()
        if first_s is None:
            first_s = now_s
            metrics.TIME_TO_FIRST_WORD.observe(now_s - started_s)
        if isinstance(said, ListenerOutput):
            metrics.REQUEST_SECONDS.observe(now_s - started_s)
            metrics.NEW_TOKENS.inc(said.num_new_tokens)
            metrics.PROMPT_TOKENS.labels("audio").inc(recording.num_tokens)
            metrics.PROMPT_TOKENS.labels("text").inc(said.num_prompt_tokens - recording.num_tokens)
            if now_s > first_s:
                metrics.TOKENS_PER_SECOND.observe(said.num_new_tokens / (now_s - first_s))
        yield said


async def last(told: Told) -> ListenerOutput:
    """The whole answer."""
    async for said in told:
        if isinstance(said, ListenerOutput):
            return said
    raise AssertionError("an answer ends with the whole")


async def first_then_rest(told: Told) -> Told:
    """Waits for the first words, so that what goes wrong before them is raised here; gives all of them."""
    first = await anext(told)

    async def all_of_them() -> Told:
        yield first
        async for said in told:
            yield said

    return all_of_them()


def shown(error: Exception) -> ApiError:
    """The error as a client gets it, counted; of our own faults the log has what they were."""
    if not isinstance(error, ApiError):
        log.error("a request failed", exc_info=error)
        error = ApiError(500, "the server failed on this request; its log says why.", "internal_error")
    metrics.ERRORS.labels(error.code).inc()
    return error
