"""Answer and score all questions for one (model, condition); the unit of resumption."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from music_flamingo.core.ports import Table
from music_flamingo.core.record import read_parquet
from music_flamingo.evaluation.captions import names_category
from music_flamingo.evaluation.controls import noise, silence
from music_flamingo.evaluation.items import ExamItem
from music_flamingo.records import Prediction, Track
from music_flamingo.records.prediction import Condition, Drawn
from music_flamingo.scoring.answers import score_answer
from music_flamingo.scoring.extract import extract_answer

if TYPE_CHECKING:
    from music_flamingo.model.listener import Ask, Listener


@dataclass(frozen=True)
class AnswerJob:
    """Picklable: it travels to a worker process, which loads model and audio itself."""

    model: str
    folder: Path
    """Holds `model/`."""
    think: bool
    condition: Condition
    items: tuple[ExamItem, ...]
    heard_track_ids: tuple[str, ...]
    """For each item the track that is played, or under `none` the one whose length the silence has."""
    tracks: Table[Track]
    batch_size: int
    max_new_tokens: int
    seed: int
    """Of the noise that is played, and of words that are drawn."""
    temperature: float = 0.0
    """0: the likeliest words."""

    @property
    def drawn(self) -> Drawn:
        """How the words were found."""
        return "sampled" if self.temperature else "greedy"


def answer_job(job: AnswerJob) -> list[Prediction]:
    """Predictions in the order of the items. On one thread: the same words on any number of workers."""
    import torch

    from music_flamingo.model.listener import Listener

    torch.set_num_threads(1)
    listener = Listener.load(job.folder)
    texts = _silent_texts(job, listener) if job.condition == "none" else _texts(job, listener)
    return [_prediction(job, i, texts[i]) for i in range(len(job.items))]


def _texts(job: AnswerJob, listener: "Listener") -> Mapping[int, str]:
    """What the model says to each item, read track by track, so that a catalogue need not fit into memory."""
    from music_flamingo.model.listener import Ask

    waiting: dict[str, dict[tuple[str, tuple[str, ...]], list[int]]] = {}
    for index, (item, track_id) in enumerate(zip(job.items, job.heard_track_ids, strict=True)):
        # one caption answers for several items
        waiting.setdefault(track_id, {}).setdefault((item.question, item.options), []).append(index)
    texts: dict[int, str] = {}
    asks = (
        (indices, Ask(samples, question, options, job.think))
        for track_id, samples in _played(job, waiting)
        for (question, options), indices in waiting[track_id].items()
    )
    while batch := list(islice(asks, job.batch_size)):
        for (indices, _), said in zip(batch, _ask(job, listener, [ask for _, ask in batch]), strict=True):
            texts.update(dict.fromkeys(indices, said))
    return texts


def _played(job: AnswerJob, wanted: Collection[str]) -> Iterator[tuple[str, np.ndarray]]:
    """(track id, what is played for it): once a track, so that its questions share one hearing."""
    for track_id, samples in sounds(job.tracks, wanted):
        yield track_id, noise(len(samples), job.seed, track_id) if job.condition == "noise" else samples


def _silent_texts(job: AnswerJob, listener: "Listener") -> Mapping[int, str]:
    """Silence of one length is always the same sound: each question is put to it once."""
    from music_flamingo.model.listener import Ask

    longest = listener.hearing.max_samples
    lengths = {track_id: min(len(samples), longest) for track_id, samples in sounds(job.tracks, job.heard_track_ids)}
    quiet = {length: silence(length) for length in lengths.values()}
    keys = [(item.question, item.options, lengths[t]) for item, t in zip(job.items, job.heard_track_ids, strict=True)]
    asks = {key: Ask(quiet[key[2]], key[0], key[1], job.think) for key in keys}
    said = dict(zip(asks, _ask(job, listener, list(asks.values())), strict=True))
    return {index: said[key] for index, key in enumerate(keys)}


def sounds(tracks: Table[Track], wanted: Collection[str]) -> Iterator[tuple[str, np.ndarray]]:
    """(track id, 16 kHz samples) of the wanted tracks, in the order of the table, one in memory at a time."""
    from music_flamingo.audio.flac import decode_flac

    for path in tracks.shards:
        if not set(wanted) & set(pq.read_table(path, columns=["id"])["id"].to_pylist()):
            continue
        for track in read_parquet(path, Track):
            if track.id in wanted and track.audio is not None:
                yield track.id, decode_flac(track.audio.bytes)


def _ask(job: AnswerJob, listener: "Listener", asks: Sequence["Ask"]) -> list[str]:
    heard = listener.answer(
        asks,
        max_new_tokens=job.max_new_tokens,
        batch_size=job.batch_size,
        temperature=job.temperature,
        seed=job.seed,
    )
    return [h.text for h in heard]


def _prediction(job: AnswerJob, index: int, text: str) -> Prediction:
    item = job.items[index]
    answer = extract_answer(text)
    return Prediction(
        id="/".join([job.model, job.condition, item.id, *(["sampled"] if job.drawn == "sampled" else [])]),
        model=job.model,
        condition=job.condition,
        track_id=item.track_id,
        work_id=item.work_id,
        heard_track_id=None if job.condition in ("noise", "none") else job.heard_track_ids[index],
        family=item.family,
        question=item.question,
        options=list(item.options),
        reference=item.reference,
        output=text,
        answer=answer,
        correct=answer is not None and _is_right(answer, item),
        drawn=job.drawn,
    )


def _is_right(answer: str, item: ExamItem) -> bool:
    if item.values:
        return names_category(answer, item.values)
    return score_answer("choice", answer, item.reference, item.options) == 1.0
