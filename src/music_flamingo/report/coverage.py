"""Contents of the data set: traditions, splits, tempi, keys, questions, rejects, and label accuracy."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from music_flamingo.core.ports import Table
from music_flamingo.core.record import OK
from music_flamingo.records import Example, Facts, Truth
from music_flamingo.report.balance import Balance, balances
from music_flamingo.report.chains import Chains, chains
from music_flamingo.report.charts import Bar, Histogram, bars, divided_bars, histogram
from music_flamingo.report.flow import ReasonCount, reasons_of
from music_flamingo.report.results import family_title
from music_flamingo.report.run import ReportInputs, TrackRow, counted, first_of_each
from music_flamingo.scoring.families import FAMILIES
from music_flamingo.scoring.normalise import same_answer
from music_flamingo.scoring.tempo import METRICAL_LEVELS, same_tempo

FLAT_NAMES = {"F#": "Gb", "C#": "Db", "G#": "Ab", "D#": "Eb", "A#": "Bb", "Cb": "B", "E#": "F", "B#": "C", "Fb": "E"}
"""One name for a pitch class."""

SPLITS = ("train", "dev", "test")
TEMPO_BIN_BPM = 10
FIFTHS = ("Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B")
"""Tonics around the circle of fifths, C in the middle: related keys stand together."""

SKILLS = {
    "temporal": "Temporal understanding",
    "attribute": "Attributes",
    "harmony": "Harmony and theory",
    "lyrics_vocal": "Lyrics and voice",
    "comparative": "Comparison and structure",
    "caption": "Captions",
}
TYPES = {
    "open": "open",
    "multiple_choice": "multiple choice",
    "count": "count",
    "time": "time",
    "chord": "chord",
    "technique": "technique",
    "comparison": "comparison",
    "caption": "caption",
}


@dataclass(frozen=True)
class KeyColumn:
    """Counts of one tonic in major and minor, with heights in percent."""

    tonic: str
    major: int
    minor: int
    major_height: float
    minor_height: float


@dataclass(frozen=True)
class RejectGroup:
    """A reject reason with its count and some examples."""

    reason: ReasonCount
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class LabelAgreement:
    """How often a label that MIR facts gave equals what the score says."""

    name: str
    num_both: int
    num_equal: int
    num_unlabelled: int
    """The score knows, the facts gave none: never asked in training."""

    @property
    def percent(self) -> float | None:
        """Agreement in percent; None where nothing was compared."""
        return 100 * self.num_equal / self.num_both if self.num_both else None


@dataclass(frozen=True)
class CatalogueCoverage:
    """All figures of the data page."""

    num_tracks: int
    num_works: int
    num_hours: float
    traditions: tuple[Bar, ...]
    splits: tuple[Bar, ...]
    works: tuple[Bar, ...]
    """Pieces by split."""
    balances: tuple[Balance, ...]
    track_reasons: tuple[ReasonCount, ...]
    facts_reasons: tuple[ReasonCount, ...]
    problems: tuple[ReasonCount, ...]
    tempi: Histogram | None
    durations: Histogram | None
    keys: tuple[KeyColumn, ...]
    skills: tuple[Bar, ...]
    types: tuple[Bar, ...]
    num_questions: int
    num_traditions: int
    families: tuple[Bar, ...]
    rejects: tuple[RejectGroup, ...]
    chains: Chains
    agreements: tuple[LabelAgreement, ...]


def coverage(run: ReportInputs, rows: list[TrackRow], examples_per_reason: int) -> CatalogueCoverage:
    """Compute the figures of the data page."""
    good = [r for r in rows if r.is_ok]
    traditions: dict[str, Counter[str]] = {}
    for row in good:
        traditions.setdefault(row.tradition_name, Counter())[row.split] += 1
    largest_first = dict(sorted(traditions.items(), key=lambda item: (-item[1].total(), item[0])))
    by_skill, by_type, by_family = _question_counts(run.skills)
    return CatalogueCoverage(
        num_tracks=len(good),
        num_works=len({r.work_id for r in good}),
        num_hours=sum(r.duration_s or 0 for r in good) / 3600,
        traditions=divided_bars(largest_first, SPLITS),
        splits=bars({s: sum(c[s] for c in traditions.values()) for s in SPLITS}),
        works=bars({s: len({r.work_id for r in good if r.split == s}) for s in SPLITS}),
        balances=balances(run.tracks.manifest),
        track_reasons=reasons_of(run.tracks.manifest),
        facts_reasons=reasons_of(run.facts.manifest),
        problems=_problems(run.facts),
        tempi=histogram(_measured(run.facts, "tempo", "bpm"), width=TEMPO_BIN_BPM, x_label="beats a minute"),
        durations=_durations(good),
        keys=_keys(run.facts),
        skills=by_skill,
        types=by_type,
        num_questions=run.skills.manifest.status.get(OK, 0),
        num_traditions=len({r.tradition for r in good if r.tradition}),
        families=by_family,
        rejects=tuple(_reject_groups(run.rejects, examples_per_reason)),
        chains=chains(run, examples_per_reason),
        agreements=tuple(agreements(run)),
    )


def _durations(rows: list[TrackRow]) -> Histogram | None:
    seconds = [r.duration_s for r in rows if r.duration_s is not None]
    longest_s = max(seconds, default=0.0)
    # about a dozen columns whether the tracks are clips or whole songs
    width_s = next((w for w in (1, 2, 5, 10, 30, 60) if longest_s <= 12 * w), 120)
    return histogram(seconds, width=width_s, x_label="seconds")


def _measured(facts: Table[Facts], column: str, field: str) -> list[Any]:
    return [v[field] for v in facts.columns(column)[column].to_pylist() if v is not None]


def _problems(facts: Table[Facts]) -> tuple[ReasonCount, ...]:
    found = Counter(p for row in facts.columns("problems")["problems"].to_pylist() for p in row or [])
    return tuple(ReasonCount(name, n) for name, n in sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _keys(facts: Table[Facts]) -> tuple[KeyColumn, ...]:
    found: Counter[tuple[str, str]] = Counter()
    for key in facts.columns("key")["key"].to_pylist():
        if key is not None:
            found[FLAT_NAMES.get(key["tonic"], key["tonic"]), key["mode"]] += 1
    if not found:
        return ()
    most = max(found.values())
    return tuple(
        KeyColumn(
            t, found[t, "major"], found[t, "minor"], 100 * found[t, "major"] / most, 100 * found[t, "minor"] / most
        )
        for t in FIFTHS
    )


def _question_counts(skills: Table[Example]) -> tuple[tuple[Bar, ...], tuple[Bar, ...], tuple[Bar, ...]]:
    """Bars by skill (divided by split), by type and by family."""
    by_skill: dict[str, Counter[str]] = {}
    by_type: Counter[str] = Counter()
    by_family: Counter[str] = Counter()
    for (skill, kind, family, split, status), n in counted(
        skills, "skill", "type", "family", "split", "status"
    ).items():
        if status == OK:
            by_skill.setdefault(skill, Counter())[split] += n
            by_type[kind] += n
            by_family[family] += n
    return (
        divided_bars({name: by_skill[s] for s, name in SKILLS.items() if s in by_skill}, SPLITS),
        bars({name: by_type[t] for t, name in TYPES.items() if by_type[t]}),
        bars({family_title(f): n for f, n in sorted(by_family.items(), key=lambda item: (-item[1], item[0]))}),
    )


def _reject_groups(rejects: Table[Example], per_reason: int) -> Iterator[RejectGroup]:
    examples = first_of_each(rejects, per_reason)
    for reason in reasons_of(rejects.manifest):
        yield RejectGroup(reason, tuple(examples.get(reason.name, [])))


def agreements(run: ReportInputs) -> list[LabelAgreement]:
    """Labels from facts next to the truth of the score: for display here; nothing trains on it."""
    truths = {t.id: t for t in run.truth.ok()}
    if not truths:
        return []
    pairs = [(f, truths[f.id]) for f in run.facts.ok() if f.id in truths]
    rows = [
        _agreement(family_title(family.name), ((family.from_facts(f), family.from_truth(t)) for f, t in pairs))
        for family in FAMILIES.values()
    ]
    rows.append(_agreement("Tempo within 4 %", (_tempo_pair(f, t, METRICAL_LEVELS[:1]) for f, t in pairs)))
    rows.append(_agreement("Tempo, any metrical level", (_tempo_pair(f, t, METRICAL_LEVELS) for f, t in pairs)))
    rows.append(_agreement("Key, tonic and mode", (_key_pair(f, t) for f, t in pairs)))
    return [r for r in rows if r.num_both or r.num_unlabelled]


def _agreement(name: str, pairs: Iterable[tuple[str | None, str | None]]) -> LabelAgreement:
    known = [(label, truth) for label, truth in pairs if truth is not None]
    both = [(label, truth) for label, truth in known if label is not None]
    return LabelAgreement(name, len(both), sum(a == b for a, b in both), len(known) - len(both))


def _tempo_pair(facts: Facts, truth: Truth, levels: tuple[float, ...]) -> tuple[str | None, str]:
    if facts.tempo is None:
        return None, "right"
    return ("right" if same_tempo(facts.tempo.bpm, truth.tempo_bpm, levels) else "wrong"), "right"


def _key_pair(facts: Facts, truth: Truth) -> tuple[str | None, str | None]:
    if truth.key is None or facts.key is None:
        return None, "right" if truth.key else None
    return ("right" if same_answer(facts.key.label, truth.key) else "wrong"), "right"
