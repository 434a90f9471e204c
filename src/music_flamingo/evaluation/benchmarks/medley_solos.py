"""Medley-solos-DB test set: 3 s solos of eight instruments (Lostanlen et al. 2019)."""

from pathlib import Path

from music_flamingo.evaluation.benchmarks.base import (
    AudioIndex,
    Benchmark,
    BenchmarkItem,
    plain_match,
    read_csv,
    require_fields,
    require_file,
    strict_choice,
)
from music_flamingo.evaluation.benchmarks.labels import label_item

INSTRUMENTS = (
    "clarinet", "distorted electric guitar", "female singer", "flute", "piano", "tenor saxophone", "trumpet", "violin",
)  # fmt: skip
ALIASES = {
    "electric guitar": "distorted electric guitar",
    "distorted guitar": "distorted electric guitar",
    "guitar": "distorted electric guitar",
    "singer": "female singer",
    "female voice": "female singer",
    "female vocals": "female singer",
    "saxophone": "tenor saxophone",
    "sax": "tenor saxophone",
}
QUESTION = "Which instrument plays alone here?"


def read(folder: Path) -> list[BenchmarkItem]:
    """Read the test subset with its instruments."""
    path = require_file(folder, "Medley-solos-DB_metadata.csv")
    audio = AudioIndex(folder)
    items = []
    for row in read_csv(path):
        require_fields(row, ("subset", "instrument", "instrument_id", "song_id", "uuid4"), path)
        if row["subset"] != "test":
            continue
        name = f"Medley-solos-DB_test-{row['instrument_id']}_{row['uuid4']}"
        label = row["instrument"].strip().lower()
        items.append(
            label_item(
                row["uuid4"],
                audio.find(f"{name}.wav", name),
                QUESTION,
                INSTRUMENTS,
                label,
                source_ids=(row["song_id"],),
                unit=f"song {row['song_id']}",
            )
        )
    return items


BENCHMARK = Benchmark(
    name="medley_solos_db",
    title="Medley-Solos-DB",
    task="choice",
    source="Zenodo 3464194, Medley-solos-DB_metadata.csv and the WAV files; subset = test",
    licence="CC BY 4.0",
    citation="Lostanlen et al., Medley-solos-DB: A Cross-collection Dataset for Musical Instrument Recognition, 2019",
    counts=(12236,),
    items=read,
    files=("Medley-solos-DB_metadata.csv",),
    prompt_id="benchmark_choice",
    measures=(plain_match(ALIASES), strict_choice(ALIASES)),
    aliases=ALIASES,
)
