"""HTML pages of `mf evaluate`: an overview, and one page per benchmark with groups, controls and failures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from music_flamingo.audio.decode import BadAudioError, decode_model_copy
from music_flamingo.audio.flac import encode_flac
from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.core.shards import write_atomic
from music_flamingo.evaluation.grading import ALL, Graded, RateRow
from music_flamingo.evaluation.outcome import Outcome, asked_of, files_of
from music_flamingo.evaluation.recordings import LIMITS, TITLES, join_with_gaps
from music_flamingo.report.site import write_page

MAX_FAILURES = 24
"""To listen to; chosen by their ids' digest, so that the same evaluation shows the same ones."""


@dataclass(frozen=True)
class Failure:
    """One wrong answer as a page shows it, with its audio file."""

    graded: Graded
    audio: str | None
    """Address of the sound as the model heard it; None where it cannot be decoded."""
    told: str
    """Its scores in words."""


def write_overview_page(out: Path, outcomes: Sequence[Outcome]) -> None:
    """Write index.html over all benchmarks of the folder."""
    write_page(out, "index.html", "benchmarks.html.j2", outcomes=outcomes, **_common())


def write_benchmark_page(out: Path, outcome: Outcome, graded: Sequence[Graded], data: Path) -> None:
    """Write one benchmark's page, with groups, controls and failures to listen to."""
    address = f"{outcome.run.benchmark}/index.html"
    title = outcome.rows[0].title if outcome.rows else outcome.run.benchmark
    write_page(
        out,
        address,
        "benchmark.html.j2",
        outcome=outcome,
        groups=[r for r in outcome.rows if r.condition == "audio" and r.group != ALL],
        failures=_failures(out / outcome.run.benchmark, graded, data),
        **_common((address, title)),
    )


def _common(*own: tuple[str, str]) -> dict[str, object]:
    """What both kinds of page need; a page of one benchmark stands in the navigation next to the overview."""
    return {
        "navigation": (("index.html", "All benchmarks"), *own),
        "headline": headline,
        "control": control_value,
        "asked_of": asked_of,
        "files_of": files_of,
        "titles": TITLES,
        "letters": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    }


def headline(outcome: Outcome) -> list[RateRow]:
    """The rows over all items with the true audio."""
    return [r for r in outcome.rows if r.condition == "audio" and r.group == ALL]


def control_value(outcome: Outcome, measure: str, condition: str) -> float | None:
    """Value of a measure under a control condition, over all groups; None where it was not run."""
    found = [r for r in outcome.rows if (r.measure, r.condition, r.group) == (measure, condition, ALL)]
    return found[0].value if found else None


def _failures(folder: Path, graded: Sequence[Graded], data: Path) -> list[Failure]:
    """Items that the model got wrong or worst, with their sound."""
    heard = [g for g in graded if g.condition == "audio" and _shortfall(g) > 0]
    ranked = sorted(heard, key=lambda g: (_shortfall(g) < 1.0, sha256_bytes(g.item_id.encode())))
    return [Failure(g, _sound(folder, g, data), _told(g)) for g in ranked[:MAX_FAILURES]]


def _shortfall(graded: Graded) -> float:
    """How much is missing: 1 for a wrong answer, the error rate of a transcript, points below the best of a judge."""
    value, weight = next((graded.grades[m] for m in ("strict", *graded.grades) if m in graded.grades), (0.0, 0.0))
    if not weight:
        return 0.0
    if graded.answer_index is not None:
        return 1.0 - value
    return value / weight if weight > 1 else float(value < 1.0)


def _told(graded: Graded) -> str:
    rates = [f"{name} {value:g}" + (f" of {weight:g}" if weight != 1 else "")
             for name, (value, weight) in graded.grades.items()]  # fmt: skip
    return ", ".join(rates)


def _sound(folder: Path, graded: Graded, data: Path) -> str | None:
    address = f"audio/{sha256_bytes('|'.join(graded.audio).encode())[:16]}.flac"
    if not (folder / address).is_file():
        try:
            samples = join_with_gaps([decode_model_copy(data / path, LIMITS) for path in graded.audio])
        except (BadAudioError, OSError):
            return None
        write_atomic(folder / address, encode_flac(samples))
    return address
