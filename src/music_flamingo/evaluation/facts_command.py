"""`mf evaluate --facts data`: evaluate the annotation tools on rendered scores, in the benchmarks' tables."""

from pathlib import Path

from music_flamingo import __version__
from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_json
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.core.shards import write_atomic
from music_flamingo.evaluation import rates
from music_flamingo.evaluation.grading import ALL, Graded, RateRow, parts_of
from music_flamingo.evaluation.mir_scores import fact_scores
from music_flamingo.evaluation.outcome import RUN, EvaluationRun, Outcome, write_outcome
from music_flamingo.records import Facts, Track, Truth

NAME, TITLE = "facts", "Annotation tools on rendered scores"


def evaluate_facts(data: Path, out: Path, resamples: int, seed: int) -> Outcome:
    """Grade DATA/facts by DATA/truth, by split and tradition. Raises UserError where no truth is known."""
    facts = Table(data / "facts", Facts, read_manifest(data / "facts"))
    truth = Table(data / "truth", Truth, read_manifest(data / "truth"))
    tracks = Table(data / "tracks", Track, read_manifest(data / "tracks"))
    groups = {row["id"]: (("split", row["split"]), ("tradition", row["tradition"] or "unknown"))
              for row in tracks.columns("id", "split", "tradition").to_pylist()}  # fmt: skip
    known = {t.id: t for t in truth.ok()}
    graded = [_graded(f, known[f.id], groups.get(f.id, ())) for f in facts.ok() if f.id in known]
    if not graded:
        raise UserError(f"{data / 'truth'} knows nothing of {data / 'facts'}: only rendered scores have a truth.")
    run = EvaluationRun(
        benchmark=NAME,
        model=_tools(facts),
        model_digest=sha256_json([facts.digest, truth.digest]),
        think=False,
        max_new_tokens=0,
        conditions=["audio"],
        seed=seed,
        resamples=resamples,
        limit=None,
        num_items=len(graded),
        published_counts=[],
        num_without_recording=0,
        prompts={},
        contamination="tools, not a model: none",
        package_version=__version__,
    )
    outcome = Outcome(
        run=run,
        rows=_rows(graded, resamples, seed),
        controls=[],
        positions=[],
        position_bias=None,
        agreement_when_permuted=None,
        num_unheard=0,
    )
    write_atomic(out / NAME / RUN, run.model_dump_json(indent=1) + "\n")
    write_outcome(out / NAME, outcome, graded)
    return outcome


def _graded(facts: Facts, truth: Truth, groups: tuple[tuple[str, str], ...]) -> Graded:
    return Graded(
        item_id=facts.id,
        condition="audio",
        audio=[],
        question="What do the tools measure?",
        options=[],
        reference=f"{truth.tempo_bpm:.0f} BPM, {truth.key or 'no clear key'}, {truth.meter}",
        answer_index=None,
        output=f"{facts.tempo.bpm if facts.tempo else 0:.0f} BPM, {facts.key.label if facts.key else 'no key'}",
        problem="",
        parsed="",
        chosen_index=None,
        grades={name: (score, 1.0) for name, score in fact_scores(facts, truth).items()},
        groups=list(groups),
        cluster=facts.work_id,
    )


def _rows(graded: list[Graded], resamples: int, seed: int) -> list[RateRow]:
    names = list(dict.fromkeys(name for g in graded for name in g.grades))
    groups = sorted({group for g in graded for group in g.groups})
    rows = []
    for name in names:
        scored = [g for g in graded if name in g.grades]
        members = {ALL: scored, **{f"{kind}: {value}": [g for g in scored if (kind, value) in g.groups]
                                   for kind, value in groups}}  # fmt: skip
        for group, some in members.items():
            found = rates.rate_interval(parts_of(some, name), resamples, seed)
            if found is not None:
                rows.append(
                    RateRow(
                        benchmark=NAME,
                        title=TITLE,
                        measure=name,
                        kind="strict",
                        condition="audio",
                        group=group,
                        n=len(some),
                        value=100 * found.value,
                        low=100 * found.low,
                        high=100 * found.high,
                        unparsed=None,
                        unjudged=0,
                        lower_is_better=False,
                    )
                )
    return rows


def _tools(facts: Table[Facts]) -> str:
    """`madmom 0.17, essentia 2.1`, by the first record that has each fact."""
    first = next(facts.ok())
    measured = (first.beats, first.key, first.chords, first.sections)
    return ", ".join(dict.fromkeys(f"{m.tool} {m.tool_version}" for m in measured if m is not None))
