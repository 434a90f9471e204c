"""Asking held-out pieces: which questions, under which controls, with which intervals; the stage as a whole."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from support.listening import (
    EVALUATE,
    RATE_HZ,
    difference,
    give,
    give_held_out,
    give_model,
    make_track,
    make_truth,
    score,
)

from music_flamingo.core.errors import ConfigError, UserError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.core.shards import shard_paths
from music_flamingo.core.stage import execute
from music_flamingo.evaluation.captions import categories_of, choose_captions, names_category
from music_flamingo.evaluation.controls import shuffled_tracks, silence
from music_flamingo.evaluation.intervals import Mark, accuracy_interval, difference_interval
from music_flamingo.evaluation.items import choose_items
from music_flamingo.evaluation.summary import chance_of, differences, read_evaluation, score_all
from music_flamingo.evaluation.tables import difference_lines, markdown_table
from music_flamingo.records import Facts, Prediction, Score, Track, Truth
from music_flamingo.stages.evaluate import STAGE

TRUTHS = [make_truth(work, performance) for work in range(6) for performance in range(2)]


def prediction(work: str, reference: str, correct: bool, family: str = "mode", **changes) -> Prediction:
    values = {
        "id": f"{work}/{family}/{reference}",
        "model": "grpo",
        "condition": "audio",
        "track_id": work,
        "work_id": work,
        "family": family,
        "question": "?",
        "options": ["major", "minor"],
        "reference": reference,
        "output": "",
        "answer": "x",
        "correct": correct,
    }
    return Prediction.model_validate({**values, **changes})


def marks(outcomes: dict[str, list[bool]], reference: str = "yes") -> list[Mark]:
    return [Mark(work, "drums", reference, correct) for work, all_ in outcomes.items() for correct in all_]


# --- questions -------------------------------------------------------------------------------------------------------


def test_questions_are_spread_over_answers_and_works():
    truths = [make_truth(w, p, has_drums=w < 4) for w in range(20) for p in range(4)]
    items = choose_items(truths, ["drums"], per_family=12, seed=1)
    assert sorted(i.reference for i in items) == ["no"] * 6 + ["yes"] * 6
    drums = [i.work_id for i in items if i.reference == "yes"]
    assert {drums.count(work) for work in set(drums)} == {1, 2}, "every work once before any twice"
    assert len({i.work_id for i in items if i.reference == "no"}) == 6


def test_a_scarce_answer_gives_all_its_tracks_and_the_others_stay():
    truths = [make_truth(w, has_drums=w == 0) for w in range(30)]
    items = choose_items(truths, ["drums"], per_family=20, seed=1)
    assert [i.reference for i in items].count("yes") == 1
    assert [i.reference for i in items].count("no") == 10


def test_a_family_with_one_answer_is_not_asked_and_another_family_keeps_its_questions():
    both = choose_items(TRUTHS, ["texture", "mode"], per_family=6, seed=1)
    assert both == choose_items(TRUTHS, ["mode"], per_family=6, seed=1)
    assert {i.family for i in both} == {"mode"}


def test_a_piece_without_a_clear_key_is_not_asked_about_its_mode():
    truths = [*TRUTHS, make_truth(7, key=None)]
    assert "w7#0" not in {i.track_id for i in choose_items(truths, ["mode"], per_family=90, seed=1)}


def test_the_same_seed_asks_the_same_and_another_seed_does_not():
    truths = [make_truth(w, p) for w in range(20) for p in range(2)]
    first = choose_items(truths, ["mode"], 10, seed=1)
    assert first == choose_items(reversed(truths), ["mode"], 10, seed=1)
    assert first != choose_items(truths, ["mode"], 10, seed=2)


# --- captions --------------------------------------------------------------------------------------------------------

REQUEST = "Describe this music in one sentence."


def test_a_captions_categories_come_from_the_score():
    truth = make_truth(0, tempo_bpm=60.0, beats_per_bar=3, has_drums=True, texture="melody", lead_envelope="sustained")
    assert {c.name: c.values for c in categories_of(truth)} == {
        "bpm": ["slow"],
        "meter": ["triple meter"],
        "instruments": ["and drums", "with drums"],
        "theory": ["one melody"],
        "mix_notes": ["sustained notes"],
    }
    quiet = {c.name: c.values for c in categories_of(truth.model_copy(update={"has_drums": False}))}
    assert "bpm" not in quiet, "without drums a tempo class is a guess"
    assert quiet["instruments"] == ["no drums"]


def test_a_category_is_named_word_for_word_or_not_at_all():
    caption = "A slow piece in duple meter with chords and no drums."
    assert names_category(caption, ["slow"]) and names_category(caption, ["no drums"])
    assert not names_category(caption, ["and drums", "with drums"])
    assert not names_category(caption, ["chord"])


def test_each_category_of_a_caption_is_judged_apart_on_one_listening():
    items = choose_captions(TRUTHS, REQUEST, num_tracks=12, seed=1)
    assert {i.category for i in items} == {"bpm", "instruments"}, "meter, texture and envelope never vary here"
    assert len({i.id for i in items}) == len(items)
    played = {(item.track_id, other) for item, other in zip(items, shuffled_tracks(items, seed=1), strict=True)}
    assert len(played) == len({i.track_id for i in items})


def test_the_same_caption_every_time_scores_categories_by_values():
    outcomes = {"bpm: slow": True, "bpm: fast": False, "bpm: medium": False, "drums: no": True, "drums: yes": False}
    asked = [
        prediction(f"w{i}", reference, correct, family="short_caption", question=REQUEST, options=[])
        for i, (reference, correct) in enumerate(outcomes.items())
    ]
    assert chance_of(asked) == {"short_caption": pytest.approx(2 / 5)}
    (only,) = score_all({("grpo", "audio"): asked}, resamples=50, seed=1)
    assert only.accuracy == pytest.approx(2 / 5)


def test_captions_stay_out_of_the_overall_score():
    asked = [prediction("w0", "major", True), prediction("w1", "minor", True)]
    asked += [prediction("w0", "bpm: slow", False, family="short_caption")]
    scores = {s.family: s.accuracy for s in score_all({("grpo", "audio"): asked}, resamples=50, seed=1)}
    assert scores == {"mode": 1.0, "short_caption": 0.0, "all": 1.0}


# --- controls --------------------------------------------------------------------------------------------------------


def test_shuffled_audio_is_another_work_whatever_its_answer():
    items = choose_items(TRUTHS, ["drums", "mode", "tempo_class"], per_family=12, seed=3)
    reference = {(i.family, i.track_id): i.reference for i in items}
    work = {i.track_id: i.work_id for i in items}
    played = shuffled_tracks(items, seed=3)
    for family, options in (("drums", 2), ("tempo_class", 3)):
        same = [reference[i.family, t] == i.reference for i, t in zip(items, played, strict=True) if i.family == family]
        assert abs(sum(same) - len(same) / options) <= options, "each answer is replaced by every answer equally often"
    assert all(work[t] != i.work_id for i, t in zip(items, played, strict=True))
    assert played != shuffled_tracks(items, seed=4)


def test_one_work_alone_cannot_be_shuffled():
    items = choose_items([make_truth(0, 0), make_truth(0, 1)], ["drums"], per_family=4, seed=1)
    with pytest.raises(UserError, match=r"shuffled control of `drums` finds no other work"):
        shuffled_tracks(items, seed=1)


def test_silence_is_as_long_as_asked_and_empty_of_sound():
    assert silence(RATE_HZ).shape == (RATE_HZ,)
    assert not silence(RATE_HZ).any()


# --- intervals -------------------------------------------------------------------------------------------------------


def test_the_interval_agrees_with_scipys_bootstrap_over_works():
    rng = np.random.default_rng(5)
    outcomes = {f"w{i}": list(rng.random(rng.integers(1, 6)) < 0.7) for i in range(30)}
    correct = np.array([sum(o) for o in outcomes.values()])
    total = np.array([len(o) for o in outcomes.values()])

    def ratio(index, axis=-1):
        return correct[index.astype(int)].sum(axis) / total[index.astype(int)].sum(axis)

    theirs = stats.bootstrap(
        (np.arange(30),), ratio, n_resamples=20_000, method="percentile", vectorized=True, rng=np.random.default_rng(1)
    ).confidence_interval
    ours = accuracy_interval(marks(outcomes), resamples=20_000, seed=1)
    assert ours.value == pytest.approx(correct.sum() / total.sum())
    assert (ours.low, ours.high) == (pytest.approx(theirs.low, abs=0.01), pytest.approx(theirs.high, abs=0.01))


def test_the_interval_of_single_questions_agrees_with_the_normal_approximation():
    outcomes = {f"w{i}": [i % 4 != 0] for i in range(400)}
    ours = accuracy_interval(marks(outcomes), resamples=5000, seed=2)
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert (ours.low, ours.high) == (pytest.approx(0.75 - half, abs=0.01), pytest.approx(0.75 + half, abs=0.01))


def test_many_performances_of_few_works_widen_the_interval():
    few = {f"w{i}": [i % 2 == 0] * 20 for i in range(6)}
    many = {f"w{i}": [i % 2 == 0] for i in range(120)}
    assert accuracy_interval(marks(few), 2000, 1).low < 0.2 < 0.4 < accuracy_interval(marks(many), 2000, 1).low


def test_saying_the_same_word_every_time_scores_chance_however_unbalanced_the_answers():
    asked = [Mark(f"w{i}", "mode", "major", True) for i in range(30)]
    asked += [Mark(f"v{i}", "mode", "minor", False) for i in range(5)]
    assert accuracy_interval(asked, 200, 1).value == pytest.approx(0.5)


def test_overall_each_family_counts_the_same():
    asked = [Mark(f"w{i}", "mode", "major", True) for i in range(30)] + [Mark("w0", "drums", "yes", False)]
    assert accuracy_interval(asked, 200, 1).value == pytest.approx(0.5)


def test_a_paired_difference_is_narrower_than_two_intervals_apart():
    works = [f"w{i}" for i in range(60)]
    before = [Mark(w, "mode", "major", i % 2 == 0) for i, w in enumerate(works)]
    after = [Mark(w, "mode", "major", i % 2 == 0 or i % 10 == 1) for i, w in enumerate(works)]
    gain = difference_interval(after, before, 2000, 1)
    assert gain.value == pytest.approx(0.1)
    assert gain.low > 0, "the same questions got better, none got worse"
    assert accuracy_interval(after, 2000, 1).low < accuracy_interval(before, 2000, 1).high


def test_a_difference_of_a_model_with_itself_is_nought():
    asked = marks({"w0": [True, False], "w1": [True]})
    assert difference_interval(asked, asked, 200, 1).low == difference_interval(asked, asked, 200, 1).high == 0


def test_a_difference_between_other_questions_is_refused():
    with pytest.raises(ValueError, match="same questions in the same order"):
        difference_interval(marks({"w0": [True]}), marks({"w1": [True]}), 200, 1)


def test_no_answers_have_no_score():
    with pytest.raises(ValueError, match="no answers"):
        accuracy_interval([], 200, 1)


# --- scores and tables -----------------------------------------------------------------------------------------------


def test_scores_count_questions_works_and_unparsed_answers():
    asked = [prediction("w0", "major", True), prediction("w1", "minor", False, answer=None)]
    family, overall = score_all({("grpo", "audio"): asked}, resamples=100, seed=1)
    assert (family.family, overall.family) == ("mode", "all")
    assert (family.num_items, family.num_works, family.accuracy, family.unparsed) == (2, 2, 0.5, 0.5)
    assert chance_of(asked) == {"mode": 0.5, "all": 0.5}


def test_differences_hold_every_model_against_its_controls_and_against_what_came_before():
    asked = [prediction("w0", "major", True), prediction("w1", "minor", False)]
    answers = {(m, c): asked for m in ("sft", "warmup", "grpo") for c in ("audio", "shuffled", "none")}
    found = {(d.model, d.minus_model, d.minus_condition) for d in differences(answers, 50, 1) if d.family == "all"}
    controls = {(m, m, c) for m in ("sft", "warmup", "grpo") for c in ("shuffled", "none")}
    assert found == controls | {("warmup", "sft", "audio"), ("grpo", "sft", "audio"), ("grpo", "warmup", "audio")}


def test_the_table_shows_each_model_beside_its_controls():
    levels = {"audio": 0.724, "shuffled": 0.31, "none": 0.5}
    scores = [score(c, f, v, model=m) for m in ("sft", "grpo") for c, v in levels.items() for f in ("mode", "all")]
    lines = markdown_table(scores, {"mode": 0.5, "all": 0.5}).splitlines()
    assert lines[0] == (
        "| questions | n (works) | chance | **SFT** | other audio | silence | **GRPO** | other audio | silence |"
    )
    assert lines[2].startswith("| mode | 90 (20) | 50 | 72 [67, 77] | 31 [26, 36] | 50 [45, 55] |")
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| mode", "| all"]


def test_differences_are_told_in_points():
    told = difference_lines([difference("none", 0.05), difference("audio", -0.1, minus_model="warmup")], "grpo")
    assert told == ["GRPO less silence: +15 points [+5, +25]", "GRPO less warm-up: +0 points [-10, +10]"]


def test_without_scores_the_table_says_so():
    assert "no truth" in markdown_table([], {})


# --- the stage -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ports(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("data")
    give_held_out(data, TRUTHS)
    for seed, name in enumerate(("sft_model", "warmup_model", "grpo_model")):
        give_model(data, name, seed)
    return data


def evaluate(data: Path, into: Path, **changes) -> bool:
    inputs = {name: data / name for name in STAGE.inputs}
    return execute(STAGE, json.dumps({**EVALUATE, **changes}), inputs, {name: into / name for name in STAGE.outputs})


def test_every_model_answers_every_question_under_every_condition(ports, tmp_path):
    evaluate(ports, tmp_path)
    predictions = list(Table(tmp_path / "predictions", Prediction, read_manifest(tmp_path / "predictions")))
    asked: dict[tuple[str, str], list[str]] = {}
    for p in predictions:
        asked.setdefault((p.model, p.condition), []).append(f"{p.family}/{p.track_id}")
    assert len(asked) == 10, "three models, three conditions, and noise for the last"
    assert len(set(map(tuple, asked.values()))) == 1, "the same questions in the same order"
    assert len({p.id for p in predictions}) == len(predictions)
    assert {p.family for p in predictions} == {"drums", "mode", "tempo_class"}
    assert all(p.heard_track_id == p.track_id for p in predictions if p.condition == "audio")
    assert all(p.heard_track_id != p.track_id for p in predictions if p.condition == "shuffled")
    assert all(p.heard_track_id is None for p in predictions if p.condition == "none")
    silent = {(p.model, p.family, p.output) for p in predictions if p.condition == "none"}
    assert len(silent) == 9, "silence always sounds the same"
    scores = list(Table(tmp_path / "scores", Score, read_manifest(tmp_path / "scores")))
    assert len(scores) == 10 * 4
    noisy = [p for p in predictions if p.condition == "noise"]
    assert {p.model for p in noisy} == {"grpo"} and all(p.heard_track_id is None for p in noisy)
    assert read_evaluation(tmp_path / "scores").chance["tempo_class"] == pytest.approx(1 / 3)
    assert read_manifest(tmp_path / "scores").metrics["accuracy_percent"].keys() == {"sft", "warmup", "grpo"}


def test_a_caption_is_asked_for_once_and_judged_on_each_category(ports, tmp_path):
    evaluate(ports, tmp_path, families=["drums"], caption_request=REQUEST)
    table = Table(tmp_path / "predictions", Prediction, read_manifest(tmp_path / "predictions"))
    said: dict[str, set[str]] = {}
    for p in table:
        if (p.model, p.condition, p.family) == ("grpo", "audio", "short_caption"):
            said.setdefault(p.track_id, set()).add(p.output)
    assert len(said) == 8
    assert {len(outputs) for outputs in said.values()} == {1}


def test_a_lost_shard_is_made_again_and_nothing_else(ports, tmp_path):
    evaluate(ports, tmp_path / "whole")
    evaluate(ports, tmp_path / "torn")
    digests = {n: read_manifest(tmp_path / "whole" / n).digest for n in STAGE.outputs}
    torn = tmp_path / "torn" / "predictions"
    key = read_manifest(torn).key
    for name in STAGE.outputs:
        (tmp_path / "torn" / name / "_manifest.json").unlink()
        (tmp_path / "torn" / name / "_progress.json").write_text(json.dumps({"key": key}))
    shards = shard_paths(torn)
    shards[4].unlink()
    (torn / ".part-00004.parquet.x.tmp").write_text("half of it")
    kept = {path: path.stat().st_mtime_ns for path in shards if path != shards[4]}
    evaluate(ports, tmp_path / "torn")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert {n: read_manifest(tmp_path / "torn" / n).digest for n in STAGE.outputs} == digests


@pytest.mark.slow
def test_two_workers_give_what_one_gives(ports, tmp_path):
    evaluate(ports, tmp_path / "one")
    evaluate(ports, tmp_path / "two", workers=2)
    for name in STAGE.outputs:
        assert read_manifest(tmp_path / "one" / name).digest == read_manifest(tmp_path / "two" / name).digest


def test_a_source_without_truth_has_no_scores_and_says_so(ports, tmp_path):
    give_held_out(tmp_path, TRUTHS[:2], with_truth=False)
    for name in ("sft_model", "warmup_model", "grpo_model"):
        (tmp_path / name).symlink_to(ports / name)
    evaluate(tmp_path, tmp_path)
    assert read_manifest(tmp_path / "scores").num_records == read_manifest(tmp_path / "predictions").num_records == 0
    assert read_manifest(tmp_path / "scores").metrics["note"] == "no truth: evaluation skipped"
    assert read_evaluation(tmp_path / "scores").note == "no truth: evaluation skipped"


def test_training_pieces_are_never_asked_about(tmp_path, ports):
    def write(tracks, truth, facts):
        tracks.write_all([make_track(t, split="train" if t.work_id in ("w0", "w1") else "test") for t in TRUTHS], 50)
        truth.write_all(TRUTHS, 50)
        facts.write_all([], 50)

    give(tmp_path, "ingest", {"tracks": Track, "truth": Truth, "facts": Facts}, write)
    for name in ("sft_model", "warmup_model", "grpo_model"):
        (tmp_path / name).symlink_to(ports / name)
    evaluate(tmp_path, tmp_path, families=["mode"])
    table = Table(tmp_path / "predictions", Prediction, read_manifest(tmp_path / "predictions"))
    assert {p.work_id for p in table} == {"w2", "w3", "w4", "w5"}


def test_an_unknown_family_is_refused_with_the_known_ones(ports, tmp_path):
    with pytest.raises(ConfigError, match=r"(?s)evaluate\.families.*tempo_class"):
        evaluate(ports, tmp_path, families=["colour"])
