"""Geometry of the charts. Positions are percent of the plot area, from the left and from the top; templates draw them.

A chart is drawn at the width of its place with text of one size: lines scale, letters do not.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]
"""x, y in the units of the data."""

SMOOTHING_POINTS = 15
"""A curve with more points than twice this is drawn thin, with its running mean over this many points in front."""


@dataclass(frozen=True)
class Tick:
    """A tick of an axis: position (percent) and label."""

    at: float
    label: str


@dataclass(frozen=True)
class ChartLine:
    """One line of a chart: points and SVG path."""

    name: str
    tone: str
    """Which colour of the style sheet: `sft`, `warmup`, `grpo`, `a`, `b` ..."""
    points: tuple[Point, ...]
    path: str
    smooth_path: str | None


@dataclass(frozen=True)
class LineChart:
    """A line chart with its axes, in percent of the plot area."""

    title: str
    unit: str
    """What y is counted in; empty for a plain number."""
    x_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[ChartLine, ...]
    x_range: Point
    y_range: Point

    @property
    def readings(self) -> list[dict[str, object]]:
        """What the pointer reads off: every line's points, already rounded for people."""
        return [
            {
                "name": line.name,
                "tone": line.tone,
                "x": [p[0] for p in line.points],
                "y": [short(p[1]) for p in line.points],
            }
            for line in self.lines
        ]


@dataclass(frozen=True)
class Bar:
    """One bar: label, count, share of the largest, and parts."""

    label: str
    count: int
    share: float
    """Percent of the largest bar."""
    parts: tuple[tuple[str, int, float], ...] = ()
    """(tone, count, percent of this bar) where a bar is divided."""


@dataclass(frozen=True)
class Column:
    """One column of a histogram: from `left`, `width` wide, `height` high, all in percent."""

    label: str
    count: int
    left: float
    width: float
    height: float


@dataclass(frozen=True)
class Histogram:
    """Columns with their axes, in percent of the plot area."""

    columns: tuple[Column, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_label: str
    count: int


def line_chart(
    title: str,
    series: Mapping[str, tuple[str, Sequence[Point]]],
    *,
    unit: str = "",
    x_label: str = "step",
    noisy: bool = True,
) -> LineChart:
    """A chart of {name: (tone, points)}, with running means where it is `noisy`. Needs at least one point in all."""
    every = [p for _, points in series.values() for p in points]
    x_low, x_high = _span([x for x, _ in every])
    y_low, y_high, y_values = _axis([y for _, y in every])
    across, up = _scale(x_low, x_high), _scale(y_low, y_high)
    lines = [
        ChartLine(name, tone, tuple(points), _path(points, across, up), _smooth(points, across, up) if noisy else None)
        for name, (tone, points) in series.items()
    ]
    return LineChart(
        title=title,
        unit=unit,
        x_label=x_label,
        x_ticks=tuple(Tick(across(v), short(v)) for v in nice_values(x_low, x_high, 4)),
        y_ticks=tuple(Tick(100 - up(v), short(v)) for v in y_values),
        lines=tuple(lines),
        x_range=(x_low, x_high),
        y_range=(y_low, y_high),
    )


def bars(counts: Mapping[str, int]) -> tuple[Bar, ...]:
    """Bars in the order given, the longest at 100 %."""
    most = max(counts.values(), default=0) or 1
    return tuple(Bar(label, n, round(100 * n / most, 2)) for label, n in counts.items())


def divided_bars(counts: Mapping[str, Mapping[str, int]], tones: Sequence[str]) -> tuple[Bar, ...]:
    """Bars of {label: {tone: count}}, each divided by tone in the order of `tones`."""
    totals = {label: sum(parts.values()) for label, parts in counts.items()}
    most = max(totals.values(), default=0) or 1
    return tuple(
        Bar(
            label,
            totals[label],
            round(100 * totals[label] / most, 2),
            tuple((t, parts[t], round(100 * parts[t] / totals[label], 2)) for t in tones if parts.get(t)),
        )
        for label, parts in counts.items()
    )


def histogram(values: Iterable[float], *, width: float, x_label: str) -> Histogram | None:
    """Columns `width` units wide over the values' range; None without values."""
    bins: dict[int, int] = {}
    for value in values:
        bins[math.floor(value / width)] = bins.get(math.floor(value / width), 0) + 1
    if not bins:
        return None
    first, last = min(bins), max(bins) + 1
    across = _scale(first * width, last * width)
    most = max(bins.values())
    y_values = [v for v in nice_values(0, most, 3) if v == int(v)]
    return Histogram(
        columns=tuple(
            Column(
                f"{short(i * width)}–{short((i + 1) * width)}",
                bins[i],
                round(across(i * width), 3),
                round(100 / (last - first), 3),
                round(100 * bins[i] / most, 3),
            )
            for i in sorted(bins)
        ),
        x_ticks=tuple(Tick(across(v), short(v)) for v in nice_values(first * width, last * width, 5)),
        y_ticks=tuple(Tick(100 - 100 * v / most, short(v)) for v in y_values),
        x_label=x_label,
        count=sum(bins.values()),
    )


def nice_values(low: float, high: float, about: int) -> list[float]:
    """Round numbers from `low` to `high`, around `about` of them: steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if span <= 0:
        return [low]
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def short(value: float) -> str:
    """A number for reading: three significant digits, no trailing zeros, thousands grouped."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    magnitude = abs(value)
    if magnitude >= 1000:
        return f"{value:,.0f}"
    if magnitude < 0.001:
        return f"{value:.1e}".replace("e-0", "e-")
    digits = max(0, 2 - math.floor(math.log10(magnitude)))
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


def running_mean(points: Sequence[Point], width: int) -> list[Point]:
    """Mean of y over the `width` points around each point (fewer at the ends)."""
    half = width // 2
    return [
        (x, sum(p[1] for p in near) / len(near))
        for i, (x, _) in enumerate(points)
        for near in [points[max(0, i - half) : i + half + 1]]
    ]


def _smooth(points: Sequence[Point], across: Callable[[float], float], up: Callable[[float], float]) -> str | None:
    if len(points) <= 2 * SMOOTHING_POINTS:
        return None
    return _path(running_mean(points, SMOOTHING_POINTS), across, up)


def _path(points: Sequence[Point], across: Callable[[float], float], up: Callable[[float], float]) -> str:
    places = [(across(x), 100 - up(y)) for x, y in points]
    return "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in places)


def _scale(low: float, high: float) -> Callable[[float], float]:
    return lambda value: 100 * (value - low) / (high - low)


def _span(values: Sequence[float]) -> Point:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _axis(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """A y axis that ends on round numbers: (low, high, tick values). It begins at 0 where the data come near it."""
    low, high = _span(values)
    if 0 <= low < 0.4 * high:
        low = 0.0
    ticks = nice_values(low, high, 4)
    step = min(b - a for a, b in pairwise(ticks)) if len(ticks) > 1 else high - low
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return low, high, nice_values(low, high, 4)
