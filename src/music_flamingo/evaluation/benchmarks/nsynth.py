"""NSynth test set: 4,096 single notes; how the sound was made (3 sources) and what plays (11 families)."""

from functools import partial
from pathlib import Path
from typing import Any

from music_flamingo.core.errors import UserError
from music_flamingo.evaluation.benchmarks.base import (
    AudioIndex,
    Benchmark,
    BenchmarkItem,
    plain_match,
    read_json,
    require_fields,
    require_file,
    rows_by_id,
    strict_choice,
)
from music_flamingo.evaluation.benchmarks.labels import label_item

LABELS = {
    "source": ("acoustic", "electronic", "synthetic"),
    "instrument": (
        *("bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string", "synth lead", "vocal"),
    ),
}
QUESTIONS = {
    "source": "How was the sound of this note made?",
    "instrument": "Which family of instruments plays this note?",
}
_FIELDS = {"source": "instrument_source_str", "instrument": "instrument_family_str"}
ALIASES = {
    "source": {"acoustic instrument": "acoustic", "electronic instrument": "electronic", "synthesized": "synthetic"},
    "instrument": {"strings": "string", "synth": "synth lead", "synthesizer": "synth lead", "voice": "vocal"},
}


def read(folder: Path, what: str) -> list[BenchmarkItem]:
    """Read the notes with one label each: source or instrument family."""
    path = require_file(folder, "examples.json", "nsynth-test/examples.json")
    audio = AudioIndex(path.parent)
    prefix = path.parent.relative_to(folder)
    return [_item(note, row, what, (prefix / audio.find(f"audio/{note}.wav")).as_posix(), path)
            for note, row in rows_by_id(read_json(path), path).items()]  # fmt: skip


def _item(note: str, row: dict[str, Any], what: str, audio: str, path: Path) -> BenchmarkItem:
    require_fields(row, (_FIELDS[what],), path)
    label = row[_FIELDS[what]].replace("_", " ")
    if label not in LABELS[what]:
        raise UserError(f"{path}: {note} has {_FIELDS[what]} {label!r}, none of {', '.join(LABELS[what])}.")
    return label_item(note, audio, QUESTIONS[what], LABELS[what], label, unit=note.partition("-")[0])


def _benchmark(what: str) -> Benchmark:
    return Benchmark(
        name=f"nsynth_{what}",
        title=f"NSynth {what}",
        task="choice",
        source="magenta.tensorflow.org/datasets/nsynth, nsynth-test: examples.json and audio/",
        licence="CC BY 4.0",
        citation="Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017",
        counts=(4096,),
        items=partial(read, what=what),
        files=("examples.json", "nsynth-test/examples.json"),
        prompt_id="benchmark_choice",
        measures=(plain_match(ALIASES[what]), strict_choice(ALIASES[what])),
        aliases=ALIASES[what],
    )


SOURCE, INSTRUMENT = _benchmark("source"), _benchmark("instrument")
