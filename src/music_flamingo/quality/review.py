"""Draw a stratified sample for review by ear, so that rare families are included, with weights to undo it.

A stratum is what became of an example (kept, or its reason), its skill, type and family. The draw is by hash of seed
and id: the same set gives the same sample, whatever else is in it.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.core.ranges import Seed
from music_flamingo.core.record import RecordPart

KEPT = "kept"


class ReviewConfig(BaseModel):
    """Size of the review sample: in all and per stratum, longest clip (s), and the seed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    max_examples: int = Field(ge=0)
    """On the sheet; 0 makes none. Every stratum gets one before any gets a second."""
    per_stratum: int = Field(ge=1)
    max_clip_s: float = Field(gt=0)
    seed: Seed


class Stratum(RecordPart):
    """What `mf review` weighs ratings by."""

    name: str
    """`kept / harmony / chord / first_chord`"""
    kept: bool
    size: int
    """Examples in the whole set."""


@dataclass(frozen=True)
class ReviewSample:
    """One drawn example: its row number and its stratum."""

    row: int
    """Number among all candidates, in the order of shards."""
    stratum: str


def strata(rows: pa.Table) -> list[Stratum]:
    """All strata of the set with their sizes, in examples."""
    names, codes = _named(rows)
    sizes = np.bincount(codes, minlength=len(names))
    return [Stratum(name=n, kept=n.startswith(f"{KEPT} /"), size=int(k)) for n, k in zip(names, sizes, strict=True)]


def draw(rows: pa.Table, config: ReviewConfig) -> list[ReviewSample]:
    """The sample in the order of the rows."""
    names, codes = _named(rows)
    priority = _mixed(rows["id"].to_numpy(), config.seed)
    order = np.lexsort((priority, codes))
    first = np.concatenate([[True], codes[order][1:] != codes[order][:-1]]) if len(order) else np.empty(0, bool)
    starts = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0)) if len(order) else order
    rank = np.arange(len(order)) - starts
    within = rank < config.per_stratum
    chosen, turn = order[within], rank[within]
    # first of every stratum, then seconds; the larger strata first where there is not room for all
    sizes = np.bincount(codes, minlength=len(names))[codes[chosen]] if len(chosen) else np.empty(0, int)
    taken = chosen[np.lexsort((priority[chosen], -sizes, turn))][: config.max_examples]
    return [ReviewSample(int(row), names[codes[row]]) for row in sorted(taken.tolist())]


def _named(rows: pa.Table) -> tuple[list[str], np.ndarray]:
    """(names of the strata, the stratum of each row)."""
    fate = pc.if_else(pc.equal(rows["reason"], ""), KEPT, rows["reason"])
    joined = pc.binary_join_element_wise(fate, rows["skill"], rows["type"], rows["family"], " / ")
    encoded = joined.combine_chunks().dictionary_encode()
    names = np.array(encoded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(names) if len(names) else np.empty(0, int)
    place = np.empty(len(names), int)
    place[order] = np.arange(len(names))
    return [str(n) for n in names[order]], place[encoded.indices.to_numpy()] if len(names) else np.empty(0, int)


def _mixed(ids: np.ndarray, seed: int) -> np.ndarray:
    mixed = (ids ^ np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray(mixed ^ (mixed >> np.uint64(29)))
