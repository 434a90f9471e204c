"""MuChoMusic: 1,187 questions on 644 recordings of MusicCaps and the Song Describer Dataset (Weck et al. 2024).

The right answer comes first in the file; the published tool shuffles the options without a seed, here by seed 0. The
prompt is the published one, with its example.
Both scores are accuracies; the benchmark's instruction following rate is one less the official unparsed rate.
"""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path

from music_flamingo.core.errors import UserError
from music_flamingo.evaluation.benchmarks.base import (
    AudioIndex,
    Benchmark,
    BenchmarkItem,
    BenchmarkMetric,
    Grade,
    Replies,
    permuted,
    read_csv,
    require_fields,
    require_file,
    strict_choice,
)
from music_flamingo.scoring.official import muchomusic_choice
from music_flamingo.scoring.wrappings import without_thoughts

ORDER_SEED = 0
_OPTIONS = ("correct_answer", "distractor_1_answer", "distractor_2_answer", "distractor_3_answer")
_FIELDS = ("question", *_OPTIONS, "dataset", "dataset_identifier", "genre", "music_knowledge", "music_reasoning")


def read(folder: Path) -> list[BenchmarkItem]:
    """Read the questions; recordings come from MusicCaps and the Song Describer Dataset."""
    path = require_file(folder, "muchomusic.csv")
    audio, describer = AudioIndex(folder), _song_describer(folder)
    items = []
    for number, row in enumerate(read_csv(path)):
        require_fields(row, _FIELDS, path)
        recording = recording_of(row["dataset"], row["dataset_identifier"])
        skills = [
            (kind, name)
            for kind in ("music_knowledge", "music_reasoning")
            for name in (kind.removeprefix("music_"), *_names(row[kind], path))
            if _names(row[kind], path)
        ]
        item = BenchmarkItem(
            id=f"{number:04d}-{recording}",
            audio=(_audio(row["dataset"], recording, audio, describer),),
            question=row["question"],
            options=tuple(row[name] for name in _OPTIONS),
            reference=row["correct_answer"],
            answer_index=0,
            groups=(
                *(("category" if name == kind.removeprefix("music_") else "skill", name) for kind, name in skills),
                *([("genre", row["genre"])] if row["genre"] else []),
            ),
            source_ids=(recording,),
        )
        items.append(permuted(item, ORDER_SEED, "muchomusic"))
    return items


def recording_of(dataset: str, identifier: str) -> str:
    """`415600.json` of sdd is track 415600; `abc_0.json` of musiccaps is the YouTube id `abc`."""
    name = identifier.removesuffix(".json")
    return name if dataset == "sdd" else name.rpartition("_")[0]


def _names(text: str, path: Path) -> list[str]:
    try:
        return [str(name) for name in ast.literal_eval(text)] if text.strip() else []
    except (ValueError, SyntaxError) as error:
        raise UserError(f"{path}: {text!r} is not a list of names: is it the published file?") from error


def _song_describer(folder: Path) -> dict[str, str]:
    path = folder / "sdd/song_describer.csv"
    return {row["track_id"]: row["path"] for row in read_csv(path)} if path.is_file() else {}


def _audio(dataset: str, recording: str, audio: AudioIndex, describer: Mapping[str, str]) -> str:
    """sdd/audio/<path>.2min.mp3 or musiccaps/audio/[id]-[start-end].wav, as the published tool lays them out."""
    if dataset == "sdd":
        path = describer.get(recording, f"{recording}.mp3").replace(".mp3", ".2min.mp3")
        return audio.find(f"sdd/audio/{path}", recording, f"{recording}.2min")
    stems = [stem for stem in audio.by_stem if stem.startswith(f"[{recording}]")]
    return audio.find(f"musiccaps/audio/{recording}.wav", *stems)


def official(item: BenchmarkItem, output: str, replies: Replies) -> Grade:
    """Grade by MuChoMusic's published rule."""
    return Grade(float(muchomusic_choice(without_thoughts(output), item.options) == item.order.index(0)))


def _skills(item: BenchmarkItem, kind: str) -> list[str]:
    """The names of one kind: those after its category, up to the next one. The published evaluate.py averages them."""
    names: list[str] = []
    current = ""
    for group, name in item.groups:
        current = name if group == "category" else current
        if group == "skill" and current == kind:
            names.append(name)
    return names


def _of_describer(item: BenchmarkItem) -> bool:
    return item.source_ids[0].isdigit()


def submission(folder: Path, items: Sequence[BenchmarkItem], outputs: Mapping[str, str]) -> object:
    """The file that the published evaluate.py reads."""
    return [
        {
            "id": int(item.source_ids[0]) if _of_describer(item) else item.source_ids[0],
            "prompt": BENCHMARK.prompt(item),
            "answers": list(item.options),
            "answer_orders": list(item.order),
            "dataset": "sdd" if _of_describer(item) else "musiccaps",
            "genre": next((name for kind, name in item.groups if kind == "genre"), ""),
            "reasoning": _skills(item, "reasoning"),
            "knowledge": _skills(item, "knowledge"),
            "audio_path": item.audio[0],
            "model_output": without_thoughts(outputs[item.id]),
        }
        for item in items
    ]


BENCHMARK = Benchmark(
    name="muchomusic",
    title="MuChoMusic",
    task="choice",
    source="Zenodo 12709974, muchomusic.csv; audio of MusicCaps and the Song Describer Dataset in musiccaps/ and sdd/",
    licence="CC BY 4.0 (questions)",
    citation="Weck et al., MuChoMusic: Evaluating Music Understanding in Multimodal Audio-Language Models, ISMIR 2024",
    counts=(1187,),
    items=read,
    files=("muchomusic.csv",),
    prompt_id="benchmark_muchomusic",
    measures=(
        BenchmarkMetric(
            "official",
            "official",
            official,
            "MuChoMusic's scoring.py: exactly one capital A to D after its prefix, else the first option in the text",
        ),
        strict_choice(),
    ),
    submission=submission,
)
