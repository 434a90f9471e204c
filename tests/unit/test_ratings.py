"""Listening tests: agreement against published worked examples, sheets out and in."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from support.audio_endpoint import AudioEndpoint
from support.benchmark_files import WRITERS

from music_flamingo.cli import main
from music_flamingo.core.errors import UserError
from music_flamingo.evaluation.agreement import agreement, intraclass, krippendorff_alpha
from music_flamingo.evaluation.command import EvaluationRequest, evaluate
from music_flamingo.evaluation.ratings import export_sheet, model_ratings, rater_agreement, read_ratings

_ = float("nan")


def test_alpha_is_that_of_krippendorffs_own_example():
    """Krippendorff 2011: four observers, twelve units, missing values; interval alpha .849."""
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
    assert krippendorff_alpha(np.array(observers).T) == pytest.approx(0.849, abs=0.0005)


def test_icc_is_that_of_shrout_and_fleiss():
    """Shrout and Fleiss 1979, table 2: six targets, four judges; ICC(2,1) .29, ICC(2,4) .62."""
    targets = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    single, mean = intraclass(np.array(targets, dtype=float))
    assert (round(single, 2), round(mean, 2)) == (0.29, 0.62)


def test_agreement_of_nothing_to_compare_is_no_number():
    assert krippendorff_alpha(np.array([[1.0, _], [_, 2.0]])) is None
    assert krippendorff_alpha(np.full((4, 2), 5.0)) is None
    assert intraclass(np.full((4, 2), 5.0)) == (None, None)
    told = agreement(np.array([[1.0, 1.0], [9.0, 9.0], [5.0, _]]))
    assert (told.num_items, told.alpha, told.icc_single) == (2, 1.0, 1.0)


@pytest.fixture
def evaluated(tmp_path):
    WRITERS["songcaps"][0](tmp_path / "data")
    request = EvaluationRequest(
        model="", benchmark="songcaps", data=tmp_path / "data", out=tmp_path, model_name="m", conditions=("audio",)
    )
    folders = []
    for name, words in (("a", "=1+1 A harp."), ("b", "A reel.")):
        with AudioEndpoint(lambda said, sound, words=words: words) as server:
            evaluate(replace(request, model=server.url, model_name=name, out=tmp_path / name))
        folders.append(tmp_path / name / "songcaps")
    return folders


def fill(sheet, rater, scores, out):
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, score in zip(rows, scores, strict=True):
        row.update(rater=rater, overall=score, coverage=score)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return out


def test_a_sheet_names_no_model_and_runs_nothing_in_a_spreadsheet(evaluated, tmp_path):
    assert export_sheet(evaluated, tmp_path / "test", None, 0) == 4
    text = (tmp_path / "test/sheet.csv").read_text(encoding="utf-8-sig")
    assert "'=1+1 A harp." in text and ",a " not in text and "b " not in text.split("\n")[0]
    assert "songs/s1.wav" in text


def test_scores_come_back_as_means_and_agreement(evaluated, tmp_path, capsys):
    export_sheet(evaluated, tmp_path / "test", None, 0)
    sheet = tmp_path / "test/sheet.csv"
    sheets = [
        fill(sheet, "anna", [2, 4, 8, 10], tmp_path / "anna.csv"),
        fill(sheet, "bao", [3, 4, 8, ""], tmp_path / "bao.csv"),
    ]
    ratings = read_ratings(tmp_path / "test", sheets)
    assert len(ratings) == 14
    means = {(m.model[0], m.scale): m for m in model_ratings(ratings, 500, 0)}
    assert set(means) == {("a", "overall"), ("a", "coverage"), ("b", "overall"), ("b", "coverage")}
    assert sum(m.num_ratings for m in means.values()) == 14
    told = {a.scale: a for a in rater_agreement(ratings)}
    assert told["overall"].num_raters == 2 and told["overall"].alpha > 0.9
    assert main(["ratings", "import", str(tmp_path / "test"), *map(str, sheets)]) == 0
    assert "Krippendorff" in capsys.readouterr().out


def test_what_is_no_score_is_refused_by_file_and_line(evaluated, tmp_path):
    export_sheet(evaluated, tmp_path / "test", None, 0)
    sheet = tmp_path / "test/sheet.csv"
    for bad in ("11", "0", "7.5", "good"):
        filled = fill(sheet, "anna", [5, bad, 5, 5], tmp_path / "bad.csv")
        with pytest.raises(UserError, match=r"bad.csv, line 3, overall"):
            read_ratings(tmp_path / "test", [filled])
    good = fill(sheet, "anna", [5, 5, 5, 5], tmp_path / "good.csv")
    with pytest.raises(UserError, match="2 times"):
        read_ratings(tmp_path / "test", [good, good])
    with pytest.raises(UserError, match="no score yet"):
        read_ratings(tmp_path / "test", [sheet])
    good.write_text(good.read_text().replace(good.read_text().split("\n")[1][:8], "deadbeef"))
    with pytest.raises(UserError, match="not in the key"):
        read_ratings(tmp_path / "test", [good])
