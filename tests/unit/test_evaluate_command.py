"""mf evaluate end to end over a real HTTP endpoint: asking, resuming, scoring again, judging, comparing."""

import json
from dataclasses import replace

import pytest
import soundfile
from support.audio_endpoint import AudioEndpoint
from support.benchmark_files import WRITERS, tone

from music_flamingo.cli import main
from music_flamingo.core.errors import CorruptDataError, UserError
from music_flamingo.evaluation.benchmarks import find
from music_flamingo.evaluation.command import EvaluationRequest, evaluate
from music_flamingo.evaluation.comparing import compare
from music_flamingo.evaluation.ledger import Ledger, LedgerEntry
from music_flamingo.evaluation.outcome import read_items, read_outcome, table_markdown


def prepared(tmp_path, name):
    WRITERS[name][0](tmp_path / "data")
    return EvaluationRequest(
        model="",
        benchmark=name,
        data=tmp_path / "data",
        out=tmp_path / "out",
        model_name="ears",
        conditions=("audio",),
        resamples=200,
        batch_size=2,
    )


def test_answers_are_scored_and_written_with_their_controls(tmp_path):
    request = prepared(tmp_path, "gtzan")

    def reply(words, sound):
        return "blues" if sound else "I hear nothing."

    with AudioEndpoint(reply) as server:
        asked = ("audio", "none", "noise", "shuffled", "permuted")
        outcome = evaluate(replace(request, model=server.url, conditions=asked))
        assert len(server.calls) == 15
        assert sum(sound is None for _, sound in server.calls) == 3  # no audio is no audio
        assert len({sound for _, sound in server.calls if sound}) == 6  # three recordings, three noises
    row = outcome.headline("strict")
    assert (row.n, round(row.value, 1), row.paper, row.unparsed) == (3, 33.3, 84.45, 0.0)
    by_condition = {r.condition: r for r in outcome.rows if r.group == "all" and r.measure == "strict"}
    assert by_condition["none"].unparsed == 100.0
    assert {d.control for d in outcome.controls} == {"none", "noise", "shuffled", "permuted"}
    assert outcome.agreement_when_permuted == 100.0
    assert outcome.positions[0].chosen_percent == 100.0 and outcome.position_bias == pytest.approx(66.67, abs=0.01)
    assert {r.group for r in outcome.rows if r.group != "all"} == {
        "category: blues",
        "category: hiphop",
        "category: jazz",
    }
    lines = (tmp_path / "out/gtzan/items.jsonl").read_text().splitlines()
    assert len(lines) == 15 and json.loads(lines[0])["grades"]["strict"] == [1.0, 1.0]
    assert "GTZAN" in (tmp_path / "out/results.md").read_text()
    page = (tmp_path / "out/gtzan/index.html").read_text()
    assert page.count("<audio") == 2 and "Failures to listen to" in page
    assert "GTZAN" in (tmp_path / "out/index.html").read_text()


def test_what_was_answered_is_not_asked_again(tmp_path):
    request = prepared(tmp_path, "gtzan")
    with AudioEndpoint(lambda words, sound: "jazz") as server:
        first = evaluate(replace(request, model=server.url))
        again = evaluate(replace(request, model=server.url))
        assert len(server.calls) == 3 and first == again
        evaluate(replace(request, model=server.url, revision="2"))  # other weights, by the user's word
        assert len(server.calls) == 6


def test_an_interrupted_evaluation_goes_on_with_what_is_missing(tmp_path):
    request = prepared(tmp_path, "gtzan")
    alive = [True, True, False]

    def reply(words, sound):
        return "jazz" if not alive or alive.pop(0) else 403

    with AudioEndpoint(reply) as server:
        with pytest.raises(UserError, match="1 of 3 questions have no answer yet"):
            evaluate(replace(request, model=server.url))
        outcome = evaluate(replace(request, model=server.url))
        assert len(server.calls) == 4 and outcome.headline("strict").n == 3


def test_a_line_that_a_kill_cut_is_asked_again_and_no_other(tmp_path):
    request = prepared(tmp_path, "gtzan")
    with AudioEndpoint(lambda words, sound: "jazz") as server:
        evaluate(replace(request, model=server.url))
        path = tmp_path / "out/gtzan/answers.jsonl"
        path.write_bytes(path.read_bytes()[:-20])
        evaluate(replace(request, model=server.url))
        assert len(server.calls) == 4
    path.write_text("{}\n" + path.read_text())
    with pytest.raises(CorruptDataError, match="line 1"):
        Ledger(path, LedgerEntry)


def test_scoring_again_asks_nobody(tmp_path):
    request = prepared(tmp_path, "songcaps")
    with AudioEndpoint(lambda words, sound: "A slow harp." if sound else '{"score": 7}') as server:
        judged = replace(request, model=server.url, judge=server.url, judge_model="judge")
        outcome = evaluate(judged)
    assert outcome.headline("coverage").value == 7.0
    assert evaluate(replace(judged, rescore=True)) == outcome


def test_a_judges_unreadable_words_are_counted_and_get_no_points(tmp_path):
    request = prepared(tmp_path, "songcaps")

    def reply(words, sound):
        if sound:
            return "words"
        return '{"score": 4}' if "harp" in words else "Both are fine."

    with AudioEndpoint(reply) as server:
        outcome = evaluate(replace(request, model=server.url, judge=server.url, judge_model="judge"))
    row = outcome.headline("coverage")
    assert (row.n, row.value, row.unjudged) == (2, None, 1), "half of the replies are no basis for a figure"
    assert "no figure: 1 of 2 unjudged" in (tmp_path / "out/songcaps/results.md").read_text()
    assert outcome.run.judge == "judge" and set(outcome.run.prompts) >= {"judge_coverage", "judge_correctness"}


def test_without_a_judge_the_answers_are_kept_and_nothing_is_scored(tmp_path):
    request = prepared(tmp_path, "musiccaps")
    with AudioEndpoint(lambda words, sound: "A harp.") as server:
        outcome = evaluate(replace(request, model=server.url))
    assert outcome.rows == [] and len(read_items(tmp_path / "out/musiccaps")) == 1


def test_mmau_pro_is_scored_officially_by_embeddings(tmp_path):
    request = prepared(tmp_path, "mmau_pro_music")
    with AudioEndpoint(lambda words, sound: "I think of Yaman") as server:
        outcome = evaluate(replace(request, model=server.url))
        assert outcome.headline("official") is None
        outcome = evaluate(replace(request, model=server.url, embeddings=server.url))
    assert outcome.headline("official").n == 3
    assert outcome.headline("strict").value == pytest.approx(100 / 3)


def test_missing_recordings_are_all_named_before_the_first_question(tmp_path):
    request = prepared(tmp_path, "rul_muchomusic")
    for path in (tmp_path / "data/audio").iterdir():
        path.unlink()
    with AudioEndpoint(lambda words, sound: "[[A]]") as server:
        with pytest.raises(UserError, match=r"2 of 2 recordings are missing[^$]*1740.mp3[^$]*1862.mp3"):
            evaluate(replace(request, model=server.url))
        tone(tmp_path / "data/audio/1740.mp3")
        outcome = evaluate(replace(request, model=server.url, skip_missing=True))
        assert len(server.calls) == 1
    assert outcome.run.num_without_recording == 1 and "without recording 1" in _table(tmp_path, "rul_muchomusic")


def _table(tmp_path, name):
    return (tmp_path / f"out/{name}/results.md").read_text()


def test_a_broken_recording_is_found_before_the_first_question_and_leaves_item_and_control(tmp_path):
    request = prepared(tmp_path, "gtzan")
    broken = next((tmp_path / "data").rglob("jazz*.wav"))
    broken.write_bytes(b"no sound at all")
    with AudioEndpoint(lambda words, sound: "blues") as server:
        asked = replace(request, model=server.url, conditions=("audio", "none", "noise", "shuffled"))
        outcome = evaluate(asked)
        assert len(server.calls) == 8 and evaluate(asked) == outcome
    assert {(r.condition, r.n) for r in outcome.rows if r.group == "all" and r.measure == "strict"} == {
        ("audio", 2), ("none", 2), ("noise", 2), ("shuffled", 2)
    }  # fmt: skip
    (problem,) = outcome.run.broken_recordings.values()
    assert "unreadable" in problem and "broken recordings 1" in _table(tmp_path, "gtzan")


def test_a_benchmark_of_broken_recordings_is_refused_in_words(tmp_path):
    request = prepared(tmp_path, "songcaps")
    for path in (tmp_path / "data").rglob("*.*"):
        if path.suffix in (".wav", ".mp3", ".ogg"):
            path.write_bytes(b"no sound at all")
    with AudioEndpoint(lambda words, sound: "x") as server:
        with pytest.raises(UserError, match="no recording of songcaps can be decoded"):
            evaluate(replace(request, model=server.url))
        assert not server.calls


def test_a_benchmark_in_the_training_data_is_refused_by_name(tmp_path):
    request = prepared(tmp_path, "mmar_music")
    ids = tmp_path / "ids.txt"
    ids.write_text("something\nvid2_00-01-32_00-02-02\n")
    with AudioEndpoint(lambda words, sound: "Open grassland") as server:
        seen = replace(request, model=server.url, training_ids=ids)
        with pytest.raises(UserError, match="1 of 2 questions are about recordings of the training data"):
            evaluate(seen)
        assert not server.calls
        outcome = evaluate(replace(seen, allow_contaminated=True))
    assert outcome.run.contamination.startswith("1 of 2 items in it")


def test_two_models_are_compared_on_the_same_items(tmp_path):
    request = prepared(tmp_path, "nsynth_instrument")
    outs = tmp_path / "a", tmp_path / "b"
    for out, word in zip(outs, ("bass", "no idea"), strict=True):
        with AudioEndpoint(lambda words, sound, word=word: word) as server:
            evaluate(replace(request, model=server.url, out=out, revision=word))
    rows = {row.measure: row for row in compare(*outs)}
    assert rows["strict"].n == 3 and rows["strict"].value == pytest.approx(-100 / 3)
    with pytest.raises(UserError, match="share no evaluated benchmark"):
        compare(outs[0], tmp_path)


def test_a_trial_is_marked_as_one(tmp_path):
    request = prepared(tmp_path, "gtzan")
    with AudioEndpoint(lambda words, sound: "jazz") as server:
        outcome = evaluate(replace(request, model=server.url, limit=1))
        assert evaluate(replace(request, rescore=True)) == outcome, "scored again, it is the same trial"
    assert outcome.run.num_items == 1 and "(trial)" in table_markdown([outcome])
    assert read_outcome(tmp_path / "out/gtzan") == outcome


def test_the_command_line_says_what_is_missing(tmp_path, capsys):
    assert main(["evaluate", "--list"]) == 0
    assert "muchomusic: MuChoMusic, 1187 items" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "--benchmark" in capsys.readouterr().err
    WRITERS["gtzan"][0](tmp_path / "data")
    assert main(["evaluate", str(tmp_path), "--benchmark", "gtzan", "--data", str(tmp_path / "data")]) == 2
    assert "is no model" in capsys.readouterr().err


def test_the_command_line_asks_an_endpoint_and_shows_the_table(tmp_path, capsys):
    WRITERS["gtzan"][0](tmp_path / "data")
    with AudioEndpoint(lambda words, sound: "<think>Drums.</think><answer>jazz</answer>") as server:
        arguments = ["evaluate", server.url, "--model-name", "ears", "--benchmark", "gtzan", "--think"]
        status = main([*arguments, "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--conditions"])
        assert status == 0 and all("Think in think tags" in words for words, _ in server.calls)
    shown = capsys.readouterr().out
    assert "| GTZAN genre | ears | strict | 3 | 33.3" in shown
    assert main(["compare", str(tmp_path / "out"), str(tmp_path / "out")]) == 0
    assert "no clear difference" in capsys.readouterr().out


def test_a_benchmark_in_the_training_data_is_refused_by_its_sound(tmp_path):
    from support.sounds import tune

    from music_flamingo.audio.fingerprint import fingerprint
    from music_flamingo.evaluation.contamination import Training, contaminated
    from music_flamingo.quality.contamination import HeldOut

    request = prepared(tmp_path, "songcaps")
    for number, name in enumerate(("s1", "s2")):
        soundfile.write(tmp_path / f"data/songs/{name}.wav", tune(20.0, number, 16000), 16000)
    known = fingerprint(0.5 * tune(20.0, 1, 16000), 16000)  # another level, another name
    training = Training({}, (HeldOut(id="my-own-name", set_name="training", fingerprint=tuple(known)),))
    items = find("songcaps").items(request.data)
    found = contaminated(request.data, items, training)
    assert [(f.item_id, f.training_id, f.how) for f in found] == [("s2", "my-own-name", "sound")]


def test_a_judges_two_scales_stand_apart_and_only_one_beside_the_paper(tmp_path):
    request = prepared(tmp_path, "musiccaps")

    def reply(words, sound):
        return "A harp." if sound else '{"score": 4}'

    with AudioEndpoint(reply) as server:
        outcome = evaluate(replace(request, model=server.url, judge=server.url, judge_model="judge"))
    told = {row.measure: (row.value, row.paper) for row in outcome.rows if row.group == "all"}
    assert told == {"gpt_0_10": (4.0, 8.8), "gpt_1_5": (4.0, None)}


def test_what_is_answered_and_not_scored_stands_on_the_overview_too(tmp_path):
    request = prepared(tmp_path, "mmau_music_full")
    with AudioEndpoint(lambda words, sound: "Koto") as server:
        evaluate(replace(request, model=server.url))
    assert "2 items answered, none scored here" in (tmp_path / "out/index.html").read_text()
    rows = json.loads((tmp_path / "out/mmau_music_full/submission.json").read_text())
    assert [row["model_output"] for row in rows] == ["Koto", "Koto"]
