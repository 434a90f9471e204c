"""Narrow rows: the columns that whole-set checks need, some 70 bytes an example, whatever its texts' length.

One row for each candidate in order. Ids are 64-bit hashes: among 100 million, two collide with a probability below
.0003.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from music_flamingo.quality.checks import CONTROL_TOKEN
from music_flamingo.quality.near_texts import count_words
from music_flamingo.quality.text_only import Guess
from music_flamingo.scoring.options import are_drawn

NOT_DRAWN = -1
SCHEMA = pa.schema(
    [
        pa.field("id", pa.uint64()),
        pa.field("track", pa.uint64()),
        pa.field("work", pa.uint64()),
        pa.field("reason", pa.string()),
        pa.field("skill", pa.string()),
        pa.field("type", pa.string()),
        pa.field("family", pa.string()),
        pa.field("split", pa.string()),
        pa.field("question_chars", pa.int32()),
        pa.field("answer_chars", pa.int32()),
        pa.field("question_markup", pa.bool_()),
        pa.field("answer_markup", pa.bool_()),
        pa.field("answer_words", pa.int32()),
        pa.field("answer_listed", pa.bool_()),
        pa.field("num_options", pa.int32()),
        pa.field("place", pa.int32()),
        pa.field("text_right", pa.bool_()),
        pa.field("text_chance", pa.float32()),
    ]
)
"""`reason`: empty for what is kept. `place`: of the answer among drawn options, else -1. `text_right`, `text_chance`:
does a model of words alone answer it, and would chance; null for questions without options."""


def narrow(examples: pa.Table, reasons: Sequence[str], guesses: Sequence[Guess | None]) -> pa.Table:
    """The narrow rows of one shard's candidates, with what became of each."""
    options = examples["options"].to_pylist()
    questions, answers = examples["question"].to_pylist(), examples["answer"].to_pylist()
    columns = {
        "id": hashes(examples["id"].to_pylist()),
        "track": hashes(examples["track_id"].to_pylist()),
        "work": hashes(examples["work_id"].to_pylist()),
        "reason": [reason.partition(":")[0] for reason in reasons],
        **{name: examples[name] for name in ("skill", "type", "family", "split")},
        "question_chars": pc.utf8_length(examples["question"]),
        "answer_chars": pc.utf8_length(examples["answer"]),
        "question_markup": _has_markup(examples["question"]),
        "answer_markup": _has_markup(examples["answer"]),
        "answer_words": count_words(examples["answer"]),
        "answer_listed": [not o or a in o for o, a in zip(options, answers, strict=True)],
        "num_options": [len(o) for o in options],
        "place": [_place(*row) for row in zip(questions, options, answers, strict=True)],
        "text_right": [None if g is None else g.is_right for g in guesses],
        "text_chance": [None if g is None else g.chance for g in guesses],
    }
    arrays = [_as_array(columns[f.name], f.type) for f in SCHEMA]
    return pa.table(arrays, schema=SCHEMA)


def hashes(texts: Sequence[str]) -> np.ndarray:
    """64-bit BLAKE2b hash of each text, as an array of shape (len(texts),)."""
    digests = b"".join(hashlib.blake2b(t.encode(), digest_size=8).digest() for t in texts)
    return np.frombuffer(digests, dtype="<u8")


def _as_array(column: object, kind: pa.DataType) -> pa.Array:
    if isinstance(column, pa.ChunkedArray | pa.Array):
        return column.cast(kind)
    return pa.array(column, kind)


def _has_markup(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.match_substring_regex(texts, CONTROL_TOKEN.pattern, ignore_case=True)


def _place(question: str, options: Sequence[str], answer: str) -> int:
    if len(options) < 2 or answer not in options or not are_drawn(question, options):
        return NOT_DRAWN
    return list(options).index(answer)
