"""Count the calls, tokens and cost that a stage will need, before any request is sent.

A planner stands where the teacher would, over a sample of tracks. Each call is rendered as it will be sent. Its tokens
are estimated by the rules of `tokens`; a schema costs none where the server holds the reply to it by a grammar. What
the model will write is taken from the mean of that prompt's calls in the cache, reasoning included, where there are
any, and else from the reply of the scripted teacher, which is shorter than a language model's.
"""

from dataclasses import dataclass
from pathlib import Path

from music_flamingo.teachers.cache import FILE_NAME, CallCache
from music_flamingo.teachers.config import AudioFormat, OpenAICompatibleConfig, TeacherConfig
from music_flamingo.teachers.requests import Reply, TeacherRequest
from music_flamingo.teachers.tokens import estimated_tokens, prompt_tokens


@dataclass
class PlannedCalls:
    """Calls of a stage, or of a sample of it. Tokens and cost are of those that are not cached."""

    calls: float = 0.0
    cached: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0

    def times(self, factor: float) -> "PlannedCalls":
        """Scale all counts by `factor`."""
        return PlannedCalls(
            self.calls * factor,
            self.cached * factor,
            self.prompt_tokens * factor,
            self.completion_tokens * factor,
        )

    def __add__(self, other: "PlannedCalls") -> "PlannedCalls":
        return PlannedCalls(
            self.calls + other.calls,
            self.cached + other.cached,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )

    def cost(self, config: TeacherConfig) -> float:
        """Cost of the calls that are not cached, in the currency of the teacher's prices; 0.0 if scripted."""
        if not isinstance(config, OpenAICompatibleConfig):
            return 0.0
        prices = config.prices
        paid_in, paid_out = (
            self.prompt_tokens * prices.input_per_million,
            self.completion_tokens * prices.output_per_million,
        )
        return (paid_in + paid_out) / 1e6


class Planner:
    """A Teacher that asks nobody: it counts, and replies as the cache does or else as the scripted teacher would."""

    def __init__(self, config: TeacherConfig) -> None:
        from music_flamingo.teachers.scripted import ScriptedTeacher

        self._config, self._scripted = config, ScriptedTeacher()
        self.kind, self.model, self.revision = self._scripted.kind, self._scripted.model, self._scripted.revision
        self.concurrency = 1
        self.audio: AudioFormat | None = None
        self._cache: CallCache | None = None
        self._means: dict[str, float] = {}
        self.need = PlannedCalls()
        if isinstance(config, OpenAICompatibleConfig):
            self.audio = config.audio
            if config.cache is not None and (Path(config.cache) / FILE_NAME).is_file():
                self._cache = CallCache(Path(config.cache))
                self._means = self._cache.mean_completion_tokens(config.model)

    def ask(self, request: TeacherRequest[Reply]) -> Reply:
        """Answer from the cache or by the scripted teacher, and count what the real call would take."""
        kept = self._kept(request)
        reply = self._scripted.ask(request) if kept is None else kept
        self._count(request, reply, is_cached=kept is not None)
        return reply

    def end(self) -> None:
        """Nothing can have failed."""

    def interrupt(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Close the cache."""
        if self._cache is not None:
            self._cache.close()

    def _kept(self, request: TeacherRequest[Reply]) -> Reply | None:
        if self._cache is None:
            return None
        from music_flamingo.teachers.chat_call import call_key
        from music_flamingo.teachers.openai_compatible import usable

        assert isinstance(self._config, OpenAICompatibleConfig)
        found = usable(self._cache, call_key(self._config, request), request)
        return found[0] if found else None

    def _count(self, request: TeacherRequest[Reply], reply: Reply, is_cached: bool) -> None:
        self.need.calls += 1
        if is_cached:
            self.need.cached += 1
            return
        written = self._means.get(request.prompt_id, estimated_tokens(reply.model_dump_json()))
        self.need.prompt_tokens += prompt_tokens([request.text], request.audio)
        self.need.completion_tokens += written
