"""The forms that authors publish: prompts to the letter, the leave-one-out vote, and the file that a scorer reads."""

import json
from dataclasses import replace

import pytest
from support.audio_endpoint import AudioEndpoint
from support.benchmark_files import WRITERS

from music_flamingo.evaluation.benchmarks import find
from music_flamingo.evaluation.command import EvaluationRequest, evaluate
from music_flamingo.evaluation.outcome import read_items


@pytest.fixture
def question(tmp_path):
    WRITERS["rul_muchomusic_left_out"][0](tmp_path / "data")
    return find("rul_muchomusic_left_out").items(tmp_path / "data")[0]


def vote(question, *chosen):
    """(official, strict) grade of passes that say these words; `right` and `wrong N` are an option of the pass."""
    benchmark = find("rul_muchomusic_left_out")
    outputs = []
    for part, words in zip(benchmark.asked(question), chosen, strict=True):
        wrong = sorted(option for option in part.options if option != part.reference)
        outputs.append({"right": part.reference, "first": wrong[0], "last": wrong[-1]}.get(words, words))
    output = benchmark.join(outputs)
    return tuple(benchmark.measure(name).score(question, output, {}).value for name in ("official", "strict"))


def test_a_pass_leaves_one_distractor_out_and_keeps_the_right_answer(question):
    parts = find("rul_muchomusic_left_out").asked(question)
    assert [part.id for part in parts] == [f"1740/{n}" for n in range(4)]
    assert all(len(part.options) == 4 and part.options[part.answer_index] == "Mellow organ" for part in parts)
    missing = [set(question.options) - set(part.options) for part in parts]
    assert sorted(name for names in missing for name in names) == sorted(set(question.options) - {"Mellow organ"})
    assert len({tuple(sorted(part.options, key=question.options.index)) == part.options for part in parts}) >= 1


def test_the_answer_that_most_passes_gave_is_the_vote(question):
    assert vote(question, "right", "right", "first", "last") == (1.0, 1.0)
    assert vote(question, "right", "Hm.", "", "I do not know.") == (1.0, 1.0)
    assert vote(question, "", "", "", "") == (0.0, 0.0)


def test_a_tie_goes_to_the_first_answer_by_the_authors_rule_and_to_none_by_the_strict_one(question):
    benchmark = find("rul_muchomusic_left_out")
    parts = benchmark.asked(question)
    other = next(o for o in parts[0].options if o != "Mellow organ" and o in parts[1].options)
    assert vote(question, "right", "right", other, other)[0] == 1.0
    ties = benchmark.join(["Mellow organ", other, "", ""]), benchmark.join([other, "Mellow organ", "", ""])
    assert [benchmark.measure("official").score(question, output, {}).value for output in ties] == [1.0, 0.0]
    assert [benchmark.parse(question, output) for output in ties] == [None, None]


def test_four_passes_are_asked_and_count_as_one_item(tmp_path):
    WRITERS["rul_muchomusic_left_out"][0](tmp_path / "data")
    request = EvaluationRequest("", "rul_muchomusic_left_out", tmp_path / "data", tmp_path / "out", "ears",
                                conditions=("audio",), resamples=50)  # fmt: skip
    with AudioEndpoint(lambda words, sound: "I guess Mellow organ.") as server:
        outcome = evaluate(replace(request, model=server.url))
        assert len(server.calls) == 8
    assert outcome.headline("official").value == outcome.headline("strict").value == 50.0
    graded = read_items(tmp_path / "out/rul_muchomusic_left_out")
    assert len(graded) == 2 and json.loads(graded[0].output) == ["I guess Mellow organ."] * 4


def test_prompts_of_authors_are_put_as_they_publish_them(tmp_path, question):
    options = "(A) {} (B) {} (C) {} (D) {}".format(*find("rul_muchomusic_left_out").asked(question)[0].options)
    assert find("rul_muchomusic_left_out").prompt(find("rul_muchomusic_left_out").asked(question)[0]) == (
        "Provide your best guess of this question. Think step by step.\n\n"
        f"Question: {question.question}\n\nOptions: {options}\n\n"
        "Write out your guess in the format of [[Letter]], such as [[A]], [[B]], [[C]], [[D]]."
    )
    assert find("rul_muchomusic").prompt(question).endswith("such as [[A]], [[B]], [[C]], [[D]] or [[E]].")
    WRITERS["muchomusic"][0](tmp_path)
    item = find("muchomusic").items(tmp_path)[0]
    assert find("muchomusic").prompt(item) == (
        "Question: What rhythm pattern do the digital drums primarily follow in this pop music piece? \n"
        " Options: (A) Four on the floor. (B) Off-beat syncopation. (C) Scat singing. "
        "(D) E-guitar playing a simple melody. \n"
        " The correct answer is: A\n"
        f" Question: {item.question}\n"
        " Options: (A) {} (B) {} (C) {} (D) {} \n".format(*item.options)
        + " The correct answer is:"
    )


def test_muchomusics_file_has_the_fields_of_the_published_one(tmp_path):
    WRITERS["muchomusic"][0](tmp_path)
    benchmark = find("muchomusic")
    items = benchmark.items(tmp_path)
    rows = benchmark.submission(tmp_path, items, {item.id: "A" for item in items})
    assert set(rows[0]) == {"id", "prompt", "answers", "answer_orders", "dataset", "genre", "reasoning", "knowledge",
                            "audio_path", "model_output"}  # fmt: skip
    assert [row["id"] for row in rows] == [415600, "-aB_c9"]
    assert any(row["reasoning"] for row in rows) and any(row["knowledge"] for row in rows)
