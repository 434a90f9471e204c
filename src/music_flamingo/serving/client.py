"""`mf ask`: a question about a song, answered by a running server (`mf serve`, vLLM) or by a release right here."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from music_flamingo.audio.decode import BadAudioError
from music_flamingo.core.chat import ChatCompletion, audio_part
from music_flamingo.core.errors import UserError
from music_flamingo.model.members import MEMBERS
from music_flamingo.records import Facts
from music_flamingo.scoring.extract import split_thinking
from music_flamingo.serving.bundle import RELEASE_FILE, TrainedQuestion, open_release
from music_flamingo.serving.measured_answer import measured_answer
from music_flamingo.serving.measuring import Measure
from music_flamingo.serving.notes import UNTRAINED, notes_on
from music_flamingo.serving.uploads import SUFFIXES, UPLOAD_LIMITS, decode_file

TIMEOUT_S = 300.0
NO_MODEL = "no model is here: tools alone answer. `make run` trains one"
MAX_UPLOAD_BYTES = 18 * 2**20
"""Larger files are sent as the 16 kHz copy that the model hears: base64 grows by a third, the limit is 25 MiB."""


@dataclass(frozen=True)
class EndpointAnswer:
    """Text, thinking and answer, the audio window (s), and notes."""

    text: str
    """The model's words, untouched."""
    thinking: str | None
    answer: str | None
    """None, as is `thinking`, when the words do not keep to think and answer tags."""
    listened_s: tuple[float, float] | None
    """None where the server does not say which seconds it heard."""
    duration_s: float | None
    notes: tuple[str, ...] = ()
    """What the reader must know to judge the answer."""
    measured: str | None = None
    """What tools measure of it, where the model was never trained on such a question."""

    def __str__(self) -> str:
        said = [("Said", repr(self.text))] if self.text else []
        read = [("Thinking", self.thinking), ("Answer", self.answer)] if self.answer else said
        lines = [
            *([f"Measured  {_printable(self.measured)}"] if self.measured else []),
            *(f"{title:8s}  {_printable(words)}" for title, words in read if words),
            *self._heard(),
            *(f"Note      {note}" for note in self.notes),
        ]
        return "\n".join(lines)

    def _heard(self) -> list[str]:
        if self.listened_s is None or self.duration_s is None:
            return []
        start, end = self.listened_s
        return [f"Heard     {start:.1f} to {end:.1f} s of {self.duration_s:.1f} s"]


def _printable(words: str) -> str:
    """Without what a terminal would take for a command: a model may say any byte."""
    return "".join(c if c.isprintable() else " " for c in words)


def ask(
    audio: Path, question: str, *, endpoint: str | None, release: Path, measure: Measure | None = None
) -> EndpointAnswer:
    """Ask about a recording. With `endpoint` (e.g. http://127.0.0.1:8080) a server answers, else the release does.

    Where the model was never trained on such a question, `measure` says what tools hear of it.
    Raises UserError for a missing or undecodable file, a release that may not be used, a server that refuses.
    """
    if not audio.is_file():
        raise UserError(f"{audio} is not a file: give a recording (wav, flac, mp3, m4a, ogg, opus).")
    if endpoint is None and measure is not None and not (release / RELEASE_FILE).is_file():
        return _ask_tools(audio, question, release, measure)
    answer = _ask_server(audio, question, endpoint.rstrip("/")) if endpoint else _ask_here(audio, question, release)
    if measure is None or not any(UNTRAINED in note for note in answer.notes):
        return answer
    return replace(answer, measured=measured_answer(question, _facts(audio, measure)))


def _facts(audio: Path, measure: Measure) -> Facts:
    try:
        return measure(audio.read_bytes(), UPLOAD_LIMITS)
    except BadAudioError as error:
        raise UserError(f"{audio} cannot be measured: {error}") from error


def _ask_tools(audio: Path, question: str, release: Path, measure: Measure) -> EndpointAnswer:
    """What tools measure of it, where there is no model yet. Raises UserError where they say nothing of it."""
    facts = _facts(audio, measure)
    measured = measured_answer(question, facts)
    if measured is None:
        raise UserError(
            f"no model is here ({release} holds no {RELEASE_FILE}), and nothing trusted that tools measure answers "
            "this question. `make run` trains a model; tools alone know key, tempo, meter, chords and form."
        )
    duration_s = facts.duration_s or 0.0
    return EndpointAnswer("", None, None, (0.0, duration_s), duration_s, (NO_MODEL,), measured)


def _ask_here(audio: Path, question: str, release: Path) -> EndpointAnswer:
    info = open_release(release)
    from music_flamingo.model.listener import WINDOW_RULE, Listener
    from music_flamingo.serving.audio_window import cut
    from music_flamingo.serving.engine import Engine
    from music_flamingo.serving.errors import ApiError

    engine = Engine(Listener.load(release), info)
    try:
        recording = engine.listen(cut(decode_file(audio, engine.hearing.max_audio_s), engine.hearing, WINDOW_RULE))
        heard = engine.answer_now([engine.prepare(recording, question)])[0]
    except ApiError as error:
        raise UserError(f"{audio}: {error.message}") from error
    thinking, answer = split_thinking(heard.text)
    notes = notes_on(question, info.status, info.questions)
    return EndpointAnswer(heard.text, thinking, answer, heard.window_s, recording.duration_s, notes)


def _ask_server(audio: Path, question: str, endpoint: str) -> EndpointAnswer:
    base, model = _served(endpoint)
    data, kind = _upload(audio)
    part = audio_part(data, kind)
    content = [{"type": "text", "text": question}, part]
    body = {"model": model["id"], "messages": [{"role": "user", "content": content}]}
    told = _call("POST", f"{base}/chat/completions", body)
    if "music_flamingo" not in model:
        return _of_another_server(told)
    heard, known = told["music_flamingo"], model["music_flamingo"]
    trained = [TrainedQuestion.model_validate(q) for q in known["questions"]]
    start_s, end_s = heard["listened_s"]
    return EndpointAnswer(
        text=heard["text"],
        thinking=split_thinking(heard["text"])[0],
        answer=heard["answer"],
        listened_s=(start_s, end_s),
        duration_s=heard["duration_s"],
        notes=notes_on(question, known["status"], trained),
    )


def _served(endpoint: str) -> tuple[str, dict[str, Any]]:
    """(address before `/chat/completions`, first model): `mf serve` has OpenAI's routes below /openai/v1, vLLM below
    /v1. An address that names them is taken as it is."""
    bases = [endpoint] if endpoint.endswith("/v1") else [f"{endpoint}/openai/v1", f"{endpoint}/v1"]
    for base in bases[:-1]:
        if (listed := _call("GET", f"{base}/models", None, or_missing=True)) is not None:
            return base, listed["data"][0]
    listed = _call("GET", f"{bases[-1]}/models", None)
    return bases[-1], listed["data"][0]


def _of_another_server(told: dict[str, Any]) -> EndpointAnswer:
    """An answer of vLLM, with the thinking split off by its parser or with the tags in the words."""
    message = ChatCompletion.model_validate(told).choices[0].message
    words = message.content or ""
    thinking, answer = (message.thoughts, words) if message.thoughts else split_thinking(words)
    note = "this server says neither which seconds it heard nor what its model was trained on."
    return EndpointAnswer(words, thinking, answer, None, None, (note,))


def _upload(audio: Path) -> tuple[bytes, str]:
    """(bytes, format): the file as it is, or the model's 16 kHz copy of one that is large or of a rare kind."""
    kind = audio.suffix.lstrip(".").lower()
    if kind in SUFFIXES and audio.stat().st_size <= MAX_UPLOAD_BYTES:
        return audio.read_bytes(), kind
    from music_flamingo.audio.flac import encode_flac

    # how long a recording may be, the server knows
    copy = encode_flac(decode_file(audio, max(member.max_audio_s for member in MEMBERS.values())))
    if len(copy) > MAX_UPLOAD_BYTES:
        raise UserError(
            f"{audio} is too large to be sent: {audio.stat().st_size / 2**20:.0f} MiB, and {len(copy) / 2**20:.0f} as "
            f"what the model hears of it; {MAX_UPLOAD_BYTES // 2**20} travel. Encode it with at most 64 kbit/s (30 min "
            "are 14 MiB): ffmpeg -i SONG -ac 1 -b:a 64k SONG.mp3. Or ask without --endpoint."
        )
    return copy, "flac"


@overload
def _call(method: str, url: str, body: dict[str, Any] | None) -> dict[str, Any]: ...
@overload
def _call(method: str, url: str, body: None, *, or_missing: bool) -> dict[str, Any] | None: ...
def _call(method: str, url: str, body: dict[str, Any] | None, *, or_missing: bool = False) -> dict[str, Any] | None:
    """The server's JSON; with `or_missing` None for a route that it does not have.

    Raises UserError with its message when it refuses or cannot be reached.
    """
    import httpx

    try:
        response = httpx.request(method, url, json=body, timeout=TIMEOUT_S, trust_env=False)
    except httpx.HTTPError as error:
        raise UserError(f"no answer from {url} ({error}): is `mf serve` or vLLM running there?") from error
    if or_missing and response.status_code == 404:
        return None
    try:
        told = response.json()
        if response.is_success:
            return dict(told)
        message = told["error"]["message"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{url} answered {response.status_code} with no JSON that is known: is it `mf serve` or vLLM?"
        ) from error
    raise UserError(f"{url} refused ({response.status_code}): {message}")
