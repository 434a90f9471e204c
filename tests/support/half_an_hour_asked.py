"""Thirty minutes through evaluation, `mf ask` and the endpoint, on a replica of Audio Flamingo Next.

python tests/support/half_an_hour_asked.py evaluate|ask|http FOLDER
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from music_flamingo.audio.flac import encode_flac
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Folder, Table
from music_flamingo.evaluation.answering import AnswerJob, answer_job
from music_flamingo.evaluation.items import ExamItem
from music_flamingo.model.adoption import adopt_model
from music_flamingo.records import Audio, Track
from music_flamingo.serving.client import ask
from support import sounds
from support.family_replicas import write_replica
from support.listening import RATE_HZ, give, heard_well, make_release, make_track, make_truth
from support.served import QUESTION, serving

NAME, SECONDS = "audio-flamingo-next", 1800


def evaluated(data: Path, samples: np.ndarray) -> None:
    audio = Audio(bytes=encode_flac(samples), path="half-an-hour.flac")
    track = make_track(make_truth(0)).model_copy(update={"duration_s": float(SECONDS), "audio": audio})
    give(data, "ingest", {"tracks": Track}, lambda **ports: ports["tracks"].write(0, [track]))
    item = ExamItem(track.id, track.work_id, "drums", QUESTION, ("yes", "no"), "yes")
    tracks = Table(data / "tracks", Track, read_manifest(data / "tracks"))
    common = {"batch_size": 2, "max_new_tokens": 4, "seed": 1, "tracks": tracks, "think": False}
    job = AnswerJob(
        "grpo", data / "grpo_model", condition="audio", items=(item,), heard_track_ids=(track.id,), **common
    )
    (prediction,) = answer_job(job)
    print(prediction.output)


def main(way: str, folder: Path) -> None:
    published, data = write_replica(folder / "published", NAME), folder / "data"
    give(data, "grpo_model", {"grpo_model": Folder}, lambda grpo_model: adopt_model(published, NAME, grpo_model.root))
    samples = np.random.default_rng(0).normal(0, 0.1, SECONDS * RATE_HZ).astype(np.float32)
    if way == "evaluate":
        evaluated(data, samples)
        return
    song, release = folder / "song.mp3", make_release(data, *heard_well(), max_new_tokens=4)
    song.write_bytes(sounds.encode(samples, "mp3", rate_hz=RATE_HZ, bit_rate=64_000))
    assert 13 < song.stat().st_size / 2**20 < 15
    if way == "ask":
        answer = ask(song, QUESTION, endpoint=None, release=release)
    else:
        with serving(release, start_s=300.0) as address:
            answer = ask(song, QUESTION, endpoint=address, release=release)
    assert answer.listened_s is not None and answer.duration_s is not None
    assert answer.listened_s[1] - answer.listened_s[0] > SECONDS - 1 and abs(answer.duration_s - SECONDS) < 1


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
