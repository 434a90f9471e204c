"""Sankey diagram: flows from left to right, with heights by count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640.0, 300.0
NODE_PX, GAP_PX = 12.0, 26.0
"""Between two nodes there is room for a line of text."""
LEFT_PX, RIGHT_PX = 190.0, 400.0
"""Between them the ribbons run; outside stand the labels."""


@dataclass(frozen=True)
class Node:
    """A node: label, count, position and height."""

    label: str
    count: int
    tone: str
    x: float
    y: float
    height: float


@dataclass(frozen=True)
class Ribbon:
    """A flow between two nodes: count and SVG path."""

    count: int
    tone: str
    title: str
    path: str


@dataclass(frozen=True)
class Ribbons:
    """Nodes, ribbons and size of a diagram."""

    left: tuple[Node, ...]
    right: tuple[Node, ...]
    ribbons: tuple[Ribbon, ...]
    width: float
    height: float
    total: int


def ribbons(counts: Mapping[tuple[str, str], int], tones: Mapping[str, str]) -> Ribbons:
    """`counts` of (from, to), drawn in the order given; `tones` by where a ribbon ends."""
    flows = {pair: count for pair, count in counts.items() if count}
    sources = list(dict.fromkeys(source for source, _ in flows))
    targets = list(dict.fromkeys(target for _, target in flows))
    total = sum(flows.values())
    height = max(HEIGHT, 2 * GAP_PX * max(len(sources), len(targets), 1))
    px = (height - GAP_PX * max(len(sources), len(targets), 1)) / max(total, 1)
    left = _stack(sources, {s: sum(n for (a, _), n in flows.items() if a == s) for s in sources}, {}, LEFT_PX, px)
    right = _stack(targets, {t: sum(n for (_, b), n in flows.items() if b == t) for t in targets}, tones, RIGHT_PX, px)
    return Ribbons(left, right, _between(flows, left, right, px), WIDTH, height, total)


def _stack(
    names: Sequence[str], counts: Mapping[str, int], tones: Mapping[str, str], x: float, px: float
) -> tuple[Node, ...]:
    nodes, y = [], GAP_PX / 2
    for name in names:
        nodes.append(Node(name, counts[name], tones.get(name, "soft"), x, round(y, 1), round(counts[name] * px, 1)))
        y += counts[name] * px + GAP_PX
    return tuple(nodes)


def _between(
    flows: Mapping[tuple[str, str], int], left: Sequence[Node], right: Sequence[Node], px: float
) -> tuple[Ribbon, ...]:
    """Each ribbon leaves its source below those before it, and ends likewise."""
    from_y, to_y = {n.label: n.y for n in left}, {n.label: n.y for n in right}
    tone = {n.label: n.tone for n in right}
    drawn = []
    for source in from_y:
        for target in to_y:
            count = flows.get((source, target), 0)
            if not count:
                continue
            path = _path(from_y[source], to_y[target], count * px)
            drawn.append(Ribbon(count, tone[target], f"{source} to {target}: {count}", path))
            from_y[source] += count * px
            to_y[target] += count * px
    return tuple(drawn)


def _path(y0: float, y1: float, height: float) -> str:
    x0, x1 = LEFT_PX + NODE_PX, RIGHT_PX
    middle = (x0 + x1) / 2
    return (
        f"M{x0:.1f} {y0:.1f}C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        f"V{y1 + height:.1f}C{middle:.1f} {y1 + height:.1f} {middle:.1f} {y0 + height:.1f} {x0:.1f} {y0 + height:.1f}Z"
    )
