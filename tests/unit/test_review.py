"""Review by ear: a sample by strata, a sheet that stands alone, and rates that know how little was heard."""

import csv
import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_flamingo.cli import main
from music_flamingo.core.errors import UserError
from music_flamingo.quality.ratings import StratumRate, read_ratings, review, weigh, wilson
from music_flamingo.quality.review import ReviewConfig, Stratum, draw, strata
from music_flamingo.quality.rows import hashes
from music_flamingo.quality.sheet import SheetExample, write_sheet


def rows(sizes: dict[tuple[str, str], int]) -> pa.Table:
    """{(reason, family): examples}"""
    listed = [(reason, family) for (reason, family), n in sizes.items() for _ in range(n)]
    columns = {
        "id": pa.array(hashes([f"x{k}" for k in range(len(listed))]), pa.uint64()),
        "reason": pa.array([r for r, _ in listed], pa.string()),
        "skill": pa.array(["harmony"] * len(listed), pa.string()),
        "type": pa.array(["open"] * len(listed), pa.string()),
        "family": pa.array([f for _, f in listed], pa.string()),
    }
    return pa.table(columns)


SIZES = {("", "key"): 500, ("", "form"): 20, ("low_confidence", "key"): 3, ("judged_wrong", "form"): 1}


def config(**changes) -> ReviewConfig:
    return ReviewConfig.model_validate({"max_examples": 20, "per_stratum": 4, "max_clip_s": 30.0, "seed": 1} | changes)


def test_every_stratum_is_heard_before_any_is_heard_twice():
    taken = draw(rows(SIZES), config(max_examples=4))
    assert len({d.stratum for d in taken}) == 4
    many = draw(rows(SIZES), config())
    counts = {name: sum(d.stratum == name for d in many) for name in {d.stratum for d in many}}
    assert counts == {
        "kept / harmony / open / key": 4,
        "kept / harmony / open / form": 4,
        "low_confidence / harmony / open / key": 3,
        "judged_wrong / harmony / open / form": 1,
    }


def test_the_draw_depends_on_seed_and_ids_alone():
    table = rows(SIZES)
    order = np.random.default_rng(0).permutation(len(table))
    ids = table["id"].to_numpy()
    one = {ids[d.row] for d in draw(table, config())}
    other = {ids[order][d.row] for d in draw(table.take(order), config())}
    assert one == other
    assert one != {ids[d.row] for d in draw(table, config(seed=2))}


def test_a_sheet_of_none_is_asked_for_by_zero():
    assert draw(rows(SIZES), config(max_examples=0)) == []
    assert draw(rows({}), config()) == []


def test_strata_know_their_sizes_and_whether_they_were_kept():
    found = {s.name: (s.kept, s.size) for s in strata(rows(SIZES))}
    assert found["kept / harmony / open / key"] == (True, 500)
    assert found["judged_wrong / harmony / open / form"] == (False, 1)


@pytest.mark.parametrize(
    ("wrong", "judged", "low", "high"), [(0, 10, 0.0, 0.2775), (1, 10, 0.0179, 0.4042), (5, 10, 0.2366, 0.7634)]
)
def test_intervals_are_wilsons(wrong, judged, low, high):
    found = wilson(wrong, judged)  # golden: statsmodels' proportion_confint(method="wilson")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-3)


@given(st.integers(0, 50), st.integers(1, 50))
def test_an_interval_holds_its_rate_and_stays_a_share(wrong, judged):
    found = wilson(min(wrong, judged), judged)
    assert 0.0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1.0


def rated(name: str, size: int, right: int, wrong: int) -> StratumRate:
    stratum = Stratum(name=name, kept=True, size=size)
    return StratumRate(stratum, right, wrong, 0, wilson(wrong, right + wrong))


def test_the_overall_rate_is_weighed_by_sizes():
    found = weigh([rated("a", 900, 9, 1), rated("b", 100, 5, 5)])
    assert found.value == pytest.approx(0.9 * 0.1 + 0.1 * 0.5)
    assert found.low < found.value < found.high


def test_all_right_answers_are_no_certainty_until_all_were_heard():
    assert weigh([rated("a", 1000, 4, 0)]).high > 0.1
    assert weigh([rated("a", 4, 4, 0)]).high == 0.0


def test_simulated_reviews_cover_the_true_rate_about_as_often_as_they_say():
    rng = np.random.default_rng(3)
    truth = {"a": (5000, 0.05), "b": (500, 0.3), "c": (100, 0.6)}
    true_rate = sum(n * p for n, p in truth.values()) / sum(n for n, _ in truth.values())
    covered = 0
    for _ in range(300):
        wrong = {name: int(rng.binomial(12, p)) for name, (_, p) in truth.items()}
        found = weigh([rated(n, size, 12 - wrong[n], wrong[n]) for n, (size, _) in truth.items()])
        covered += found.low <= true_rate <= found.high
    assert covered / 300 > 0.9


def an_item(**changes) -> SheetExample:
    values = {
        "id": "t/key",
        "stratum": "kept / harmony / open / key",
        "fate": "kept",
        "skill": "harmony",
        "type": "open",
    }
    values |= {
        "family": "key",
        "question": "Which key?",
        "options": [],
        "answer": "C major",
        "rationale": "",
        "facts": [],
    }
    values |= {"teacher": "scripted: scripted", "cited": [], "clip": "clips/a.flac", "clip_start_s": 0.0, "clip_s": 3.0}
    return SheetExample.model_validate(values | changes)


@pytest.mark.security
def test_a_text_cannot_leave_the_data_it_is_in(tmp_path):
    write_sheet(tmp_path, [an_item(question='</script><script>alert(1)</script>"}')], [])
    page = (tmp_path / "index.html").read_text()
    assert page.count("<script") == 2 and page.count("</script") == 2
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert data["items"][0]["question"].startswith("</script>")


def test_ratings_come_back_from_csv_and_jsonl_alike(tmp_path):
    name = "kept / harmony / open / key"
    listed = [("a", name, "right", 'said "yes", twice'), ("b", name, "wrong", ""), ("c", name, "", "later")]
    with (tmp_path / "r.csv").open("w", newline="") as f:
        writer = csv.writer(f)
        writer.writerows([("id", "stratum", "rating", "note"), *listed])
    lines = [json.dumps(dict(zip(("id", "stratum", "rating", "note"), row, strict=True))) for row in listed]
    (tmp_path / "r.jsonl").write_text("\n".join(lines))
    found = read_ratings(tmp_path / "r.csv")
    assert found == read_ratings(tmp_path / "r.jsonl") == {"a": (name, "right"), "b": (name, "wrong")}


def test_mf_review_prints_rates_by_stratum_and_over_all(tmp_path, capsys):
    (tmp_path / "review").mkdir()
    names = {"kept / a": (True, 90), "kept / b": (True, 10), "low_confidence / a": (False, 5)}
    listed = [{"name": n, "kept": kept, "size": size} for n, (kept, size) in names.items()]
    (tmp_path / "review" / "strata.json").write_text(json.dumps(listed))
    ratings = ["id,stratum,rating,note"]
    ratings += [f"{k},kept / a,{'wrong' if k < 2 else 'right'}," for k in range(20)] + ["x,low_confidence / a,unsure,"]
    (tmp_path / "ratings.csv").write_text("\n".join(ratings))
    assert main(["review", str(tmp_path / "ratings.csv"), "--docs", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "18     2      0       90  10.0%" in said
    assert "kept:     wrong 10.0%" in said and "hold 90% of the kept" in said
    assert "rejected: wrong not rated" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,stratum,rating\na,kept / a,maybe\n", "right, wrong or unsure, not 'maybe'"),
        ("id,verdict\na,b\n", "has an id, a stratum and a rating"),
        ("id,stratum,rating\na,kept / other,right\n", "no stratum is called"),
    ],
)
def test_ratings_that_cannot_be_used_are_named(tmp_path, text, message):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        review(read_ratings(tmp_path / "r.csv"), [Stratum(name="kept / a", kept=True, size=1)])


def test_nothing_rated_is_no_rate():
    found = review({}, [Stratum(name="kept / a", kept=True, size=1)])
    assert found.kept.value is None and found.kept_covered == 0.0
    assert math.isclose(wilson(0, 0).high, 1.0)
