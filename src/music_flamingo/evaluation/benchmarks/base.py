"""Define a benchmark: source, reader of its files, prompt, and grading of an answer.

A benchmark is data and plain functions. Each lives in one file of this folder and reads the original files as they
are distributed. It grades every answer twice: `official`, as the published scorer does, slips included (`exact`
where none is published), and `strict`, deterministic, where what cannot be parsed is wrong and every item stays in the
denominator.
"""

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from music_flamingo.core.errors import MissingInputError, UserError
from music_flamingo.core.hashing import sha256_json
from music_flamingo.core.lines import lines_of, well_formed
from music_flamingo.prompts import render
from music_flamingo.scoring.choices import parse_choice
from music_flamingo.scoring.wrappings import final_answer, without_thoughts

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".mp4", ".au", ".aiff")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class BenchmarkItem:
    """One question about one recording."""

    id: str
    audio: tuple[str, ...]
    """Files relative to the benchmark's folder; several are heard one after another."""
    question: str
    options: tuple[str, ...] = ()
    reference: str | None = None
    """The right answer; None where the benchmark withholds it."""
    answer_index: int | None = None
    """Place of the right option; -1 where the file's answer is none of them, and None where it is withheld."""
    groups: tuple[tuple[str, str], ...] = ()
    """(kind, name) pairs the score is broken down by: ("category", "Reasoning"), ("skill", "Instrumentation")."""
    source_ids: tuple[str, ...] = ()
    """What the recording is called elsewhere (a YouTube id, a file name): looked for in training data."""
    unit: str = ""
    """What answers hang together by, where it is no recording: a song of several clips, a caption, an instrument."""
    order: tuple[int, ...] = ()
    """For each option shown, its place in the file, where the benchmark has them shuffled."""

    @property
    def cluster(self) -> str:
        """Questions about one recording, or of one unit, count together."""
        return self.unit or "|".join(self.audio) or self.id


@dataclass(frozen=True)
class Grade:
    """One item's part of a rate: the rate is the sum of values over the sum of weights."""

    value: float
    """1 for a right answer; edits of a transcript; a judge's points."""
    weight: float = 1.0
    """1; words of the reference; 0 for what is left out of the rate (and counted)."""


@dataclass(frozen=True)
class JudgeTask:
    """A question to a judging language model about one answer."""

    name: str
    prompt_id: str
    low: float
    high: float


Replies = Mapping[str, str]
"""Judge task -> the judge's words about this answer; empty where no judge was asked."""
Scorer = Callable[[BenchmarkItem, str, Replies], Grade | None]
"""None: not graded here (no judge, no embeddings, no reference)."""


MetricKind = Literal["official", "strict", "own"]
"""`official`: a published scorer, rule for rule. `own`: a rule of this project where none is published."""


@dataclass(frozen=True)
class BenchmarkMetric:
    """One score of a benchmark: how it is computed, its rule in words, its scale and direction."""

    name: str
    kind: MetricKind
    score: Scorer
    rule: str
    """One sentence: how an output becomes a grade."""
    scale: float = 100.0
    """The rate is shown times this."""
    lower_is_better: bool = False


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: source, licence, reader of its files, prompt, and scores."""

    name: str
    title: str
    task: Literal["choice", "open", "caption", "transcript"]
    source: str
    """Where the files are published, and which of them are read."""
    licence: str
    citation: str
    counts: tuple[int, ...]
    """Items in the published files; empty where they are not public. Another number is reported as such."""
    items: Callable[[Path], list[BenchmarkItem]]
    files: tuple[str, ...]
    """Patterns of the question files; the first that is found counts. Their digests go into every result."""
    prompt_id: str
    measures: tuple[BenchmarkMetric, ...]
    judges: tuple[JudgeTask, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    embeds_answers: bool = False
    """The published scorer compares embeddings of the answer and of the options."""
    passes: Callable[[BenchmarkItem], list[BenchmarkItem]] | None = None
    """An item that is asked several times, in forms with ids of their own; None: once, as it is."""
    join: Callable[[Sequence[str]], str] = "\n".join
    """The outputs of an item's passes as one."""
    read_choice: Callable[[BenchmarkItem, str], int | None] | None = None
    """The strict reading of an output, where it is not that of every choice."""
    submission: Callable[[Path, Sequence[BenchmarkItem], Mapping[str, str]], object] | None = None
    """(folder, items, item id -> output) -> the JSON that the benchmark's own server or scorer takes."""

    def asked(self, item: BenchmarkItem) -> list[BenchmarkItem]:
        """The forms in which an item is put to a model: itself, or its passes."""
        return [item] if self.passes is None else self.passes(item)

    def prompt(self, item: BenchmarkItem) -> str:
        """The text of the prompt, in addition to the audio."""
        lettered = [f"({letter}) {option}" for letter, option in zip(LETTERS, item.options, strict=False)]
        return render(self.prompt_id, question=item.question, options=lettered)

    def parse(self, item: BenchmarkItem, output: str) -> str | None:
        """What the strict reading takes from an output; None when nothing can be taken."""
        if item.options:
            read = self.read_choice
            place = parse_choice(output, item.options, self.aliases) if read is None else read(item, output)
            return None if place is None else item.options[place]
        return final_answer(output)

    def measure(self, name: str) -> BenchmarkMetric:
        """The metric of this name; StopIteration where there is none."""
        return next(m for m in self.measures if m.name == name)


# --- scorers that several benchmarks share ----------------------------------------------------------------------------


def strict_choice(aliases: Mapping[str, str] | None = None) -> BenchmarkMetric:
    """The strict score of multiple choice: exactly one option must be named."""

    def score(item: BenchmarkItem, output: str, replies: Replies) -> Grade | None:
        if item.answer_index is None:
            return None
        place = parse_choice(output, item.options, aliases)
        # two options may have the same words
        return Grade(float(place is not None and item.options[place] == item.reference))

    return BenchmarkMetric(
        "strict",
        "strict",
        score,
        "the one option that the answer names by its words, its letter or both (scoring/choices); else wrong",
    )


def plain_match(aliases: Mapping[str, str]) -> BenchmarkMetric:
    """The rule of papers that publish no scorer: the whole output, in lower case without marks, is the label."""

    def score(item: BenchmarkItem, output: str, replies: Replies) -> Grade | None:
        said = label_words(without_thoughts(output))
        return Grade(float(aliases.get(said, said) == label_words(item.reference or "")))

    return BenchmarkMetric(
        "exact", "own", score, "this project's own, for none is published: the whole answer is the label, in lower case"
    )


def label_words(text: str) -> str:
    """Normalise a label: lower case, no dashes or underscores, single spaces."""
    return " ".join(text.lower().replace("_", " ").replace("-", " ").strip(" .!?\"'\n\t").split())


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AudioIndex:
    """The audio files below a folder, found by path or by name without suffix."""

    folder: Path

    @cached_property
    def by_stem(self) -> dict[str, str]:
        """Paths of audio files below the folder, relative to it, by file stem."""
        found: dict[str, str] = {}
        for path in sorted(self.folder.rglob("*")):
            if path.suffix.lower() in AUDIO_SUFFIXES:
                found.setdefault(_stem(path.name), path.relative_to(self.folder).as_posix())
        return found

    def find(self, path: str, *stems: str) -> str:
        """The file at `path`, else one of that name or of one of `stems`, else `path` itself: it will be missed."""
        relative = path.removeprefix("./").lstrip("/")
        if (self.folder / relative).is_file():
            return relative
        for stem in (_stem(Path(relative).name), *stems):
            if stem in self.by_stem:
                return self.by_stem[stem]
        return relative


def _stem(name: str) -> str:
    """`song.stem.mp4` and `song.wav` are both `song`; the dots of `blues.00029.wav` stay."""
    stem = name[: -len(Path(name).suffix)] if Path(name).suffix.lower() in AUDIO_SUFFIXES else name
    return stem.removesuffix(".stem")


def require_file(folder: Path, *names: str) -> Path:
    """The first of `names` that lies in the folder. Raises MissingInputError naming all of them."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise MissingInputError(f"{folder} holds none of {', '.join(names)}: --data is the folder of the published files.")


def read_json(path: Path) -> Any:
    """Read a JSON file; UserError where it is not JSON."""
    try:
        return well_formed(json.loads(path.read_text(encoding="utf-8-sig")))
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}. Fetch it again.") from error


def read_json_lines(path: Path) -> list[Any]:
    """Read a file of one JSON value a line; UserError where a line is not JSON."""
    try:
        return [
            well_formed(json.loads(line)) for line in lines_of(path.read_text(encoding="utf-8-sig")) if line.strip()
        ]
    except ValueError as error:
        raise UserError(f"{path} is not JSON, one object a line: {error}. Fetch it again.") from error


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV file with a header into one mapping a row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def require_fields(row: Mapping[str, Any], names: Iterable[str], path: Path) -> None:
    """Raise UserError unless the row has all fields."""
    missing = [name for name in names if name not in row]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)} (it has {', '.join(row)}): is it the published file?")


def options_of(value: object, item_id: str, path: Path) -> tuple[str, ...]:
    """Options from a list, a JSON list in a string, or null. Raises UserError for another shape."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise UserError(
                f"{path}, item {item_id}: choices {value!r} is no JSON list. Fetch the file again."
            ) from error
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(option, str | int | float) for option in value):
        raise UserError(f"{path}, item {item_id}: choices are a list of strings, not {value!r}.")
    return tuple(str(option) for option in value)


def rows_in(value: object, path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON file: a list, or a dict on top with one list in it (or rows by their ids)."""
    if isinstance(value, dict):
        lists = [part for part in value.values() if isinstance(part, list)]
        value = (
            lists[0]
            if len(lists) == 1
            else [{"id": name, **row} for name, row in value.items() if isinstance(row, dict)]
        )
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise UserError(f"{path} holds no list of questions: is it the published file?")
    return value


def rows_by_id(value: object, path: Path) -> dict[str, dict[str, Any]]:
    """Rows of a JSON file by their ids: an object of objects, or a list of objects with an `id`."""
    if isinstance(value, list):
        value = {str(row.get("id", number)): row for number, row in enumerate(rows_in(value, path))}
    if not isinstance(value, dict) or not all(isinstance(row, dict) for row in value.values()):
        raise UserError(f"{path} holds no questions by their ids: is it the published file?")
    return {str(name): row for name, row in value.items()}


def text_or_none(value: object) -> str | None:
    """An answer as text; None where it is missing, null or empty. A number is an answer."""
    return None if value is None or value == "" else str(value)


def index_of(reference: str, options: Sequence[str], item_id: str) -> int:
    """Place of the right option. Raises UserError when it is not among them."""
    if reference not in options:
        raise UserError(f"item {item_id}: the answer {reference!r} is none of its options {list(options)}.")
    return list(options).index(reference)


def is_true(text: str) -> bool:
    """Whether a text means true ("true" or "1")."""
    return str(text).strip().lower() in ("true", "1")


# --- the order of options ---------------------------------------------------------------------------------------------


def permuted(item: BenchmarkItem, seed: int, *use: str) -> BenchmarkItem:
    """The same question with its options in an order drawn by seed, item and use."""
    if len(item.options) < 2:
        return item
    rng = np.random.default_rng(int(sha256_json([seed, item.id, *use])[:16], 16))
    order = [int(i) for i in rng.permutation(len(item.options))]
    before = item.order or tuple(range(len(item.options)))
    return replace(
        item,
        options=tuple(item.options[i] for i in order),
        order=tuple(before[i] for i in order),
        answer_index=order.index(item.answer_index) if item.answer_index in order else item.answer_index,
    )
