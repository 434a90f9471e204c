"""Detect benchmark recordings in the training data, by name and by fingerprint.

Names: an item's own ids (YouTube ids, file names) against the ids, titles' files and addresses of the training tracks,
or against a list of ids. Names of fewer than six characters, and plain numbers, say too little and are passed over.
Sound: Chromaprint fingerprints, as ingest finds duplicates in a catalogue. A benchmark found there is refused.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from music_flamingo.audio.decode import BadAudioError, decode_model_copy
from music_flamingo.audio.fingerprint import FingerprintKind, fingerprint
from music_flamingo.audio.flac import MODEL_RATE_HZ
from music_flamingo.audio.measure import samples_sha256
from music_flamingo.core.errors import UserError
from music_flamingo.core.lines import lines_of
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.core.progress import Progress
from music_flamingo.core.record import OK
from music_flamingo.evaluation.benchmarks.base import BenchmarkItem
from music_flamingo.evaluation.recordings import LIMITS
from music_flamingo.quality.contamination import HeldOut, HeldOutSet, held_out_of_tracks
from music_flamingo.quality.duplicates import DuplicateLimits
from music_flamingo.quality.fingerprint_store import Fingerprinted
from music_flamingo.records import Track

MIN_NAME_CHARS = 6
SAME_SOUND = DuplicateLimits(max_bit_error=0.15, min_overlap=0.8, min_common_s=3.0)
"""As params.yaml has it for duplicates: unrelated recordings differ in about half of the bits."""
MAX_NAMED = 10


@dataclass(frozen=True)
class ContaminatedItem:
    """A recording of the benchmark that the training data hold."""

    item_id: str
    training_id: str
    how: str
    """`name` or `sound`."""


@dataclass(frozen=True)
class Training:
    """What is known of the training data."""

    names: dict[str, str]
    """A name of a training recording -> its id."""
    recordings: tuple[HeldOut, ...] = ()
    """With their fingerprints: here it is the benchmark that keeps clear of them."""


def training_of(tracks: Path | None, ids: Path | None) -> Training | None:
    """From a `tracks` port (its training split) and from a file of ids, one a line; None where neither is given."""
    if tracks is None and ids is None:
        return None
    names: dict[str, str] = {}
    recordings: list[HeldOut] = []
    if tracks is not None:
        table = Table(tracks, Track, read_manifest(tracks))
        for row in table.columns("id", "status", "split", "title", "uri").to_pylist():
            if row["status"] == OK and row["split"] == "train":
                names.update(dict.fromkeys(_names_of(row["id"], row["uri"], row["title"]), row["id"]))
        recordings = list(held_out_of_tracks(table.shards, "training", split="train"))
    if ids is not None:
        names.update(
            {name: name for line in lines_of(ids.read_text(encoding="utf-8")) for name in distinctive([line.strip()])}
        )
    return Training(names, tuple(recordings))


def _names_of(track_id: str, uri: str, title: str | None) -> list[str]:
    return distinctive([track_id, PurePosixPath(uri).stem, PurePosixPath(uri).name, title or ""])


def distinctive(names: Iterable[str]) -> list[str]:
    """Those that name one recording: long enough, and no mere number."""
    return [n.casefold() for n in names if len(n) >= MIN_NAME_CHARS and not n.isdigit()]


def contaminated(folder: Path, items: Sequence[BenchmarkItem], training: Training) -> list[ContaminatedItem]:
    """Items whose recording the training data hold, by name, else by sound."""
    by_name = {
        item.id: training.names[name]
        for item in items
        for name in distinctive(item.source_ids)
        if name in training.names
    }
    found = [ContaminatedItem(item_id, training_id, "name") for item_id, training_id in by_name.items()]
    return found + _by_sound(folder, [i for i in items if i.id not in by_name], training)


def _by_sound(folder: Path, items: Sequence[BenchmarkItem], training: Training) -> list[ContaminatedItem]:
    if not training.recordings:
        return []
    paths = sorted({path for item in items for path in item.audio})
    kind = training.recordings[0].fingerprint_kind
    hits = HeldOutSet(training.recordings).by_sound(_prints(folder, paths, kind), SAME_SOUND, kind)
    return [
        ContaminatedItem(item.id, hits[path].held.id, "sound") for item in items for path in item.audio if path in hits
    ]


def _prints(folder: Path, paths: Sequence[str], kind: FingerprintKind) -> Iterator[Fingerprinted]:
    with Progress("contamination", len(paths), "recordings") as progress:
        for path in paths:
            progress.advance()
            try:
                samples = decode_model_copy(folder / path, LIMITS)
            except BadAudioError:
                continue  # it will be counted as unheard when it is asked about
            words = np.array(fingerprint(samples, MODEL_RATE_HZ, kind), dtype=np.uint32)
            yield Fingerprinted(path, samples_sha256(samples), words)


def refuse(found: Sequence[ContaminatedItem], num_items: int) -> None:
    """Raises UserError that names what was found."""
    named = "\n  ".join(f"{f.item_id} is {f.training_id} ({f.how})" for f in found[:MAX_NAMED])
    more = f"\n  and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    raise UserError(
        f"{len(found)} of {num_items} questions are about recordings of the training data:\n  {named}{more}\n"
        "A score on them says nothing. Train without them, or report them as seen with --allow-contaminated."
    )
