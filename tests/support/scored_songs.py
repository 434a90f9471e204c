"""A folder of short songs that tools hear something in: pieces of the default's scores, performed once each."""

import json
import shutil
from pathlib import Path

from music_flamingo.sources.scores import ScoresConfig, ScoresSource
from support.songs import params


def write_songs(folder: Path, count: int, scratch: Path) -> Path:
    """`count` recordings of 12 s as FLAC, each of another work."""
    source = {**params("ingest")["source"], "num_works": count, "performances": 1, "held_out": None}
    scores = ScoresSource(ScoresConfig.model_validate_json(json.dumps(source)))
    folder.mkdir(parents=True, exist_ok=True)
    for unit in scores.units()[:count]:
        for recording in scores.recordings(unit, scratch):
            shutil.copyfile(recording.path, folder / f"{recording.id}.flac")
    return folder
