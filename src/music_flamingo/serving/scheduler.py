"""The model's thread: requests join a running batch and receive their text as it is generated.

Prompts of different lengths, settings and seeds share a batch (`model.decoding`). A new request waits for one step at
most, unless the batch is full.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from music_flamingo.model.chat import ChatTokens
from music_flamingo.model.decoding import Constraint, DecodingRow, RunningBatch, encode_sounds
from music_flamingo.model.listener import Listener, ListenerOutput
from music_flamingo.serving.detokenizer import Detokenizer, Parts, TextDelta
from music_flamingo.serving.metrics import BATCH_SIZE, QUEUE
from music_flamingo.serving.recordings import CachedWindow

MAX_BATCH = 32
"""Rows that are answered at once; more wait. On a CPU the step of a small model costs nearly the same for 1 and 32."""
OTHERS_ROWS = 8
"""Of those, what one client cannot fill: others need not wait for the end of its answers."""
MAX_TOKENS = 2**16
"""Of a batch, its rows made as long as the longest: three songs of a quarter of an hour at 40 ms a token."""

Event = TextDelta | ListenerOutput | Exception
"""Some words, then the whole as `Heard`; or what went wrong."""


@dataclass(frozen=True)
class AdmittedRequest:
    """A question found answerable, with the segment of the recording that will be heard."""

    recording: CachedWindow
    prompt: ChatTokens
    max_new_tokens: int
    temperature: float
    seed: int
    stop: tuple[str, ...] = ()
    constraint: Constraint | None = None
    """Holds the state of one answer: a request is asked once."""

    @property
    def max_tokens(self) -> int:
        """Of sound, question and answer."""
        return len(self.prompt.ids) + self.max_new_tokens


@dataclass
class GenerationJob:
    """One request in the batch, and the callback that receives its events."""

    request: AdmittedRequest
    tell: Callable[[Event], None]
    """Called on the model's thread."""
    in_pieces: bool = True
    """False: the first words and the whole are sent, and what is between them is not."""
    rank: int = 0
    """How many requests of its client were in hand when it came: who has few goes first."""
    left: bool = False
    """The client went away."""
    _parts: Parts = field(init=False)
    _begun: bool = False

    def __post_init__(self) -> None:
        self._parts = Parts(is_tagged=self.request.constraint is None)

    def begin(self, tokenizer) -> tuple[DecodingRow, Detokenizer]:
        """Make the request's decoding row and its detokenizer."""
        row = DecodingRow.of(self.request.temperature, self.request.seed, self.request.constraint)
        return row, Detokenizer(tokenizer, self.request.stop)

    def say(self, text: str) -> None:
        """Send new text, split into thinking and answer."""
        if self.in_pieces or not self._begun:
            self._tell_all(self._parts.add(text))

    def finish(self, row: DecodingRow, words: Detokenizer, ended: bool) -> None:
        """Flush the text and send the final output."""
        self.say(words.end())
        if self.in_pieces or not self._begun:
            self._tell_all(self._parts.end())
        recording = self.request.recording
        self.tell(ListenerOutput(words.text, recording.window_s, len(self.request.prompt.ids), len(row.ids), ended))

    def _tell_all(self, pieces: list[TextDelta]) -> None:
        for piece in pieces:
            if self.in_pieces or not self._begun:
                self.tell(piece)
                self._begun = True


class Scheduler:
    """Runs the model in one thread and batches requests continuously."""

    def __init__(self, listener: Listener, max_batch: int = MAX_BATCH, max_tokens: int = MAX_TOKENS) -> None:
        self._model = listener.model
        self._tokenizer = listener.processor.tokenizer
        self._suppressed = tuple(listener.processor.audio_token_ids)
        self._max_batch, self._max_tokens = max_batch, max_tokens
        self._waiting: deque[GenerationJob] = deque()
        self._running: list[tuple[GenerationJob, Detokenizer]] = []
        self._batch = RunningBatch(self._model, self._suppressed)
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(self, job: GenerationJob) -> None:
        """Queue a request; the thread starts with the first."""
        with self._wake:
            self._waiting = deque(sorted([*self._waiting, job], key=lambda job: job.rank))
            QUEUE.set(len(self._waiting))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="model", daemon=True)
                self._thread.start()
            self._wake.notify()

    def work_off(self, jobs: list[GenerationJob]) -> None:
        """Answer these in the calling thread."""
        self._waiting.extend(jobs)
        while self._waiting or self._running:
            self._turn()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._running:
                    self._wake.wait()
            self._turn()

    def _turn(self) -> None:
        self._admit()
        if self._running:
            try:
                self._step()
            except Exception as error:
                self._fail([job for job, _ in self._running], error)
                self._running, self._batch = [], RunningBatch(self._model, self._suppressed)

    def _admit(self) -> None:
        with self._wake:
            jobs = self._next()
            QUEUE.set(len(self._waiting))
        jobs = [job for job in jobs if not job.left]
        if not jobs:
            return
        try:
            begun = [job.begin(self._tokenizer) for job in jobs]
            self._encode([job.request.recording for job in jobs])
            sounds = [job.request.recording.embedding() for job in jobs]
            self._batch.join([job.request.prompt for job in jobs], sounds, [row for row, _ in begun])
        except Exception as error:  # what goes wrong belongs to those who asked; the others go on
            self._fail(jobs, error)
            return
        self._running += [(job, words) for job, (_, words) in zip(jobs, begun, strict=True)]

    def _next(self) -> list[GenerationJob]:
        """Of those that wait, by their rank, as many as there are rows and tokens for."""
        jobs: list[GenerationJob] = []
        longest = max((job.request.max_tokens for job, _ in self._running), default=0)
        while self._waiting and (rows := len(self._running) + len(jobs)) < self._max_batch:
            if rows >= self._max_batch - OTHERS_ROWS and self._waiting[0].rank > self._max_batch - OTHERS_ROWS:
                break
            longest = max(longest, self._waiting[0].request.max_tokens)
            if rows and (rows + 1) * longest > self._max_tokens:
                break
            jobs.append(self._waiting.popleft())
        return jobs

    def _encode(self, recordings: list[CachedWindow]) -> None:
        """Each recording once, however many ask about it."""
        fresh = list({id(r): r for r in recordings if not r.is_encoded}.values())
        if fresh:
            for recording, embedding in zip(fresh, encode_sounds(self._model, [r.sound() for r in fresh]), strict=True):
                recording.encoded(embedding)

    def _step(self) -> None:
        BATCH_SIZE.observe(len(self._running))
        tokens = self._batch.choose()
        end = self._tokenizer.eos_token_id
        keep = []
        for index, ((job, words), row, token) in enumerate(zip(self._running, self._batch.rows, tokens, strict=True)):
            if isinstance(token, Exception):
                job.tell(token)
                continue
            ended = token == end
            if not ended:
                job.say(words.add(token))
                ended = words.stopped
            if ended or len(row.ids) >= job.request.max_new_tokens:
                job.finish(row, words, ended)
            elif not job.left:
                keep.append(index)
        self._running = [self._running[i] for i in keep]
        self._batch.go_on(keep)

    def _fail(self, jobs: list[GenerationJob], error: Exception) -> None:
        for job in jobs:
            job.tell(error)
