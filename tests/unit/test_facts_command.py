"""mf evaluate --facts: the annotation tools in the same tables, on the ports that a run leaves behind."""

import pytest
from support.report_ports import make_run

from music_flamingo.cli import main
from music_flamingo.core.errors import UserError
from music_flamingo.evaluation.facts_command import evaluate_facts
from music_flamingo.evaluation.outcome import read_outcome


def test_the_tools_are_graded_by_the_scores_truth_in_the_same_table(tmp_path, capsys):
    data = make_run(tmp_path / "data")
    assert main(["evaluate", "--facts", str(data), "--out", str(tmp_path / "out")]) == 0
    outcome = read_outcome(tmp_path / "out/facts")
    measures = {row.measure for row in outcome.rows}
    assert {"beat F", "tempo Acc1", "tempo Acc2", "key", "chords majmin", "drums"} <= measures
    assert all(0 <= row.low <= row.value <= row.high <= 100 for row in outcome.rows)
    assert any(row.group.startswith("tradition: ") for row in outcome.rows)
    assert "Annotation tools" in (tmp_path / "out/index.html").read_text()
    assert "| beat F |" in capsys.readouterr().out


def test_recordings_without_a_score_have_no_truth_to_grade_by(tmp_path):
    data = make_run(tmp_path / "data", songs_only=True)
    with pytest.raises(UserError, match="only rendered scores have a truth"):
        evaluate_facts(data, tmp_path / "out", 100, 0)
