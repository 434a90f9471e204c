"""The site: whole, self-contained, escaped, equal for equal inputs; and the figures that it draws."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from support import songs as annotated
from support.report_ports import DURATION_S, HOSTILE_TITLE, RATE_HZ, make_run

from music_flamingo.audio.flac import decode_flac
from music_flamingo.core import manifest as manifests
from music_flamingo.core.errors import CorruptDataError
from music_flamingo.core.ports import InputFolder, Table
from music_flamingo.core.stage import execute, parse_config
from music_flamingo.records import Score, Withheld
from music_flamingo.report.charts import histogram, line_chart, nice_values, running_mean, short
from music_flamingo.report.coverage import agreements
from music_flamingo.report.fact_rows import fact_rows, withheld_rows
from music_flamingo.report.flow import flat, human_bytes, stage_views
from music_flamingo.report.listening import choose, listening_pages, slug, with_audio
from music_flamingo.report.results import ComparedQuestion, results, to_look_at
from music_flamingo.report.run import ReportInputs, TrackRow, teachers, track_rows
from music_flamingo.report.site import clock
from music_flamingo.report.timeline import chord_hue, chord_symbol, key_symbol, score_lanes, waveform
from music_flamingo.report.training import curves, read_log
from music_flamingo.scoring.normalise import same_answer as same_key
from music_flamingo.scoring.tempo import same_tempo
from music_flamingo.stages.report import STAGE

CONFIG = {
    "num_listening_pages": 8,
    "max_audio_mb": 10.0,
    "waveform_bins_per_s": 20.0,
    "px_per_s": 40.0,
    "examples_per_reason": 2,
    "predictions_per_family": 2,
    "seed": 3,
}
PAGES = (
    "index.html",
    "evaluation.html",
    "training.html",
    "data.html",
    "listening.html",
    "catalogue.html",
    "compare.html",
)


def build(data: Path, site: Path, **changes) -> Path:
    execute(STAGE, json.dumps({**CONFIG, **changes}), {n: data / n for n in STAGE.inputs}, {"site": site})
    return site


def open_run(data: Path) -> ReportInputs:
    def port(name, record):
        manifest = manifests.read_manifest(data / name)
        folder = manifest.num_records is None
        return InputFolder(data / name, manifest) if folder else Table(data / name, record, manifest)

    return ReportInputs(**{name: port(name, record) for name, record in STAGE.inputs.items()})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def site(data):
    return build(data, data / "site")


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    data = make_run(tmp_path_factory.mktemp("songs"), songs_only=True)
    return build(data, data / "site")


@pytest.fixture(scope="module")
def run(data):
    return open_run(data)


class Addresses(HTMLParser):
    """Every href and src of a page, and the names of its script elements."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline_scripts = 0

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.found += [values[k] for k in ("href", "src") if k in values]
        self.inline_scripts += tag == "script" and "src" not in values
        assert not [k for k in values if k.startswith("on")], f"an event handler in <{tag}>"


def addresses(page: Path) -> Addresses:
    parser = Addresses()
    parser.feed(page.read_text())
    return parser


# --- the site -----------------------------------------------------------------------------------------------------


def test_every_address_of_every_page_leads_to_a_file_of_the_site(site):
    pages = [*PAGES, *(str(p.relative_to(site)) for p in site.glob("listen/*.html"))]
    assert len(pages) == len(PAGES) + CONFIG["num_listening_pages"]
    for page in pages:
        for address in addresses(site / page).found:
            path = address.split("#")[0]
            assert not path or (site / page).parent.joinpath(path).resolve().is_file(), f"{page}: {address}"


def test_the_page_to_ask_has_the_reports_colours_and_letters():
    package = Path(__file__).parents[2] / "src/music_flamingo"
    sheets = [(package / f).read_text() for f in ("report/assets/site.css", "serving/page/listen.css")]
    named = [
        [re.findall(r"(--[a-z]+): ([^;]+);", part) for part in s.split("(prefers-color-scheme: dark)")] for s in sheets
    ]
    for site, asked in zip(*named, strict=True):
        shared = {n: v for n, v in asked if n != "--wave"}
        assert len(shared) >= 9
        assert shared == {n: v for n, v in site if n in shared}


def test_the_site_needs_no_network_and_no_inline_script(site):
    for path in [p for p in site.rglob("*") if p.suffix in (".html", ".js", ".css") and "data_docs" not in p.parts]:
        text = path.read_text()
        assert not re.search(r"fetch\(|XMLHttpRequest|@import|url\(", text), path
        assert not re.search(r"""(href|src)=["'](https?:)?//""", text), path
        if path.suffix == ".html":
            assert addresses(path).inline_scripts == 0, path


def test_a_hostile_title_and_hostile_lyrics_are_shown_as_text(site):
    shown = 0
    for page in [*site.glob("*.html"), *site.glob("listen/*.html")]:
        text = page.read_text()
        assert HOSTILE_TITLE not in text
        assert "<script>document" not in text
        assert "<img src=x" not in text
        shown += "&lt;script&gt;document.title" in text
    assert shown >= 3
    assert any("&lt;img src=x onerror=alert(1)&gt;" in p.read_text() for p in site.glob("listen/*.html"))


def test_equal_inputs_give_equal_sites_wherever_they_are_built(data, site, tmp_path):
    other = build(data, tmp_path / "site")
    assert manifests.read_manifest(other).digest == manifests.read_manifest(site).digest


def test_what_a_killed_run_left_behind_does_not_enter_the_site(data, site, tmp_path):
    key = manifests.read_manifest(site).key
    torn = tmp_path / "site"
    manifests.begin(torn, key)
    (torn / "old").mkdir()
    (torn / "old/page.html").write_text("half a pa")
    assert manifests.read_manifest(build(data, torn)).digest == manifests.read_manifest(site).digest


def test_the_first_page_tells_counts_reasons_digests_and_the_teacher(data, site):
    text = (site / "index.html").read_text()
    assert "teacher: scripted" in text
    assert "1 undecodable" in text
    assert "1 too many wrong steps" in text
    assert manifests.read_manifest(data / "skills").digest[:10] in text
    assert "it answers 3 of 4 kinds of question 20 points or more above" in " ".join(text.split())


def test_the_catalogue_names_quarantined_tracks_with_their_reason(site):
    text = (site / "catalogue.html").read_text()
    assert text.count("<tr>") == 1 + 13
    assert "1 of them set aside" in text
    assert re.search(r"broken.*undecodable", text)


def test_a_folder_of_songs_has_pages_that_say_what_is_missing(songs):
    assert "There was no examination (no truth" in (songs / "index.html").read_text()
    assert "there is nothing to hold answers against" in (songs / "evaluation.html").read_text()
    assert "cannot be compared with anything" in (songs / "data.html").read_text()
    assert "No chains were written" in (songs / "data.html").read_text()
    page = next(songs.glob("listen/*.html")).read_text()
    assert "The score" not in page


def test_a_folder_of_songs_is_not_spoken_of_as_pieces_or_scores(songs):
    # pages of single tracks quote what a teacher wrote of them
    for path in songs.glob("*.html"):
        text = re.sub(r"<[^>]+>", " ", re.sub(r"<details>.*?</details>", "", path.read_text(), flags=re.DOTALL))
        assert not re.findall(r"\b(?:scores?|pieces?|held[- ]out|music21)\b", text, re.IGNORECASE), path.name
    assert "other recordings of one work" in " ".join((songs / "data.html").read_text().lower().split())


def test_the_start_page_speaks_of_songs_first_and_of_digests_below(songs, site):
    for pages in (songs, site):
        text = (pages / "index.html").read_text()
        assert text.index("<h2>Listen</h2>") < text.index("<h2>What went in and out</h2>")


def test_a_listening_page_holds_sound_beats_chords_questions_and_chain(site, run):
    page = next(p for p in site.glob("listen/essen*.html") if "rewritten from" in p.read_text())
    text = page.read_text()
    sound = decode_flac((page.parent / f"audio/{page.stem}.flac").read_bytes())
    assert len(sound) == DURATION_S * RATE_HZ
    assert len(re.findall(r'<line class="down"', text)) == 2 * 4  # measured, and by the score
    assert len(re.findall(r'class="block toned"', text)) == 2 * 4
    assert 'data-start="1.5" data-end="3.0">0:01.5–0:03.0 · bar 2' in text
    assert "<del>No drums are heard.</del>" in text
    assert "held out" not in text


def test_a_held_out_page_shows_what_each_model_answered_and_heard(site):
    text = next(site.glob("listen/joplin*.html")).read_text()
    assert "What each model answered" in text
    assert 'data-start="1.0" data-end="5.0"' in text  # 4 s from the middle of 6
    assert "Heard in the examination" in text


def test_data_docs_come_along(site):
    assert (site / "data_docs/index.html").read_text() == "<p>expectations</p>"
    assert not (site / "data_docs/_manifest.json").exists()


def test_params_yaml_fits_the_configuration():
    from music_flamingo.core.params import load_params, stage_json

    params = load_params(Path(__file__).parents[2] / "params.yaml")
    assert parse_config(STAGE, stage_json(params, "report")).num_listening_pages >= 10


# --- which tracks -------------------------------------------------------------------------------------------------


def row(work: str, performance: int, split: str, tradition: str) -> TrackRow:
    return TrackRow(f"{work}#{performance}", "ok", work, split, None, None, tradition, 6.0, "score:x")


def test_tracks_come_from_every_split_and_tradition_before_any_work_comes_twice():
    works = [("a", "train", "x"), ("b", "train", "y"), ("c", "test", "x"), ("d", "test", "y"), ("e", "dev", "x")]
    rows = [row(w, p, s, t) for w, s, t in works for p in range(4)]
    chosen = choose(rows, set(), 6, seed=1)
    assert {r.work_id for r in chosen[:5]} == {"a", "b", "c", "d", "e"}
    assert [r.split for r in chosen[:3]] == ["test", "train", "dev"]
    assert choose(rows, set(), 6, seed=1) == chosen
    assert choose(rows, set(), 6, seed=2) != chosen


def test_a_track_with_a_chain_is_preferred_and_a_quarantined_one_never_chosen():
    rows = [row("a", p, "train", "x") for p in range(5)]
    assert choose(rows, {"a#3"}, 1, seed=0)[0].id == "a#3"
    bad = [TrackRow(**{**vars(r), "status": "quarantined:silent"}) for r in rows]
    assert choose(bad, set(), 3, seed=0) == []


def test_audio_stays_within_its_budget_and_what_does_not_fit_is_left_out(run):
    chosen = choose(track_rows(run.tracks), set(), 4, seed=1)
    sizes = [len(t.audio.bytes) for t in with_audio(run, chosen, 10**9)]
    kept = with_audio(run, chosen, sizes[0] + sizes[1])
    assert [t.id for t in kept] == [r.id for r in chosen[:2]]
    assert with_audio(run, chosen, 10) == []


def test_slugs_are_safe_and_tell_apart_what_looks_alike():
    assert re.fullmatch(r"bach-bwv66-6-2-[0-9a-f]{8}", slug("bach/bwv66.6#2"))
    assert slug("a/b") != slug("a_b")
    assert re.fullmatch(r"track-[0-9a-f]{8}", slug("../茉莉花"))


# --- charts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.5, 1.0]), (0, 80, [0, 20, 40, 60, 80]), (3, 17, [5, 10, 15]), (2, 2, [2])],
)
def test_axes_end_on_round_values(low, high, expected):
    assert nice_values(low, high, 4) == expected


@pytest.mark.parametrize(
    ("value", "text"), [(0.4149, "0.415"), (1234.6, "1,235"), (5e-05, "5.0e-5"), (2.0, "2"), (-0.12, "-0.12")]
)
def test_numbers_are_short_for_reading(value, text):
    assert short(value) == text


def test_a_line_chart_stays_in_its_box_and_smooths_long_series_only():
    chart = line_chart("loss", {"loss": ("sft", [(s, 2.0 / s) for s in range(1, 41)])})
    line = chart.lines[0]
    places = [tuple(map(float, p.split())) for p in line.path[1:].split("L")]
    assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in places)
    assert line.smooth_path is not None
    assert chart.y_range[0] == 0
    assert line_chart("loss", {"loss": ("sft", [(1, 1.0), (2, 1.0)])}).lines[0].smooth_path is None


def test_a_running_mean_keeps_a_constant_and_halves_nothing_at_the_ends():
    assert running_mean([(i, 3.0) for i in range(5)], 3) == [(i, 3.0) for i in range(5)]
    assert running_mean([(0, 0.0), (1, 3.0)], 3) == [(0, 1.5), (1, 1.5)]


def test_a_histogram_counts_every_value_once():
    chart = histogram([60.0, 69.9, 70.0, 121.0], width=10, x_label="bpm")
    assert [(c.label, c.count) for c in chart.columns] == [("60–70", 2), ("70–80", 1), ("120–130", 1)]
    assert chart.count == 4
    assert histogram([], width=10, x_label="bpm") is None


def folder_of(root: Path, metrics: dict) -> InputFolder:
    blank = {
        "stage": "sft",
        "port": "sft_model",
        "record": "folder",
        "key": "",
        "config": {},
        "inputs": {},
        "files": (),
    }
    manifest = manifests.Manifest(**blank, num_records=None, status={}, metrics=metrics, digest="")
    return InputFolder(root, manifest)


def test_a_broken_line_of_a_log_is_named(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 1.0}\n{"loss": 2}\n')
    with pytest.raises(CorruptDataError, match="line 2"):
        read_log(tmp_path / "log.jsonl")


def test_a_log_gives_known_names_in_order_and_drops_what_is_not_finite(tmp_path):
    lines = [{"step": s, "zeta": s, "loss": 1 / s, "kl": 0.1 * s, "same": 4, "none": None} for s in (1, 2, 3)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines) + '{"step": 4, "loss": NaN}\n')
    made = curves("grpo", "GRPO", folder_of(tmp_path, {"left_out": {"mode": "one answer"}, "steps": 3}))
    assert [c.title for c in made.charts] == ["Loss", "Distance from the reference (KL)", "Zeta"]
    assert made.charts[0].readings[0]["x"] == [1, 2, 3]
    assert made.constants == (("same", 4.0),)
    assert (made.left_out, made.results) == ((("mode", "one answer"),), (("steps", "3"),))


def test_a_model_without_a_log_has_no_curves(tmp_path):
    assert curves("sft", "SFT", folder_of(tmp_path, {"left_out": {"mode": "one answer"}, "steps": 3})).charts == ()


# --- time axis ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "symbol", "hue"),
    [("C:maj", "C", 0), ("Bb:min7", "B♭m7", 300), ("F#:maj7", "F♯maj7", 180), ("G:7/3", "G7/3", 30), ("N", "–", None)],
)
def test_chords_are_written_as_musicians_write_them(label, symbol, hue):
    assert chord_symbol(label) == symbol
    assert chord_hue(label) == hue


def test_keys_are_written_with_their_accidentals():
    assert (key_symbol("Bb minor"), key_symbol("F# major")) == ("B♭ minor", "F♯ major")


def test_a_waveform_is_as_tall_as_its_loudest_bin_and_flat_where_nothing_sounds():
    samples = np.concatenate([np.zeros(100), 0.5 * np.ones(100)]).astype(np.float32)
    made = waveform(samples, 2)
    assert made.num_bins == 2
    assert made.peak_path == "M0.5 1.00L1.5 0.04L1.5 1.96L0.5 1.00Z"
    assert waveform(np.zeros(0, dtype=np.float32), 10).num_bins == 1


def test_bars_are_counted_from_the_first_downbeat(run):
    truth = next(iter(run.truth))
    late = truth.model_copy(update={"beats_s": [0.5, 1.0, 1.5, 2.0], "downbeats_s": [1.0, 2.0]})
    ticks = score_lanes(late, 4.0).beats
    assert [(t.bar, t.position, t.left) for t in ticks] == [(0, 0, 12.5), (1, 1, 25.0), (1, 2, 37.5), (2, 1, 50.0)]


@pytest.mark.parametrize(("seconds", "decimals", "text"), [(63, 0, "1:03"), (63.44, 1, "1:03.4"), (59.96, 1, "1:00.0")])
def test_clocks_round_before_they_split(seconds, decimals, text):
    assert clock(seconds, decimals) == text


# --- figures ------------------------------------------------------------------------------------------------------


def score(model: str, condition: str, accuracy: float, family: str = "drums") -> Score:
    shared = {"num_items": 20, "num_works": 9, "low": accuracy, "high": accuracy, "unparsed": 0.0}
    return Score(
        id=f"{model}{condition}{family}", model=model, condition=condition, family=family, accuracy=accuracy, **shared
    )


def test_a_family_is_heard_from_twenty_points_above_the_best_of_chance_and_controls():
    both = [score("grpo", "shuffled", 0.4), score("grpo", "none", 0.45)]
    assert results([score("grpo", "audio", 0.7), *both], {"drums": 0.5}).heard
    assert not results([score("grpo", "audio", 0.69), *both], {"drums": 0.5}).heard
    assert results([score("grpo", "audio", 0.69), *both], {"drums": 0.45}).heard


def test_models_and_families_stand_in_the_order_of_training_and_definition():
    scores = [
        score(m, "audio", 0.5, f)
        for m in ("grpo", "sft")
        for f in ("all", "short_caption", "zither", "meter", "tempo_class")
    ]
    made = results(scores, {})
    assert made.models == ("sft", "grpo")
    assert [f.name for f in made.families] == ["tempo_class", "meter", "zither", "all", "short_caption"]
    assert [f.name for f in made.kinds] == ["tempo_class", "meter", "zither"]


def test_half_of_the_shown_predictions_are_wrong_where_the_model_errs(run):
    prediction = next(p for p in run.predictions if p.model == "grpo" and p.condition == "audio")

    def one(track: str, correct: bool) -> ComparedQuestion:
        answered = prediction.model_copy(update={"track_id": track, "correct": correct})
        return ComparedQuestion(track, "drums", "?", "yes", {"grpo": answered})

    many = [one(f"right{i}", True) for i in range(9)] + [one(f"wrong{i}", False) for i in range(9)]
    chosen = to_look_at(many, "grpo", {"wrong7"}, 4, seed=1)["drums"]
    assert [a.answers["grpo"].correct for a in chosen] == [False, False, True, True]
    assert chosen[0].track_id == "wrong7"
    few = to_look_at(many[:9] + many[9:10], "grpo", (), 4, seed=1)["drums"]
    assert sum(not a.answers["grpo"].correct for a in few) == 1
    assert len(few) == 4


def test_labels_are_compared_with_the_score_and_the_unlabelled_are_counted(run):
    found = {a.name: a for a in agreements(run)}
    assert (found["Meter"].num_both, found["Meter"].num_equal) == (12, 12)
    assert (found["Tempo within 4 %"].num_equal, found["Tempo, any metrical level"].num_equal) == (6, 12)
    with_drums = sum(f.sound.has_drums for f in run.facts)
    assert (found["Tempo class"].num_both, found["Tempo class"].num_unlabelled) == (with_drums, 12 - with_drums)


def test_tempo_and_key_tolerances_have_near_misses():
    assert same_tempo(124.8, 120)
    assert not same_tempo(124.9, 120)
    assert not same_tempo(60, 120)
    assert same_tempo(60, 120, (1.0, 0.5))
    assert same_key("F# minor", "Gb minor")
    assert not same_key("F# minor", "Gb major")


def test_the_flow_tells_what_every_stage_took_and_gave(run):
    views = {v.name: v for v in stage_views(run.manifests)}
    assert [p.label for p in views["facts"].takes] == ["13 tracks"]
    assert [r.name for _, r in views["ingest"].reasons] == ["undecodable"]
    assert views["validate"].gives[0].label == "84 examples"
    assert dict(views["facts"].metrics) == {"seed": "1", "seconds longest": "6"}


def test_metrics_of_any_depth_become_lines():
    assert flat({"a": {"b_c": 1.5, "d": [1, 2]}, "e": True, "f": None}) == [
        ("a b c", "1.5"),
        ("a d", "1, 2"),
        ("e", "yes"),
        ("f", "none"),
    ]


@pytest.mark.parametrize(("size", "text"), [(19, "19 B"), (4_300_000, "4.3 MB"), (999, "999 B"), (25_000, "25 kB")])
def test_sizes_are_for_people(size, text):
    assert human_bytes(size) == text


def test_every_text_is_counted_for_its_teacher(run):
    (only,) = teachers(run)
    assert only.kind == "scripted"
    assert only.texts == {"captions": 12, "candidates": 85, "think": 6, "think_rejects": 1}


def test_a_page_gathers_what_was_written_about_its_track_alone(run):
    chosen = [r for r in track_rows(run.tracks) if r.work_id == "ryan/reel-7"]
    made = listening_pages(run, with_audio(run, chosen, 10**9), 20.0)
    assert len(made) == 2
    for page in made:
        assert {e.track_id for e in page.examples} == {page.track.id}
        assert (len(page.examples), len(page.captions), len(page.chains), len(page.predictions)) == (7, 1, 1, 0)


def test_the_skills_by_type_table_counts_every_kept_example(site, run):
    from music_flamingo.report.skills import skills_tables

    tables = skills_tables(run)
    assert tables.totals.total == len(run.skills) == sum(row.total for row in tables.rows)
    assert sum(row.kept for row in tables.prompts) == len(run.skills)
    assert sum(row.rejected for row in tables.prompts) == len(run.rejects)
    text = (site / "data.html").read_text()
    assert "MF-Skills in numbers" in text
    assert '<th class="n">multiple choice</th>' in text


def test_a_claim_that_is_not_made_is_no_wrong_one_and_each_has_its_own_confidence():
    sound = annotated.make_facts().sound
    assert sound is not None
    known = sound.model_copy(update={"lead_envelope": None, "drums_confidence": 0.61, "envelope_confidence": 0.5})
    facts = annotated.make_facts(sound=known, withheld=[Withheld(fact="sound.lead_envelope", reason="unsure")])
    rows = {row.name: row for row in fact_rows(facts, None)}
    assert rows["Drums"].confidence == 0.61 and "Lead's notes" not in rows
    [withheld] = withheld_rows(facts)
    assert withheld.confidence == 0.5 and withheld.agrees is None
