"""What the pages call the music: pieces with a score where scores were rendered, songs without one elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass

from music_flamingo.core.manifest import Manifest


@dataclass(frozen=True)
class Wording:
    """Words for one kind of source. Nothing is claimed that the source does not have."""

    work: str
    """Of one work, in the singular."""
    recording: str
    """Of one recording, in the singular: what it is made of belongs to every figure."""
    origin: str
    """Where the sound of the examination comes from."""
    grouping: str
    """What is known to share a split."""
    splits: Mapping[str, str]
    """Split -> what its tracks are for."""
    examined: str
    """What the stage `evaluate` asks about."""
    unexamined: str
    """Why there are no results, where there are none."""


PIECES = Wording(
    work="piece",
    recording="rendered performance",
    origin="All sound is rendered from scores; real recordings are harder.",
    grouping="All performances of a piece stand in one split, so that nothing tested was ever trained on.",
    splits={"test": "held out for the examination", "train": "trained on", "dev": "used for tuning"},
    examined="Held-out pieces, with their audio, with another's, and with none.",
    unexamined="There are no scores in this run. Rendered scores know their own tempo, meter, key and instruments, and "
    "can be examined.",
)
SONGS = Wording(
    work="song",
    recording="recording",
    origin="The sound is that of the recordings given.",
    grouping="Recordings of the same artist and title stand in one split, and so do those that sound the same. Other "
    "recordings of one work, such as cover versions and single tracks of a mix, are not recognised.",
    splits={"test": "set apart, not trained on", "train": "trained on", "dev": "set apart for tuning"},
    examined="Asks about songs that were not trained on, with their audio, with another's, and with none.",
    unexamined="Nothing was examined in this run: there is nothing to hold answers against.",
)


def wording_of(truth: Manifest) -> Wording:
    """By what the source knows of its recordings, as the manifest of the port `truth` counts it."""
    return PIECES if truth.num_records else SONGS
