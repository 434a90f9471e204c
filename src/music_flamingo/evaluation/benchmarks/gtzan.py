"""GTZAN genres: 1,000 clips of 30 s in 10 genres; known for faults, so a list of the 290 filtered test clips is used
where it lies next to them (`test_filtered.txt`, Kereliuk et al. 2015: one `genre/genre.NNNNN.wav` a line)."""

from pathlib import Path

from music_flamingo.core.errors import MissingInputError
from music_flamingo.evaluation.benchmarks.base import (
    AudioIndex,
    Benchmark,
    BenchmarkItem,
    plain_match,
    strict_choice,
)
from music_flamingo.evaluation.benchmarks.labels import label_item

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
ALIASES = {"hip hop": "hiphop", "rap": "hiphop", "heavy metal": "metal"}
FILTERED = "test_filtered.txt"
QUESTION = "Which genre is this music?"


def read(folder: Path) -> list[BenchmarkItem]:
    """Read the clips with their genres; the filtered list of test clips is used where it exists."""
    names = _listed(folder) if (folder / FILTERED).is_file() else _found(folder)
    if not names:
        raise MissingInputError(f"{folder} holds no genres/<genre>/<genre>.NNNNN.wav: --data is GTZAN's folder.")
    audio = AudioIndex(folder)
    return [
        label_item(stem, audio.find(f"genres/{stem.split('.')[0]}/{stem}.wav"), QUESTION, GENRES, stem.split(".")[0])
        for stem in names
    ]


def _listed(folder: Path) -> list[str]:
    lines = (folder / FILTERED).read_text().split()
    return [Path(line).name.removesuffix(".wav").removesuffix(".au") for line in lines]


def _found(folder: Path) -> list[str]:
    return sorted(s for s in AudioIndex(folder).by_stem if s.split(".")[0] in GENRES and s.split(".")[-1].isdigit())


BENCHMARK = Benchmark(
    name="gtzan",
    title="GTZAN genre",
    task="choice",
    source="GTZAN (marsyas.info), genres/<genre>/<genre>.NNNNN.wav or .au; optional test_filtered.txt",
    licence="none stated by its authors",
    citation="Tzanetakis and Cook, Musical Genre Classification of Audio Signals, 2002; faults: Sturm 2013",
    counts=(1000, 290),
    items=read,
    files=(FILTERED,),
    prompt_id="benchmark_choice",
    measures=(plain_match(ALIASES), strict_choice(ALIASES)),
    aliases=ALIASES,
)
