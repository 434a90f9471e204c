"""The model's thread: requests join a running batch and receive their text as it is generated.

Prompts of different lengths, settings and seeds share a batch (`model.decoding`). A new request waits for one step at
most, unless the batch is full. A song is encoded and read in pieces between the steps of the others, and answered in a
batch of its own, in a third of the time while there are others: its length costs nobody else.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from music_flamingo.model.chat import ChatTokens
from music_flamingo.model.decoding import Constraint, DecodingRow, RunningBatch, forward_of
from music_flamingo.model.encoding import SoundEncoder
from music_flamingo.model.listener import Listener, ListenerOutput
from music_flamingo.serving.detokenizer import Detokenizer, Parts, TextDelta
from music_flamingo.serving.metrics import BATCH_SIZE, QUEUE
from music_flamingo.serving.recordings import CachedWindow

MAX_BATCH = 32
"""Rows that are answered at once; more wait. On a CPU the step of a small model costs nearly the same for 1 and 32."""
OTHERS_ROWS = 8
"""Of those, what one client cannot fill: others need not wait for the end of its answers."""
MAX_TOKENS = 2**16
"""Of the shared batch, its rows made as long as the longest; and as many of all songs together: three of a quarter of
an hour at 40 ms a token."""
LONG_TOKENS = 2048
"""A longer prompt is a song's. Shorter ones are read at once, in less time than anybody notices."""
OTHERS_SHARE = 2.0
"""While others are answered, the model works so many times longer for them than for songs."""

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

    @property
    def is_long(self) -> bool:
        """Whether it is read in pieces, and answered in a batch of its own."""
        return len(self.prompt.ids) > LONG_TOKENS


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


@dataclass
class AnswerLane:
    """A batch, and the jobs whose rows it holds."""

    batch: RunningBatch
    running: list[tuple[GenerationJob, Detokenizer]] = field(default_factory=list)

    def step(self, end: int) -> None:
        """A token for each job; those that are at their end leave. `end`: the token that ends an answer."""
        tokens = self.batch.choose()
        keep = []
        for index, ((job, words), row, token) in enumerate(zip(self.running, self.batch.rows, tokens, strict=True)):
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
        self.running = [self.running[i] for i in keep]
        self.batch.go_on(keep)


@dataclass
class _Reading:
    """A song that is being encoded and read."""

    job: GenerationJob
    pieces: Iterator[object]


class Scheduler:
    """Runs the model in one thread and batches requests continuously."""

    def __init__(self, listener: Listener, max_batch: int = MAX_BATCH, max_tokens: int = MAX_TOKENS) -> None:
        self._model = listener.model
        self._tokenizer = listener.processor.tokenizer
        self._suppressed = tuple(listener.processor.audio_token_ids)
        self._max_batch, self._max_tokens = max_batch, max_tokens
        self._forward, self._encoder = forward_of(listener.model), SoundEncoder(listener.model)
        self._waiting: deque[GenerationJob] = deque()
        self._shared = self._lane()
        self._songs: list[AnswerLane] = []
        self._reading: _Reading | None = None
        self._owed_s = 0.0
        """What the others are to have before a song goes on."""
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

    @property
    def _running(self) -> list[GenerationJob]:
        """In a batch, or being read."""
        jobs = [job for lane in (self._shared, *self._songs) for job, _ in lane.running]
        return jobs if self._reading is None else [*jobs, self._reading.job]

    def _lane(self) -> AnswerLane:
        return AnswerLane(RunningBatch(self._model, self._suppressed, self._forward))

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._running:
                    self._wake.wait()
            self._turn()

    def _turn(self) -> None:
        began_s = time.perf_counter()
        self._admit()
        if self._shared.running:
            self._step(self._shared)
        for_songs_s = time.perf_counter()
        self._owed_s -= for_songs_s - began_s
        if self._shared.running and self._owed_s > 0:
            return
        self._read_on()
        self._songs = [lane for lane in self._songs if lane.running]
        for lane in self._songs:
            self._step(lane)
        self._owed_s = OTHERS_SHARE * (time.perf_counter() - for_songs_s)

    def _admit(self) -> None:
        with self._wake:
            jobs = self._next()
            QUEUE.set(len(self._waiting))
        jobs = [job for job in jobs if not job.left]
        for job in jobs:
            if job.request.is_long:
                self._reading = _Reading(job, self._pieces(job))
        jobs = [job for job in jobs if not job.request.is_long]
        if not jobs:
            return
        try:
            begun = [job.begin(self._tokenizer) for job in jobs]
            self._encode([job.request.recording for job in jobs])
            sounds = [job.request.recording.embedding() for job in jobs]
            self._shared.batch.join([job.request.prompt for job in jobs], sounds, [row for row, _ in begun])
        except Exception as error:  # what goes wrong belongs to those who asked; the others go on
            _fail(jobs, error)
            return
        self._shared.running += [(job, words) for job, (_, words) in zip(jobs, begun, strict=True)]

    def _next(self) -> list[GenerationJob]:
        """Of those that wait, by their rank, as many as there are rows and tokens for; one song at a time."""
        jobs: list[GenerationJob] = []
        passed: list[GenerationJob] = []
        while self._waiting and (rows := len(self._running) + len(jobs)) < self._max_batch:
            job = self._waiting[0]
            if rows >= self._max_batch - OTHERS_ROWS and job.rank > self._max_batch - OTHERS_ROWS:
                break
            if not job.request.is_long and not self._has_room(job, jobs):
                break
            self._waiting.popleft()
            # a song that cannot begin keeps nobody waiting behind it
            fits = not job.request.is_long or self._has_room_for_song(job, jobs)
            (jobs if fits else passed).append(job)
        self._waiting.extendleft(reversed(passed))
        return jobs

    def _has_room(self, job: GenerationJob, jobs: list[GenerationJob]) -> bool:
        others = [*(job for job, _ in self._shared.running), *(other for other in jobs if not other.request.is_long)]
        longest = max(other.request.max_tokens for other in [*others, job])
        return not others or (len(others) + 1) * longest <= self._max_tokens

    def _has_room_for_song(self, job: GenerationJob, jobs: list[GenerationJob]) -> bool:
        if self._reading is not None or any(other.request.is_long for other in jobs):
            return False
        others = sum(job.request.max_tokens for lane in self._songs for job, _ in lane.running)
        return not others or others + job.request.max_tokens <= self._max_tokens

    def _encode(self, recordings: list[CachedWindow]) -> None:
        """Each recording once, however many ask about it."""
        fresh = list({id(r): r for r in recordings if not r.is_encoded}.values())
        if fresh:
            for recording, embedding in zip(fresh, self._encoder([r.sound() for r in fresh]), strict=True):
                recording.encoded(embedding)

    def _read_on(self) -> None:
        """The next piece of the song that is being read."""
        reading = self._reading
        if reading is None:
            return
        try:
            if reading.job.left or next(reading.pieces, None) is None:
                self._reading = None
        except Exception as error:
            self._reading = None
            _fail([reading.job], error)

    def _pieces(self, job: GenerationJob) -> Iterator[object]:
        """Encode a song and read its prompt; at the end its lane is among the songs."""
        row, words = job.begin(self._tokenizer)
        recording, lane = job.request.recording, self._lane()
        if not recording.is_encoded:
            parts = []
            for part in self._encoder.slices([recording.sound()]):
                parts.append(part)
                yield part
            recording.encoded(torch.cat(parts))
        for _ in lane.batch.join_in_pieces(job.request.prompt, recording.embedding(), row):
            yield True
        lane.running = [(job, words)]
        self._songs.append(lane)

    def _step(self, lane: AnswerLane) -> None:
        BATCH_SIZE.observe(len(lane.running))
        try:
            lane.step(self._tokenizer.eos_token_id)
        except Exception as error:
            _fail([job for job, _ in lane.running], error)
            lane.running, lane.batch = [], self._lane().batch


def _fail(jobs: list[GenerationJob], error: Exception) -> None:
    for job in jobs:
        job.tell(error)
