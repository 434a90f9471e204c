"""How often a 95 % interval of a share holds the truth: simulated groups of answers that hang together.

    python benchmarks/interval_coverage.py   n = 334, groups of 1 to 20, shares of .5 to .99, correlations 0 to .5

Groups have a share of their own, drawn from a beta distribution with the stated mean and correlation within a group.
The interval is that of evaluation/proportions. Writes a dated table to benchmarks/results; ends with status 1 where a
cell with a correlation of up to .3 lies outside 93 to 97 %.
"""

import argparse
import sys

import numpy as np
from published import publish

from music_flamingo.evaluation.proportions import grouped_share

NUM_ITEMS = 334
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
SIZES: tuple[int | str, ...] = (1, 2, 5, 10, 20, "1 to 20")
CORRELATIONS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
HIGHEST = 0.3
"""Correlation within a group up to which the coverage is promised."""
WANTED = (0.93, 0.97)
MORE = 8
"""So many times the draws decide on a cell that lies outside: 1,000 draws have a standard error of 0.7 points."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    draws = parser.parse_args().draws
    shares = " | ".join(f"p = {share}" for share in SHARES)
    lines = [f"| correlation | group | {shares} |", "|---|---|" + "---:|" * len(SHARES)]
    cells: dict[float, list[float]] = {}
    for correlation in CORRELATIONS:
        for size in SIZES:
            if size == 1 and correlation:
                continue
            row = [_sure(size, share, correlation, draws) for share in SHARES]
            cells.setdefault(correlation, []).extend(row)
            lines.append(f"| {correlation} | {size} | {' | '.join(f'{100 * c:.1f}' for c in row)} |")
            print(lines[-1], flush=True)
    promised = [c for correlation, row in cells.items() if correlation <= HIGHEST for c in row]
    beyond = [c for correlation, row in cells.items() if correlation > HIGHEST for c in row]
    lines += [
        "",
        f"Correlations up to {HIGHEST}: {_summary(promised)} Above: {_summary(beyond)} {draws} draws a cell, "
        f"{MORE * draws} where those lie outside.",
    ]
    publish("coverage", "Coverage of intervals", lines, notes=["one thread"])
    sys.exit(not all(_inside(c) for c in promised))


def _sure(size: int | str, share: float, correlation: float, draws: int) -> float:
    found = coverage(size, share, correlation, draws)
    return found if _inside(found) else coverage(size, share, correlation, MORE * draws)


def _summary(cells: list[float]) -> str:
    inside = sum(map(_inside, cells))
    ends = f"the least is {100 * min(cells):.1f} %, the most {100 * max(cells):.1f} %"
    return f"{inside} of {len(cells)} cells lie within 93 to 97 %; {ends}."


def _inside(cell: float) -> bool:
    return WANTED[0] <= cell <= WANTED[1]


def coverage(size: int | str, share: float, correlation: float, draws: int) -> float:
    """Share of draws whose interval holds the true share."""
    largest = 0 if size == "1 to 20" else int(size)
    rng = np.random.default_rng([draws, round(1000 * share), round(1000 * correlation), largest])
    hits = 0
    for _ in range(draws):
        asked = group_sizes(size, rng)
        right = rng.binomial(asked, _own_shares(len(asked), share, correlation, rng))
        found = grouped_share(right.astype(float), asked.astype(float))
        hits += found.low <= share <= found.high
    return hits / draws


def _own_shares(groups: int, share: float, correlation: float, rng: np.random.Generator) -> np.ndarray:
    if not correlation:
        return np.full(groups, share)
    spread = 1 / correlation - 1
    return rng.beta(share * spread, (1 - share) * spread, groups)


def group_sizes(size: int | str, rng: np.random.Generator) -> np.ndarray:
    """Sizes that add up to NUM_ITEMS: all alike but the last, or drawn from 1 to 20."""
    sizes: list[int] = []
    while sum(sizes) < NUM_ITEMS:
        drawn = int(rng.integers(1, 21)) if size == "1 to 20" else int(size)
        sizes.append(min(drawn, NUM_ITEMS - sum(sizes)))
    return np.array(sizes)


if __name__ == "__main__":
    main()
