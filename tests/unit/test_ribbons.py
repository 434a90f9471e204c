"""Ribbons: heights are counts, and nothing is lost on the way."""

from itertools import pairwise

import pytest

from music_flamingo.report.ribbons import ribbons

COUNTS = {("missed", "kept"): 6, ("chosen", "kept"): 3, ("missed", "dropped"): 1, ("chosen", "dropped"): 0}


def test_nodes_and_ribbons_are_as_high_as_their_counts():
    flow = ribbons(COUNTS, {"kept": "good", "dropped": "bad"})
    assert {n.label: n.count for n in flow.left} == {"missed": 7, "chosen": 3}
    assert {n.label: n.count for n in flow.right} == {"kept": 9, "dropped": 1}
    unit = {round(n.height / n.count) for n in (*flow.left, *flow.right)}
    assert len(unit) == 1
    assert sum(r.count for r in flow.ribbons) == flow.total == 10 and len(flow.ribbons) == 3


@pytest.mark.parametrize("side", ["left", "right"])
def test_nodes_of_a_side_do_not_overlap_and_stay_inside(side):
    flow = ribbons(COUNTS, {})
    nodes = getattr(flow, side)
    assert all(a.y + a.height < b.y for a, b in pairwise(nodes))
    assert nodes[-1].y + nodes[-1].height <= flow.height


def test_nothing_to_draw_is_an_empty_picture():
    assert ribbons({}, {}).total == 0
