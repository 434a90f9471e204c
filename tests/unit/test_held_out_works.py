"""Further works that nobody trains on: which they are, how many performances they get, and in which split they lie."""

from pathlib import Path

import music21
import pytest

from music_flamingo.sources.pieces import all_pieces, find_piece, held_out_pieces
from music_flamingo.sources.scores import HeldOutWorks, ScoresSource
from tests.unit.test_scores import CONFIG

CORPUS = Path(music21.__file__).parent / "corpus"
FEW = HeldOutWorks(num_works=3, performances=1, dev_every=4)


def source(held_out: HeldOutWorks | None) -> ScoresSource:
    return ScoresSource(CONFIG.model_copy(update={"num_works": 2, "performances": 2, "held_out": held_out}))


def test_with_them_at_least_a_hundred_works_are_held_out_and_none_is_dealt_as_well():
    held_out, dealt = held_out_pieces(), all_pieces()
    assert len({p.work_id for p in held_out}) == len(held_out) >= 115
    assert not {p.work_id for p in held_out} & {p.work_id for p in dealt}
    assert len({p.tradition for p in held_out}) >= 8
    assert {p.tradition for p in held_out} <= {p.tradition for p in dealt}
    assert all((CORPUS / p.source).is_file() for p in held_out)
    assert find_piece(held_out[0].work_id) == held_out[0]


def test_they_come_after_the_others_and_only_where_they_are_asked_for():
    alone, more = source(None).units(), source(FEW).units()
    assert len(alone) == 2 and more[:2] == alone and len(more) == 5
    assert set(more[2:]) <= {p.work_id for p in held_out_pieces()}


def test_their_splits_are_given_and_the_others_are_dealt():
    given = source(HeldOutWorks(num_works=None, performances=1, dev_every=8))
    splits = [given._given_split(p.work_id) for p in held_out_pieces()]
    assert set(splits) == {"dev", "test"} and splits.count("test") > 100
    assert all(given._given_split(p.work_id) is None for p in all_pieces())
    assert all(source(None)._given_split(p.work_id) is None for p in held_out_pieces())


@pytest.mark.parametrize("unit", source(FEW).units()[1:3])
def test_each_has_its_own_number_of_performances(unit, tmp_path):
    made = list(source(FEW).recordings(unit, tmp_path))
    is_held_out = unit in {p.work_id for p in held_out_pieces()}
    assert len(made) == (1 if is_held_out else 2)
    assert all((r.given_split in ("dev", "test")) == is_held_out for r in made)
