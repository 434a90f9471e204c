"""Teacher over OpenAI's chat completions: a text model (gpt-oss on vLLM) or an audio model (Music Flamingo).

A call is answered by the cache or asked of the server, at most `max_tries` times in all: busy and broken servers are
waited for, a reply of the wrong shape is asked for again under the next seed. A call that fails for good is a
TeacherFailedError with its reason; too many of them end the stage with a TeacherUnusableError.
"""

import logging
import threading
from pathlib import Path

from music_flamingo.core.http import Failed, HttpReply, JsonClient
from music_flamingo.records.caption import TEACHER_FAILED
from music_flamingo.teachers.cache import CallCache, Finished
from music_flamingo.teachers.calling import TeacherFailedError
from music_flamingo.teachers.chat_call import Call, call_key
from music_flamingo.teachers.config import OpenAICompatibleConfig
from music_flamingo.teachers.failures import FailureWatch, TeacherUnusableError
from music_flamingo.teachers.requests import Reply, TeacherRequest
from music_flamingo.teachers.usage import Meter, new_path

_LOG = logging.getLogger(__name__)
NEVER = ("http_401", "http_403", "http_404", "no_audio")
"""The whole endpoint refuses: a wrong key, a wrong address, a model that it does not serve, or one without ears."""


class OpenAICompatibleTeacher:
    """Asks one model of one server; threads share it. Close it, or open it by `teaching`."""

    kind = "openai_compatible"

    def __init__(self, config: OpenAICompatibleConfig, stage: str, data: Path | None) -> None:
        """`data`: the folder of the ports, next to which usage is written; None writes none."""
        self.model, self.revision = config.model, config.revision
        self.concurrency, self.audio = config.concurrency, config.audio
        self._config = config
        self._cache = CallCache(Path(config.cache)) if config.cache is not None else None
        self._watch = FailureWatch(config.stop, f"{config.model} at {config.endpoint.base_url}")
        self._client = JsonClient(config.endpoint, seed=0, sleep=self._watch.wait)
        self._under_way, self._num_under_way = threading.Condition(), 0
        self.meter = Meter(stage, config.model, config.prices, new_path(data, stage) if data else None)

    def ask(self, request: TeacherRequest[Reply]) -> Reply:
        """Answer from the cache or by the server; raises the failure of the call after its retries."""
        key = call_key(self._config, request)
        kept = self._kept(key, request)
        if kept is not None:
            return kept
        with self._under_way:
            self._num_under_way += 1
        try:
            return self._asked(key, request)
        finally:
            with self._under_way:
                self._num_under_way -= 1
                self._under_way.notify_all()

    def end(self) -> None:
        """Raises TeacherUnusableError where nothing that was asked succeeded."""
        self._watch.end()

    def interrupt(self) -> None:
        """Ask nothing any more; what is under way is paid for, and `close` waits for it."""
        self._watch.interrupt()
        with self._under_way:
            if self._num_under_way:
                _LOG.warning(
                    "interrupted: nothing more is asked; waiting for %d replies (Ctrl-C again gives them up)",
                    self._num_under_way,
                )

    def close(self) -> None:
        """Wait for the replies that are under way, write the usage, and close the client and the cache."""
        try:
            with self._under_way:
                self._under_way.wait_for(lambda: self._num_under_way == 0)
        finally:
            self._release()

    def _release(self) -> None:
        self.meter.close()
        self._client.close()
        if self._cache is not None:
            self._cache.close()

    def _kept(self, key: str, request: TeacherRequest[Reply]) -> Reply | None:
        found = usable(self._cache, key, request) if self._cache is not None else None
        if found is None:
            return None
        self.meter.from_cache(request.prompt_id, found[1].tokens)
        self._watch.from_cache()
        return found[0]

    def _asked(self, key: str, request: TeacherRequest[Reply]) -> Reply:
        call = Call(self._config, request, self._watch)
        outcome = self._client.post("/chat/completions", call.content, call.read, call=key)
        if isinstance(outcome, Failed):
            kept = call.kept()
            if kept is None:
                raise self._failed(request, outcome, call)
            outcome = HttpReply(kept, outcome.num_tries)  # the rest of a cut reply did not come
        reply, finished = outcome.value
        if self._cache is not None:
            self._cache.put(key, self.model, request.prompt_id, finished)
        self.meter.answered(request.prompt_id, outcome.num_tries, call.spent, call.is_estimated)
        self._watch.succeeded()
        return reply

    def _failed(self, request: TeacherRequest[Reply], failed: Failed, call: Call[Reply]) -> TeacherFailedError:
        reason = TEACHER_FAILED + (call.trouble if failed.reason == "wrong_shape" else failed.reason)
        self.meter.failed(reason, failed.num_tries, call.spent, call.is_estimated)
        if failed.reason in NEVER:
            raise TeacherUnusableError(
                f"{self.model} cannot be asked: {failed.message}. Mend endpoint, model, key or `audio` of the teacher."
            )
        self._watch.failed(reason)
        return TeacherFailedError(reason, f"{request.prompt_id}: {failed.message} ({failed.num_tries} tries)")


def usable(cache: CallCache, key: str, request: TeacherRequest[Reply]) -> tuple[Reply, Finished] | None:
    """The kept answer to a call; None where there is none, or none that still fits."""
    found = cache.get(key)
    if found is None:
        return None
    try:
        return request.read(found.content), found
    except ValueError:  # what code checks beyond the schema has changed since
        return None
