"""`mf plan`: what it says is what the stages then ask."""

import json

import pytest
from support import songs
from support.teacher_server import TeacherServer, for_stage, teacher

from music_flamingo.cli import main
from music_flamingo.core.errors import MissingInputError
from music_flamingo.core.stage import parse_config
from music_flamingo.planning.teachers import plan, plan_captions, plan_reason, plan_synthesize, read_catalogue
from music_flamingo.records import Facts, Track
from music_flamingo.sources.conversations.config import ConversationsConfig
from music_flamingo.stages import captions, reason, synthesize, validate
from music_flamingo.teachers.tokens import AUDIO_TOKENS_PER_S, estimated_tokens
from music_flamingo.teachers.usage import read_all

NUM_TRACKS = 12


@pytest.fixture
def data(tmp_path):
    names = [[(f"w{s}{k}/0", f"w{s}{k}") for k in range(4)] for s in range(3)]
    write = songs.write_port
    write(tmp_path / "tracks", Track, [[songs.make_track(t, w, duration_s=75.0) for t, w in shard] for shard in names])
    write(tmp_path / "facts", Facts, [[songs.make_facts(t, w) for t, w in shard] for shard in names])
    return tmp_path


def params(**teachers):
    made = {name: songs.params(name) for name in ("captions", "synthesize", "validate", "reason")}
    return {name: {**p, "teacher": teachers[name]} if name in teachers else p for name, p in made.items()}


def row(lines, stage):
    """calls, cached, tokens in, tokens out of a stage's line, and its cost."""
    words = next(line for line in lines if line.startswith(stage)).replace(",", "").split()
    return [float(word) for word in words[2:6]], words[6:]


def test_the_plan_of_all_tracks_names_the_calls_that_are_then_asked(data):
    with TeacherServer() as server:
        asked = {s: for_stage(s, teacher(server, data / "cache")) for s in ("captions", "synthesize")}
        lines = plan(params(**asked), data, NUM_TRACKS)
        planned = {stage: row(lines, stage)[0] for stage in ("captions", "synthesize")}
        assert server.tries.total() == 0, "a plan asks nobody"
        for stage, module in (("captions", captions), ("synthesize", synthesize)):
            before = len(server.finished)
            songs.run_stage(module.STAGE, {**songs.params(stage), "teacher": asked[stage]}, data)
            assert planned[stage][0] == len(server.finished) - before
            (used,) = [usage for usage in read_all(data) if usage.stage == stage]
            sound = NUM_TRACKS * 75.0 * AUDIO_TOKENS_PER_S if stage == "captions" else 0.0  # the server counts no sound
            assert used.prompt_tokens + sound == pytest.approx(planned[stage][2], rel=0.15)
            assert used.completion_tokens == pytest.approx(planned[stage][3], rel=0.15)
        again = plan(params(**asked), data, NUM_TRACKS)
        for stage in planned:
            calls, cached, tokens_in, tokens_out = row(again, stage)[0]
            assert calls == cached and tokens_in == tokens_out == 0
            assert row(again, stage)[1] == ["0.00", "USD"]


def test_tokens_and_cost_follow_the_stated_rule(data):
    with TeacherServer() as server:
        asked = for_stage("captions", teacher(server, None))
    (calls, _, tokens_in, tokens_out), cost = row(plan(params(captions=asked), data, NUM_TRACKS), "captions")
    assert calls == 3 * NUM_TRACKS, "75 s are three windows"
    assert 50 < tokens_in / calls - 25.0 * AUDIO_TOKENS_PER_S < 1000, "75 s of sound in three windows, and words"
    # whole tokens are printed, and cents
    assert float(cost[0]) == pytest.approx((tokens_in * 1.0 + tokens_out * 10.0) / 1e6, abs=0.006)
    assert estimated_tokens("12345") == 5
    assert estimated_tokens("a measured tempo") == 1 + 2 + 1


def test_sound_costs_25_tokens_a_second(data):
    """Against the scripted teacher: it hears nothing, and is asked alike about windows that facts say anything of."""
    with TeacherServer() as server:
        hears = for_stage("captions", teacher(server, None))
    silent, heard = (row(plan(given, data, NUM_TRACKS), "captions")[0] for given in (params(), params(captions=hears)))
    a_window = [tokens_in / calls for calls, _, tokens_in, _ in (heard, silent)]
    assert a_window[0] - a_window[1] == pytest.approx(25.0 * AUDIO_TOKENS_PER_S, rel=0.01)


def test_the_teachers_of_validate_are_planned_as_they_are_then_asked(data):
    with TeacherServer() as server:
        asked = teacher(server, data / "cache", audio="wav", concurrency=4)
        reader = {"kind": "teacher", "teacher": asked, "tries": 2, "min_right_fraction": 0.9, "max_p": 0.05, "seed": 1}
        judge = {"teacher": asked, "min_score": 3.0, "fraction": 0.5, "max_audio_s": 5.0, "seed": 1}
        songs.run_stage(captions.STAGE, songs.params("captions"), data)
        songs.run_stage(synthesize.STAGE, songs.params("synthesize"), data)
        rules = {**songs.params("validate"), "text_only": reader, "judge": judge}
        lines = plan({**params(), "validate": rules}, data, NUM_TRACKS)
        songs.run_stage(validate.STAGE, rules, data)
        by_stage = {usage.stage: usage for usage in read_all(data)}
    for stage in ("validate-reader", "validate-judge"):
        calls, _, tokens_in, tokens_out = row(lines, stage)[0]
        used = by_stage[stage]
        sound = 5.0 * AUDIO_TOKENS_PER_S * used.calls if stage == "validate-judge" else 0.0  # the server counts none
        assert used.calls == pytest.approx(calls, rel=0.15), "what rules drop is not planned"
        assert used.prompt_tokens + sound == pytest.approx(tokens_in, rel=0.15)
        assert used.completion_tokens == pytest.approx(tokens_out, rel=0.15)
        assert used.failed == 0


def test_published_conversations_ask_nobody(data):
    catalogue = read_catalogue(data, NUM_TRACKS)
    published = ConversationsConfig.model_construct(kind="conversations")
    described, _ = plan_captions(config_of(captions.STAGE), catalogue)
    written, asks = plan_synthesize(config_of(synthesize.STAGE), catalogue, described)
    source = config_of(synthesize.STAGE).model_copy(update={"source": published})
    as_many, imports = plan_synthesize(source, catalogue, described)
    assert asks.need.calls > 0
    assert imports.need.calls == 0
    assert list(map(len, as_many)) == list(map(len, written)), "stand for what is published"
    chains = config_of(reason.STAGE)
    assert plan_reason(chains, catalogue, written).need.calls > 0
    assert plan_reason(chains.model_copy(update={"source": published}), catalogue, written).need.calls == 0


def config_of(stage):
    return parse_config(stage, json.dumps(songs.params(stage.name)))


def test_a_sample_stands_for_all_tracks(data):
    whole, sampled = (plan(params(), data, size) for size in (NUM_TRACKS, 3))
    assert row(sampled, "captions")[0][0] == row(whole, "captions")[0][0], "windows follow from the durations"
    assert row(sampled, "synthesize")[0][0] == pytest.approx(row(whole, "synthesize")[0][0], rel=0.1)
    assert len({track.work_id[1] for track, _ in read_catalogue(data, 3).sample}) == 3, "from every shard"


def test_a_plan_needs_tracks_and_facts(tmp_path):
    with pytest.raises(MissingInputError, match="tracks"):
        plan(params(), tmp_path, 4)


def test_mf_plan_prints_a_row_a_stage_and_its_rules(data, tmp_path, capsys):
    (tmp_path / "params.yaml").write_text(json.dumps(params()))
    assert (
        main(
            [
                "plan",
                "--part",
                "teachers",
                "--params",
                str(tmp_path / "params.yaml"),
                "--data",
                str(data),
                "--sample",
                "2",
            ]
        )
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["stage", "captions", "synthesize", "reason"]
    assert "2 of 12 tracks" not in lines[1] and "of 12 tracks" in lines[4]
    assert main(["plan", "--data", str(data), "--sample", "0"]) == 2


def test_mf_usage_says_when_nothing_was_asked(tmp_path, capsys):
    assert main(["usage", "--data", str(tmp_path)]) == 0
    assert "no teacher was asked over HTTP" in capsys.readouterr().out
