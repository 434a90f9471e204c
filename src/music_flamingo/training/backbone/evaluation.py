"""How well held-out utterances are transcribed: error rates, and the same words held against other recordings' output.

Words: edits over reference words (`scoring.transcripts`, Chinese by characters); phonemes likewise, each a unit. The
control compares each reference with what was heard in another utterance of the same task: what a model gets right
without listening, by knowing how such sentences go, it gets right there too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from music_flamingo.audio.flac import decode_flac
from music_flamingo.model.context import Hearing
from music_flamingo.model.listener import Ask, Listener
from music_flamingo.records import Utterance
from music_flamingo.scoring.transcripts import Normaliser, character_words, plain_words, word_errors
from music_flamingo.training.backbone.schedule import heard_whole
from music_flamingo.training.backbone.settings import Exam, SpeechTask
from music_flamingo.training.backbone.tasks import request, takes, target

ROOM = 1.5
"""An output may be so much longer than the longest reference; a model that has learned nothing would never end."""
DIGITS = 4


@dataclass(frozen=True)
class TranscriptErrorRate:
    """Errors per reference unit; more than 1 where too much was said."""

    heard: float
    other_audio: float
    num_utterances: int


def chosen(utterances: Sequence[Utterance], task: SpeechTask, exam: Exam, hearing: Hearing) -> list[Utterance]:
    """The exam's utterances of a task, languages in turn, by id."""
    suited = [u for u in utterances if u.split == exam.split and takes(task, u) and heard_whole(u, hearing) is not None]
    by_language: dict[str, list[Utterance]] = {}
    for utterance in sorted(suited, key=lambda u: u.id):
        by_language.setdefault(utterance.language, []).append(utterance)
    turns = zip_longest(*(by_language[language] for language in sorted(by_language)))
    return [u for turn in turns for u in turn if u is not None][: exam.per_task]


def examine(
    model, processor, utterances: Sequence[Utterance], tasks: Sequence[SpeechTask], exam: Exam
) -> dict[str, TranscriptErrorRate]:
    """Task -> its rates; a task for which nothing is held out is not there."""
    listener = Listener(model, processor)
    rates: dict[str, TranscriptErrorRate] = {}
    for task in tasks:
        asked = chosen(utterances, task, exam, listener.hearing)
        if asked:
            rates[task] = _rate(asked, task, _transcribe(listener, asked, task, exam))
    return rates


def _transcribe(listener: Listener, asked: Sequence[Utterance], task: SpeechTask, exam: Exam) -> list[str]:
    asks = [Ask(decode_flac(u.audio.bytes), request(task, u), (), think=False) for u in asked if u.audio is not None]
    tokenizer = listener.processor.tokenizer
    longest = max(len(tokenizer(target(task, u), add_special_tokens=False)["input_ids"]) for u in asked)
    heard = listener.answer(asks, max_new_tokens=int(ROOM * longest) + 1, batch_size=exam.batch_size)
    return [h.text for h in heard]


def _rate(asked: Sequence[Utterance], task: SpeechTask, said: Sequence[str]) -> TranscriptErrorRate:
    references = [target(task, u) for u in asked]
    normalise = [_normaliser(task, u.language) for u in asked]
    others = [_another(references, i) for i in range(len(asked))]
    return TranscriptErrorRate(
        heard=_share(references, said, normalise),
        other_audio=_share(references, [said[i] for i in others], normalise),
        num_utterances=len(asked),
    )


def _another(references: Sequence[str], at: int) -> int:
    """The next utterance with other words; itself where all words are the same."""
    following = [*range(at + 1, len(references)), *range(at)]
    return next((i for i in following if references[i] != references[at]), at)


def _share(references: Sequence[str], said: Sequence[str], normalise: Sequence[Normaliser]) -> float:
    errors = [word_errors(r, s, n) for r, s, n in zip(references, said, normalise, strict=True)]
    return round(sum(edits for edits, _ in errors) / max(1, sum(size for _, size in errors)), DIGITS)


def _normaliser(task: SpeechTask, language: str) -> Normaliser:
    if task == "phonemes":
        return phoneme_units
    return character_words if language.split("-")[0] in ("zh", "yue", "ja") else plain_words


def phoneme_units(text: str) -> str:
    """Normalise a phoneme transcript to units joined by one space."""
    return " ".join(text.split())


def logged(rates: Mapping[str, TranscriptErrorRate]) -> dict[str, float]:
    """The rates under the names that `log.jsonl` gives them."""
    named = {}
    for task, rate in rates.items():
        unit = "per" if task == "phonemes" else "wer"
        named[f"{unit}_{task}"] = rate.heard
        named[f"{unit}_{task}_other_audio"] = rate.other_audio
    return named
