"""Splits by work, artist or album: all recordings of one are in one split, and each tradition is in every split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.core.ranges import Fraction, Seed
from music_flamingo.records.track import Split

NAMES: tuple[Split, ...] = ("train", "dev", "test")


class SplitConfig(BaseModel):
    """Fractions of the works."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    by: Literal["work", "artist", "album"]
    """What stays together. A track without an artist (or album) goes by its work."""
    seed: Seed
    train: Fraction
    dev: Fraction
    test: Fraction

    @model_validator(mode="after")
    def _whole(self) -> "SplitConfig":
        if min(self.train, self.dev, self.test) < 0 or abs(self.train + self.dev + self.test - 1) > 1e-6:
            raise ValueError(f"the splits' fractions add up to 1: {self.train} + {self.dev} + {self.test}")
        return self


@dataclass(frozen=True, slots=True)
class MusicalWork:
    """A work with its tradition, whether it is usable, and its given split if it has one."""

    work_id: str
    tradition: str | None
    is_usable: bool
    """Has a recording that is not quarantined."""
    given: Split | None = None
    """The split that its source asks for; it takes no part in the dealing."""


def deal_splits(works: Sequence[MusicalWork], config: SplitConfig) -> dict[str, Split]:
    """Work id -> split. Works are dealt tradition by tradition, each to the split that lacks most of its share.

    One usable work goes to train; two or more leave at least one for test, if test is to have any. Works without a
    usable recording are train's: they are quarantined, and count for nothing.
    """
    fractions = {"train": config.train, "dev": config.dev, "test": config.test}
    order = sorted(
        (w for w in works if w.is_usable and w.given is None),
        key=lambda w: (w.tradition or "", sha256_bytes(f"{config.seed}/{w.work_id}".encode())),
    )
    splits: dict[str, Split] = {w.work_id: w.given or "train" for w in works}
    counts = dict.fromkeys(NAMES, 0)
    for number, work in enumerate(order, start=1):
        split = max(NAMES, key=lambda name: fractions[name] * number - counts[name])
        splits[work.work_id] = split
        counts[split] += 1
    if len(order) < len([w for w in works if w.is_usable]):
        return splits  # what the source gives is not mended
    _at_least_one(splits, [w.work_id for w in order], fractions)
    return splits


def _at_least_one(splits: dict[str, Split], order: list[str], fractions: dict[str, float]) -> None:
    """Small sets: train first, then test."""
    dealt = {name: [w for w in order if splits[w] == name] for name in NAMES}
    if order and not dealt["train"]:
        splits[order[0]] = "train"
    if len(order) > 1 and not dealt["test"] and fractions["test"] > 0:
        spare = dealt["dev"] or dealt["train"]
        splits[spare[-1]] = "test"
