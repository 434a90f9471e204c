"""The pieces of music21's corpus that `scores` performs: explicit lists by tradition.

pieces.yaml has those that are dealt over the splits, held_out_pieces.yaml further ones that are never trained on.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from music_flamingo.core.errors import ConfigError

LIST = Path(__file__).with_name("pieces.yaml")
HELD_OUT_LIST = Path(__file__).with_name("held_out_pieces.yaml")
NORTH_AMERICA = ("american_fiddle", "american_fife", "lead_sheet", "ragtime", "spiritual")
EAST_ASIA = ("chinese",)


@dataclass(frozen=True)
class Piece:
    """One work of the corpus."""

    source: str
    """Path inside music21's corpus, with its suffix: `bach/bwv66.6.mxl`."""
    number: int | None
    """Which tune of a collection (its `X:` field), or None for a file that holds one work."""
    tradition: str
    language: str | None
    """Of the words under the notes, where there are any."""
    title: str | None
    artist: str | None
    """Where the file names them badly or not at all."""

    @property
    def region(self) -> str:
        """Where the tradition is at home; all that are not named elsewhere are European."""
        if self.tradition in NORTH_AMERICA:
            return "North America"
        return "East Asia" if self.tradition in EAST_ASIA else "Europe"

    @property
    def work_id(self) -> str:
        """`bach-bwv66.6`, `essenFolksong-han1-5`."""
        stem = re.sub(r"\.(mxl|xml|musicxml|krn|abc)$", "", self.source)
        name = re.sub(r"[^A-Za-z0-9.]+", "-", stem).strip("-")
        return name if self.number is None else f"{name}-{self.number}"


@cache
def all_pieces() -> tuple[Piece, ...]:
    """Every piece that is dealt over the splits, in order of tradition and source."""
    return _listed(LIST)


@cache
def held_out_pieces() -> tuple[Piece, ...]:
    """Every further piece that is held out, in the same order; none of them is in `all_pieces`."""
    return _listed(HELD_OUT_LIST)


def _listed(path: Path) -> tuple[Piece, ...]:
    pieces = []
    for tradition, groups in sorted(yaml.safe_load(path.read_text()).items()):
        for group in groups:
            for number in group.get("numbers", [None]):
                named = (group.get(name) for name in ("language", "title", "artist"))
                pieces.append(Piece(group["source"], number, tradition, *named))
    return tuple(sorted(pieces, key=lambda p: (p.tradition, p.source, p.number or 0)))


def find_piece(work_id: str) -> Piece:
    """The piece of that work id. Raises ConfigError for an unknown one."""
    for piece in (*all_pieces(), *held_out_pieces()):
        if piece.work_id == work_id:
            return piece
    raise ConfigError(f"there is no piece `{work_id}` in {LIST.name}, e.g. {all_pieces()[0].work_id}.")


def choose_pieces(count: int | None, pieces: Sequence[Piece] | None = None) -> list[Piece]:
    """The first `count` of `pieces` (null: `all_pieces`) dealt round the traditions, so that a small set is as varied
    as a large one."""
    pieces = list(all_pieces() if pieces is None else pieces)
    if count is None or count >= len(pieces):
        return pieces
    rounds: dict[str, int] = {}
    order = []
    for piece in pieces:
        rounds[piece.tradition] = rounds.get(piece.tradition, -1) + 1
        order.append((rounds[piece.tradition], piece.tradition, piece.work_id))
    chosen = {work_id for _, _, work_id in sorted(order)[:count]}
    return [p for p in pieces if p.work_id in chosen]
