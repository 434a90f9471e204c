"""What makes an evaluation fair: groups, duplicates, refusals, unlike runs, and files in the forms they come in."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.audio_endpoint import AudioEndpoint
from support.benchmark_files import WRITERS, tone, write_json

from music_flamingo.core.errors import UserError
from music_flamingo.evaluation.benchmarks import find, items_of
from music_flamingo.evaluation.benchmarks.base import BenchmarkItem, Grade
from music_flamingo.evaluation.benchmarks.judged import judged
from music_flamingo.evaluation.command import EvaluationRequest, evaluate
from music_flamingo.evaluation.comparing import compare
from music_flamingo.evaluation.grading import ItemAnswer, grade_all, rows_of
from music_flamingo.evaluation.outcome import read_items
from music_flamingo.evaluation.proportions import grouped_share
from music_flamingo.evaluation.rates import WeightedItem, rate_interval
from music_flamingo.model.answering import sentence


def prepared(tmp_path, name):
    WRITERS[name][0](tmp_path / "data")
    return EvaluationRequest("", name, tmp_path / "data", tmp_path / "out", "ears", conditions=("audio",),
                             resamples=100, batch_size=1)  # fmt: skip


# --- intervals --------------------------------------------------------------------------------------------------------


def test_a_perfect_score_has_an_interval_with_a_width():
    found = grouped_share(np.ones(334), np.ones(334))
    assert found.value == found.high == 1.0 and found.low == pytest.approx(0.9886, abs=1e-4)
    assert grouped_share(np.zeros(50), np.ones(50)).high == pytest.approx(0.0713, abs=1e-4)


def test_independent_answers_have_wilsons_interval():
    right = np.array([1.0] * 81 + [0.0] * 182)
    found = grouped_share(right, np.ones(263))  # Newcombe 1998, table I: .2553 to .3662
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)


@pytest.mark.parametrize(("size", "correlation"), [(1, 0.0), (5, 0.05), (20, 0.0), (20, 0.1), (20, 0.3)])
@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_the_interval_covers_the_truth_as_often_as_it_says(size, correlation, share):
    rng, hits, draws = np.random.default_rng(size), 0, 600
    asked = np.full(334 // size, float(size))
    spread = 1 / correlation - 1 if correlation else 0.0
    for _ in range(draws):
        own = rng.beta(share * spread, (1 - share) * spread, len(asked)) if spread else np.full(len(asked), share)
        found = grouped_share(rng.binomial(asked.astype(int), own).astype(float), asked)
        hits += found.low <= share <= found.high
    # 93 to 97 % (benchmarks/interval_coverage.py), and two standard errors of 600 draws
    assert 0.91 <= hits / draws <= 0.985


def test_groups_that_are_all_alike_tell_as_much_as_their_number():
    alike = grouped_share(np.array([20.0] * 12 + [0.0] * 5), np.full(17, 20.0))
    mixed = grouped_share(np.array([14.0] * 12 + [15.0] * 5), np.full(17, 20.0))
    assert alike.value == pytest.approx(mixed.value, abs=0.01)
    assert alike.high - alike.low > 3 * (mixed.high - mixed.low)
    assert alike.low < 12 / 17 < alike.high and alike.high - alike.low == pytest.approx(0.4, abs=0.08)


def test_five_songs_make_a_wide_interval_of_an_error_rate():
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(300):
        song = rng.gamma(4.0, 0.05, 5).repeat(40)
        parts = [WeightedItem(str(i // 40), float(rng.binomial(10, min(p, 1))), 10.0) for i, p in enumerate(song)]
        found = rate_interval(parts, 200, 0)
        hits += found.low <= 0.2 <= found.high
    assert hits / 300 > 0.88


def test_answers_hang_together_by_song_caption_and_instrument(tmp_path):
    units = {}
    for name in ("opencpop", "rul_muchomusic", "medley_solos_db", "nsynth_source", "gtzan"):
        WRITERS[name][0](tmp_path / name)
        units[name] = [item.cluster for item in find(name).items(tmp_path / name)]
    assert units["opencpop"] == ["2009", "2009"]
    assert units["rul_muchomusic"] == ["A mellow organ leads."] * 2
    assert units["medley_solos_db"] == ["song 12", "song 13"]
    assert units["nsynth_source"][0] == "bass_synthetic_068"
    assert len(set(units["gtzan"])) == 3


# --- judges and answers -----------------------------------------------------------------------------------------------


def test_more_than_a_twentieth_unjudged_is_no_figure():
    benchmark = find("songcaps")
    task = benchmark.judges[0].name
    for unreadable, shown in ((5, True), (6, False)):
        answered = [
            ItemAnswer(BenchmarkItem(str(i), (f"{i}.wav",), "?", reference="r"), "audio", "x") for i in range(100)
        ]
        replies = {("audio", str(i)): {task: "Well." if i < unreadable else '{"score": 8}'} for i in range(100)}
        row = next(r for r in rows_of(benchmark, grade_all(benchmark, answered, replies), 50, 0) if r.measure == task)
        assert (row.unjudged, row.value is not None) == (unreadable, shown)


def test_a_judges_thoughts_are_no_points():
    measure = judged(find("songcaps").judges[0])
    item = BenchmarkItem("1", ("1.wav",), "?", reference="r")
    assert measure.score(item, "x", {measure.name: '<think>3 or 4?</think>{"score": 7}'}) == Grade(7.0)


def test_ids_that_come_twice_are_two_questions(tmp_path):
    request = prepared(tmp_path, "music_avqa")
    rows = json.loads((tmp_path / "data/avqa-test.json").read_text())
    twin = {**rows[0], "video_id": rows[1]["video_id"], "anser": "two"}
    write_json(tmp_path / "data/avqa-test.json", [*rows, twin])
    assert [i.id for i in items_of(find("music_avqa"), request.data)] == ["12", "2945", "12#2"]
    with AudioEndpoint(lambda words, sound: "two") as server:
        outcome = evaluate(replace(request, model=server.url))
    assert outcome.headline("strict").n == 3 and outcome.headline("strict").value == pytest.approx(100 / 3)


def test_no_item_is_no_success(tmp_path):
    request = prepared(tmp_path, "mmau_music_mini")
    write_json(tmp_path / "data/mmau-test-mini.json", [])
    with pytest.raises(UserError, match="holds no item of mmau_music_mini"):
        evaluate(replace(request, model="http://127.0.0.1:9/v1"))


def test_a_clip_that_the_endpoint_refuses_counts_as_unanswered_and_the_others_go_on(tmp_path):
    request = prepared(tmp_path, "gtzan")
    refused = (tmp_path / "data/genres/hiphop/hiphop.00001.wav").read_bytes()
    with AudioEndpoint(lambda words, sound: 413 if sound == refused else "jazz") as server:
        outcome = evaluate(replace(request, model=server.url))
        assert evaluate(replace(request, model=server.url)) == outcome and len(server.calls) == 3
    assert outcome.num_unheard == 1 and outcome.headline("strict").n == 3
    assert any("413" in g.problem for g in read_items(tmp_path / "out/gtzan"))


def test_an_endpoint_that_refuses_everything_is_named_and_nothing_is_kept(tmp_path):
    request = prepared(tmp_path, "gtzan")
    with AudioEndpoint(lambda words, sound: None) as server, pytest.raises(UserError, match="refused all 3 questions"):
        evaluate(replace(request, model=server.url))
    assert not (tmp_path / "out/gtzan/answers.jsonl").is_file()


def test_a_server_that_stalls_is_left_after_the_time_that_was_given(tmp_path, monkeypatch):
    from music_flamingo.evaluation.models import EndpointModel

    model = EndpointModel("http://127.0.0.1:9/v1", "ears", timeout_s=2.5)
    assert model._client._endpoint.timeout_s == 2.5


VLLM, OURS = {"id": "ears", "owned_by": "vllm"}, {"id": "ears", "owned_by": "music-flamingo"}


@pytest.mark.parametrize(
    ("models", "think", "asked", "options", "said"),
    [
        (None, None, False, None, "does not say"),
        ([VLLM], None, False, None, "does not say"),
        ([{**OURS, "music_flamingo": {"think": True}}], None, False, None, "thinks before it answers"),
        ([{**OURS, "music_flamingo": {"think": False}}], None, False, None, "without thinking"),
        ([{"id": "other", "owned_by": "vllm"}], None, False, None, "does not say"),
        ([VLLM], True, True, None, ""),
        ([VLLM], False, False, {"enable_thinking": False}, ""),
        (None, False, False, None, ""),
    ],
)
def test_thinking_is_left_to_the_endpoint_unless_the_user_says(
    tmp_path, caplog, monkeypatch, models, think, asked, options, said
):
    request = prepared(tmp_path, "gtzan")
    caplog.set_level("INFO")
    with AudioEndpoint(lambda words, sound: "jazz") as server:
        server.models = models
        evaluate(replace(request, model=server.url, model_name="ears", think=think))
    assert {sentence() in words for words, _ in server.calls} == {asked}
    assert [body.get("chat_template_kwargs") for body in server.bodies] == [options] * 3
    assert said in caplog.text


def test_thoughts_that_a_server_splits_off_are_kept_apart_with_the_reason_of_the_end(tmp_path):
    request = prepared(tmp_path, "mmar_music")

    class Thinking(AudioEndpoint):
        def chat(self, body):
            reply = super().chat(body)
            reply["choices"][0]["message"]["reasoning_content"] = "Mountain canyon, Dense forest or Open grassland?"
            reply["choices"][0]["finish_reason"] = "length"
            return reply

    with Thinking(lambda words, sound: "Open grassland") as server:
        outcome = evaluate(replace(request, model=server.url))
    assert outcome.headline("official").value == outcome.headline("strict").value == 100.0
    item = read_items(tmp_path / "out/mmar_music")[0]
    assert item.output == "Open grassland" and item.thoughts.startswith("Mountain") and outcome.num_cut == 2


# --- comparing --------------------------------------------------------------------------------------------------------


def test_unlike_runs_are_compared_only_when_asked_to(tmp_path):
    request = prepared(tmp_path, "gtzan")
    with AudioEndpoint(lambda words, sound: "jazz") as server:
        evaluate(replace(request, model=server.url, out=tmp_path / "a"))
        evaluate(replace(request, model=server.url, out=tmp_path / "b", limit=2))
    with pytest.raises(UserError, match=r"limit None and 2; num_items 3 and 2.*--unlike"):
        compare(tmp_path / "a", tmp_path / "b")
    assert compare(tmp_path / "a", tmp_path / "b", allow_unlike=True)[0].n == 2


# --- files as they come -----------------------------------------------------------------------------------------------


def test_lyrics_with_stars_in_front_another_encoding_and_the_archives_folder_are_read(tmp_path):
    folder = tmp_path / "musdb_lyrics/test"
    folder.mkdir(parents=True)
    (folder / "Band - Café.txt").write_bytes("* 0:05 0:09 a Don’t let *\n9.5 12.0 b go café?\n".encode("cp1252"))
    tone(tmp_path / "test/Band - Café.stem.mp4.wav")
    (item,) = find("musdb18_lyrics").items(tmp_path)
    assert item.reference == "Don’t let go café"


def test_mmau_is_read_with_a_byte_order_mark_a_dict_on_top_whole_number_ids_and_choices_as_text(tmp_path):
    WRITERS["mmau_music_mini"][0](tmp_path)
    path = tmp_path / "mmau-test-mini.json"
    rows = [
        {**row, "id": n, "choices": json.dumps(row["choices"])} for n, row in enumerate(json.loads(path.read_text()))
    ]
    path.write_text("\ufeff" + json.dumps({"data": rows}), encoding="utf-8")
    items = find("mmau_music_mini").items(tmp_path)
    assert [item.id for item in items] == ["0", "1"] and items[0].options == ("Sitar", "Koto", "Oud", "Balalaika")
    write_json(path, [{**rows[0], "choices": None}])
    with pytest.raises(UserError, match="item 0 has no choices"):
        find("mmau_music_mini").items(tmp_path)
    write_json(path, [{**rows[0], "choices": "Sitar or Koto"}])
    with pytest.raises(UserError, match="no JSON list"):
        find("mmau_music_mini").items(tmp_path)


def test_mmar_is_read_under_its_older_name(tmp_path):
    WRITERS["mmar_music"][0](tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "MMAR-meta.jsonl").read_text().split("\n") if line]
    (tmp_path / "MMAR-meta.jsonl").unlink()
    write_json(tmp_path / "MMAR-meta.json", rows)
    assert len(find("mmar_music").items(tmp_path)) == 2


def test_answers_that_are_numbers_and_rows_in_lists_are_read(tmp_path):
    WRITERS["mmar_music"][0](tmp_path / "mmar")
    rows = [json.loads(line) for line in (tmp_path / "mmar/MMAR-meta.jsonl").read_text().split("\n") if line]
    write_json(tmp_path / "mmar/MMAR-meta.json", [{**row, "choices": [0, 3, 4], "answer": 0} for row in rows])
    (tmp_path / "mmar/MMAR-meta.jsonl").unlink()
    item = find("mmar_music").items(tmp_path / "mmar")[0]
    assert (item.options, item.reference, item.answer_index) == (("0", "3", "4"), "0", 0)
    WRITERS["rul_muchomusic"][0](tmp_path / "rul")
    path = tmp_path / "rul/RUL-MuchoMusic.json"
    write_json(path, [{"id": int(name), **row} for name, row in json.loads(path.read_text()).items()])
    assert [item.id for item in find("rul_muchomusic").items(tmp_path / "rul")] == ["1740", "1862"]
    WRITERS["music_avqa"][0](tmp_path / "avqa")
    path = tmp_path / "avqa/avqa-test.json"
    write_json(path, {"data": json.loads(path.read_text())})
    assert len(find("music_avqa").items(tmp_path / "avqa")) == 2


def test_several_recordings_of_one_item_are_told_apart():
    from music_flamingo.evaluation.recordings import join_with_gaps

    joined = join_with_gaps([np.ones(3, np.float32), np.ones(2, np.float32)])
    assert len(joined) == 3 + 16_000 + 2 and not joined[3:-2].any() and len(join_with_gaps([joined])) == len(joined)


def test_an_endpoint_hears_each_recording_of_an_item_in_a_part_of_its_own(tmp_path):
    from music_flamingo.evaluation.recordings import PlayedAudio

    for name in ("a.wav", "b.wav"):
        tone(tmp_path / name)
    both = PlayedAudio((tmp_path / "a.wav", tmp_path / "b.wav"), "audio", 0, "1")
    assert both.encoded(False) == [((tmp_path / name).read_bytes(), "wav") for name in ("a.wav", "b.wav")]
    assert PlayedAudio(both.paths, "none", 0, "1").encoded(False) == []
