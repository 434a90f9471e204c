"""report: one site that shows a run to people: counts, rejects, curves, scores, and tracks to listen to.

The site opens from disk: every address is relative, nothing is fetched, titles and lyrics are escaped. It reads what
the other stages gave and judges nothing itself; the truth of the scores is shown next to the facts and trains nothing.
Units: seconds, beats a minute, percent.
"""

from collections.abc import Sequence
from typing import Any

from music_flamingo.core.ports import Folder, InputFolder, OutputFolder
from music_flamingo.core.ranges import CountOrNone, NonNegative, Positive, Seed
from music_flamingo.core.stage import Metrics, Stage, StageConfig
from music_flamingo.evaluation.summary import Evaluation, read_evaluation
from music_flamingo.evaluation.thinking_tables import page_of
from music_flamingo.records import Caption, Chain, Example, Facts, Prediction, Score, Track, Truth
from music_flamingo.records.rollout import ROLLOUTS_NAME
from music_flamingo.report.charts import SMOOTHING_POINTS
from music_flamingo.report.coverage import CatalogueCoverage, coverage
from music_flamingo.report.flow import flat, stage_views
from music_flamingo.report.listening import Page, choose, listening_pages, with_audio
from music_flamingo.report.results import ALL, MODELS, Results, asked, results, to_look_at
from music_flamingo.report.rollouts import drawn
from music_flamingo.report.run import ReportInputs, TrackRow, teachers, track_rows
from music_flamingo.report.site import Site
from music_flamingo.report.skills import skills_tables
from music_flamingo.report.songs import write_song_pages
from music_flamingo.report.thinking_chart import gains, thinking_chart
from music_flamingo.report.training import curves
from music_flamingo.report.wording import wording_of

MODEL_CARD = "README.md"


class ReportConfig(StageConfig):
    """Parameters of `report`."""

    num_listening_pages: CountOrNone
    """Tracks with a page of their own, in turn from every split and tradition."""
    max_audio_mb: NonNegative
    """All audio of the site together, in 10^6 bytes; a chosen track that no longer fits is left out and counted."""
    waveform_bins_per_s: Positive
    """Detail of the drawn waveform."""
    px_per_s: Positive
    """Least width of a second on the time axis; a longer track scrolls under the playhead."""
    examples_per_reason: CountOrNone
    """Rejects shown for each reason."""
    predictions_per_family: CountOrNone
    """Predictions shown for each kind of question, half of them wrong where there are so many."""
    seed: Seed


def run(config: ReportConfig, site: OutputFolder, **ports: Any) -> Metrics:
    """Compute and write all pages of the site."""
    made, out = ReportInputs(**ports), Site(site, wording_of(ports["truth"].manifest))
    rows = track_rows(made.tracks)
    chosen = choose(rows, _tracks_with_chain(made), config.num_listening_pages, config.seed)
    heard = with_audio(made, chosen, int(1e6 * config.max_audio_mb))
    pages = listening_pages(made, heard, config.waveform_bins_per_s)
    evaluation = read_evaluation(made.scores.root)
    scored = results(made.scores.ok(), evaluation.chance)
    held = coverage(made, rows, config.examples_per_reason)
    docs = _data_docs(made.data_docs)

    _write_run(out, made, held, scored, evaluation, pages, docs)
    _write_evaluation(config, out, made, rows, scored, evaluation, pages)
    _write_training(out, made)
    out.page("data.html", "data.html.j2", coverage=held, data_docs=docs, mf_skills=skills_tables(made))
    _write_listening(config, out, pages, len(chosen) - len(heard))
    _write_catalogue(out, made, rows, pages)
    out.folder("data_docs", made.data_docs.root)
    return {"listening_pages": len(pages), "left_out_for_size": len(chosen) - len(heard)}


def _tracks_with_chain(made: ReportInputs) -> set[str]:
    return set(made.think.columns("track_id")["track_id"].to_pylist())


def _data_docs(folder: InputFolder) -> str | None:
    """Address of the data docs' first page; None where validation wrote none."""
    found = sorted(f.path for f in folder.manifest.files if f.path.endswith(".html"))
    first = "index.html" if "index.html" in found else next(iter(found), None)
    return f"data_docs/{first}" if first else None


def _write_run(
    out: Site,
    made: ReportInputs,
    held: CatalogueCoverage,
    scored: Results,
    evaluation: Evaluation,
    pages: Sequence[Page],
    data_docs: str | None,
) -> None:
    writers = teachers(made)
    card = made.release.root / MODEL_CARD
    out.page(
        "index.html",
        "index.html.j2",
        graded_by=evaluation.graded_by,
        coverage=held,
        results=scored,
        note=evaluation.note,
        **_thinking(evaluation),
        figures=_figures(made, held),
        stages=stage_views(made.manifests, {"evaluate": wording_of(made.truth.manifest).examined}),
        teachers=writers,
        pages=pages,
        data_docs=data_docs,
        release=made.release.manifest,
        release_figures=flat(made.release.manifest.metrics),
        model_card=card.read_text() if card.is_file() else None,
    )


def _thinking(evaluation: Evaluation) -> dict[str, Any]:
    """The exam of composite questions for both pages that show it; without it there is no `thinking`."""
    exam = evaluation.thinking
    if exam is None:
        return {"thinking": None}
    return {"thinking": page_of(exam), "chart": thinking_chart(exam), "gains": gains(exam)}


def _figures(made: ReportInputs, held: CatalogueCoverage) -> list[tuple[int, str]]:
    """The run in six numbers."""
    words = wording_of(made.truth.manifest)
    return [
        (held.num_works, f"{words.work}s"),
        (held.num_tracks, f"{words.recording}s"),
        (len(made.captions), "captions"),
        (held.num_questions, f"of {len(made.candidates):,} examples kept"),
        (held.chains.num_kept, f"of {held.chains.num_kept + held.chains.num_discarded:,} chains of thought kept"),
        (len(made.predictions), "answers examined"),
    ]


def _write_evaluation(
    config: ReportConfig,
    out: Site,
    made: ReportInputs,
    rows: Sequence[TrackRow],
    scored: Results,
    evaluation: Evaluation,
    pages: Sequence[Page],
) -> None:
    addresses = {p.track.id: p.address for p in pages}
    model = scored.last_model or [*MODELS][-1]
    looked_at = to_look_at(asked(made.predictions), model, addresses, config.predictions_per_family, config.seed)
    out.page(
        "evaluation.html",
        "evaluation.html.j2",
        graded_by=evaluation.graded_by,
        results=scored,
        note=evaluation.note,
        overall=[d for d in evaluation.differences if d.family == ALL],
        **_thinking(evaluation),
        looked_at=looked_at,
        addresses=addresses,
        names={r.id: r.name for r in rows},
    )


def _write_training(out: Site, made: ReportInputs) -> None:
    folders = {"sft": made.sft_model, "warmup": made.warmup_model, "grpo": made.grpo_model}
    trainings = [curves("backbone", "Backbone: learning to hear words", made.backbone_model)]
    trainings += [curves(name, MODELS[name], folder) for name, folder in folders.items()]
    out.page(
        "training.html",
        "training.html.j2",
        trainings=trainings,
        smoothing=SMOOTHING_POINTS,
        draws=drawn(made.grpo_model.root / ROLLOUTS_NAME),
    )


def _write_listening(config: ReportConfig, out: Site, pages: Sequence[Page], num_left_out: int) -> None:
    out.page(
        "listening.html",
        "listening.html.j2",
        pages=pages,
        num_left_out=num_left_out,
        max_audio_bytes=int(1e6 * config.max_audio_mb),
    )
    write_song_pages(out, pages, config.px_per_s)


def _write_catalogue(out: Site, made: ReportInputs, rows: Sequence[TrackRow], pages: Sequence[Page]) -> None:
    facts = {f["id"]: f for f in made.facts.columns("id", "tempo", "key").to_pylist()}
    listed = []
    for row in rows:
        fact = facts.get(row.id, {"tempo": None, "key": None})
        tempo_bpm = fact["tempo"]["bpm"] if fact["tempo"] else None
        key = f"{fact['key']['tonic']} {fact['key']['mode']}" if fact["key"] else None
        listed.append((row, tempo_bpm, key))
    out.page("catalogue.html", "catalogue.html.j2", rows=listed, addresses={p.track.id: p.address for p in pages})


STAGE = Stage(
    name="report",
    config=ReportConfig,
    inputs={
        "tracks": Track,
        "facts": Facts,
        "captions": Caption,
        "candidates": Example,
        "skills": Example,
        "rejects": Example,
        "think": Chain,
        "think_rejects": Chain,
        "backbone_model": Folder,
        "sft_model": Folder,
        "warmup_model": Folder,
        "grpo_model": Folder,
        "predictions": Prediction,
        "scores": Score,
        "truth": Truth,
        "release": Folder,
        "data_docs": Folder,
    },
    outputs={"site": Folder},
    run=run,
    uncached=frozenset({"site"}),
)
