"""The report's table of what GRPO drew."""

from html import escape

import pytest
from support.report_ports import make_run
from test_report import build

from music_flamingo.core.errors import CorruptDataError
from music_flamingo.records import Rollout, SampledAnswer
from music_flamingo.report.rollouts import drawn


def rollout(step: int, name: str, rewards: list[float | None]) -> Rollout:
    answers = [
        SampledAnswer(text=f"said {r}", num_tokens=2, format=None, accuracy=r, structured=None, reward=r, advantage=0.5)
        for r in rewards
    ]
    about = {"example_id": name, "track_id": "t", "family": "mode", "question": name, "reference": "minor"}
    return Rollout(id=f"{step}/{name}", step=step, answers=answers, **about)


def test_the_groups_that_differ_most_of_the_first_and_last_step_with_their_best_and_worst(tmp_path):
    made = [
        rollout(1, "alike", [1.0, 1.0]),
        rollout(1, "wide", [0.0, 2.0, None]),
        *(rollout(1, f"narrow{i}", [0.5, 1.0]) for i in range(4)),
        rollout(5, "between", [0.0, 2.0]),
        rollout(9, "late", [1.0, 0.0]),
    ]
    path = tmp_path / "rollouts.jsonl"
    path.write_text("".join(r.model_dump_json() + "\n" for r in made))
    groups = drawn(path)
    assert [(g.step, g.question) for g in groups] == [(1, "wide"), (1, "narrow3"), (1, "narrow2"), (9, "late")]
    assert [(s.text, s.parts) for s in groups[0].shown] == [
        ("said 2.0", "2 = 2 accuracy"),
        ("said 0.0", "0 = 0 accuracy"),
    ]


def test_no_rollouts_kept_is_no_table_and_a_torn_line_is_named(tmp_path):
    assert drawn(tmp_path / "rollouts.jsonl") == []
    (tmp_path / "rollouts.jsonl").write_text('{"id": "1/x"\n')
    with pytest.raises(CorruptDataError, match="line 1"):
        drawn(tmp_path / "rollouts.jsonl")


def test_the_training_page_shows_answers_with_their_tags_as_text(tmp_path):
    data = make_run(tmp_path)
    page = (build(data, data / "site") / "training.html").read_text()
    assert "What GRPO drew" in page
    assert escape("<think>It sways.</think><answer>triple</answer>") in page
    assert "<b><b>" not in page
    assert "2 = 1 format + 1 accuracy" in page
