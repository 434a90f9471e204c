"""validate: rejects are kept under their reasons, the whole is held against expectations, docs carry no clock."""

import json
import re

import pyarrow as pa
import pytest
from support import songs

from music_flamingo.core.errors import UserError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.core.record import arrow_schema
from music_flamingo.core.shards import shard_path
from music_flamingo.quality.expectations import ExpectationResult, Expected, find, require
from music_flamingo.quality.overview import places
from music_flamingo.quality.rows import narrow
from music_flamingo.records import Example, Facts, Track
from music_flamingo.records.example import QuestionType, Skill
from music_flamingo.stages.synthesize import SynthesizeConfig, write_track
from music_flamingo.stages.validate import STAGE
from music_flamingo.teachers import open_teacher
from music_flamingo.teachers.payloads import QuestionsReply
from music_flamingo.teachers.scripted import ScriptedTeacher

NUM_SHARDS, PER_SHARD = 2, 3


def ids(shard):
    return [(f"w{shard * PER_SHARD + k}/0", f"w{shard * PER_SHARD + k}") for k in range(PER_SHARD)]


@pytest.fixture
def data(tmp_path):
    given = songs.params("synthesize")
    # the tracks are all alike: of many questions about parts some would be known by their words alone
    few = {**given["composites"], "per_track": dict.fromkeys(given["composites"]["per_track"], 2)}
    config = SynthesizeConfig.model_validate_json(json.dumps({**given, "composites": few}))
    teacher = open_teacher(config.teacher)
    tracks = [[songs.make_track(t, w) for t, w in ids(shard)] for shard in range(NUM_SHARDS)]
    facts = [[songs.make_facts(t, w, lyrics=songs.with_lyrics()) for t, w in ids(s)] for s in range(NUM_SHARDS)]
    written = [
        [example for t, f in zip(*pair, strict=True) for example in write_track(config, teacher, t, f, [])]
        for pair in zip(tracks, facts, strict=True)
    ]
    # what a careless teacher writes
    written[0][2] = written[0][2].model_copy(update={"rationale": "It runs at 60 BPM."})
    written[1][5] = written[1][5].model_copy(update={"question": "<think>Listen</think>"})
    songs.write_port(tmp_path / "tracks", Track, tracks)
    songs.write_port(tmp_path / "facts", Facts, facts)
    songs.write_port(tmp_path / "candidates", Example, written)
    return tmp_path


def config(**changes):
    """The default's, in one process; the fixture's tracks are all alike, so their captions may repeat."""
    return songs.params("validate") | {"over_tracks": None, "workers": 1} | changes


def table(data, port) -> list[Example]:
    return list(Table(data / port, Example, read_manifest(data / port)))


def test_nothing_is_lost_between_candidates_skills_and_rejects(data):
    songs.run_stage(STAGE, config(), data)
    kept, rejected = table(data, "skills"), table(data, "rejects")
    assert sorted(e.id for e in kept + rejected) == sorted(e.id for e in table(data, "candidates"))
    assert all(e.is_ok for e in kept)
    assert {e.status.partition(':"')[0] for e in rejected} == {
        "quarantined:contradicts_tempo",
        "quarantined:control_tokens",
    }


def test_the_manifest_counts_rejects_by_reason_and_skills_by_name(data):
    manifests = songs.run_stage(STAGE, config(), data)
    metrics = manifests["skills"].metrics
    assert metrics["reasons"] == {"contradicts_tempo": 1, "control_tokens": 1}
    assert set(metrics["by_skill"]) == set(Skill.__args__) and set(metrics["by_type"]) == set(QuestionType.__args__)
    status = {name.partition(':"')[0]: number for name, number in manifests["rejects"].status.items()}
    assert status == {"quarantined:contradicts_tempo": 1, "quarantined:control_tokens": 1}
    assert metrics["expectations"].keys() <= {"passed", "failed_warning"}


def test_data_docs_stand_alone_and_hold_no_clock_and_no_markup_from_texts(data):
    songs.run_stage(STAGE, config(), data)
    page = (data / "data_docs" / "index.html").read_text()
    assert "expect_column_values_to_be_unique" in page and "contradicts_tempo" in page
    assert "&lt;think&gt;" in page and "<think>" not in page
    assert not re.search(r"https?://|<script|20\d\d-\d\d|20\d{6}T", page)
    listed = json.loads((data / "data_docs" / "expectations.json").read_text())
    assert len(listed) >= 18 and all(f["success"] for f in listed if f["severity"] == "critical")


def test_equal_inputs_give_equal_bytes_and_an_interrupted_run_goes_on(data):
    first = {port: m.digest for port, m in songs.run_stage(STAGE, config(), data).items()}
    for port in STAGE.outputs:
        key = read_manifest(data / port).key
        (data / port / "_manifest.json").unlink()
        (data / port / "_progress.json").write_text(json.dumps({"key": key}))
    shard_path(data / "skills", 1).unlink()
    assert {port: m.digest for port, m in songs.run_stage(STAGE, config(), data).items()} == first


def candidates(data) -> list[dict]:
    port = Table(data / "candidates", Example, read_manifest(data / "candidates"))
    return port.columns(*arrow_schema(Example).names).to_pylist()


def found(rows: list[dict], **changes) -> list[ExpectationResult]:
    """The findings when all these examples are kept."""
    table = pa.Table.from_pylist(rows, schema=arrow_schema(Example))
    return find(narrow(table, [""] * len(rows), [None] * len(rows)), expected(**changes))


def expected(**changes) -> Expected:
    return Expected.model_validate(songs.params("validate")["expected"] | changes)


def failed(findings) -> set[tuple[str, str | None]]:
    return {(f.table, f.column) for f in findings if not f.success and f.severity == "critical"}


def test_a_failed_critical_expectation_stops_the_stage_and_is_named(data):
    strict = config()
    strict["limits"]["max_question_words"] = 3
    with pytest.raises(UserError, match=r"expect_column_mean_to_be_between on candidates\.kept .*most candidates"):
        songs.run_stage(STAGE, strict, data)
    assert (data / "data_docs" / "index.html").is_file(), "the docs are there to be read"
    assert not (data / "skills" / "_manifest.json").exists()


def test_examples_that_occur_twice_fail_the_expectation_of_unique_ids(data):
    rows = candidates(data)
    assert ("skills", "id") in failed(found([*rows, rows[0]]))


def test_answers_that_always_come_first_fail_once_there_are_enough_of_them(data):
    rows = candidates(data)
    for row in rows:
        if row["family"] in ("key", "cadence", "form"):
            row["options"] = [row["answer"], *(o for o in row["options"] if o != row["answer"])]
    assert ("drawn options", "place") in failed(found(rows, balance_from_rows=5))
    few = found(rows, balance_from_rows=10_000)
    assert ("drawn options", "place") not in failed(few)
    assert [f.success for f in few if f.table == "drawn options"] == [False], "still shown as a warning"


def test_a_work_in_two_splits_fails(data):
    rows = candidates(data)
    rows[0]["split"] = "test"
    findings = found(rows)
    assert ("skills", "splits_of_work") in failed(findings)
    with pytest.raises(UserError, match="no piece in two splits"):
        require(findings, "the docs")


def test_nothing_kept_is_an_error_and_not_an_empty_data_set(data):
    assert ("skills", None) in failed(found([]))


class AnswerFirst(ScriptedTeacher):
    """Gives the options of every question of form and key itself, the answer always first."""

    def ask(self, request):
        reply = super().ask(request)
        if isinstance(reply, QuestionsReply):
            questions = [self.biased(q) if q.family in ("form", "key") else q for q in reply.questions]
            return reply.model_copy(update={"questions": questions})
        return reply

    def biased(self, question):
        others = [o for o in ("A A", "B B", "C D", "D E") if o != question.answer]
        return question.model_copy(update={"options": [question.answer, *others], "wants_distractors": False})


def test_a_teacher_that_always_puts_the_answer_first_is_undone_by_the_draw():
    synthesize = SynthesizeConfig.model_validate_json(json.dumps(songs.params("synthesize")))
    written = [
        example
        for k in range(60)
        for example in write_track(synthesize, AnswerFirst(), songs.make_track(f"t{k}"), songs.make_facts(f"t{k}"), [])
    ]
    table = pa.Table.from_pylist([e.model_dump() for e in written], schema=arrow_schema(Example))
    rows = narrow(table, [""] * len(written), [None] * len(written))
    five = next(p for p in places(rows) if p.num_options == 5)
    assert sum(five.counts) >= 60
    assert abs(five.shift) < 0.1 and five.p_value > 0.001


def test_a_bias_that_nobody_undoes_is_measured():
    rows = pa.table({"reason": [""] * 60, "num_options": [4] * 60, "place": [0] * 40 + [1, 2, 3, 3] * 5})
    (four,) = places(rows)
    assert four.counts == (40, 5, 5, 10)
    assert four.shift < -0.2 and four.p_value < 1e-6


def test_a_caption_that_repeats_over_tracks_is_kept_once_and_names_the_first(data):
    songs.run_stage(STAGE, songs.params("validate"), data)
    ids = [e.id for e in table(data, "candidates")]
    repeats = [e for e in table(data, "rejects") if "near_duplicate_of:" in e.status]
    assert repeats and {e.family for e in repeats} == {"rich_caption"}
    for example in repeats:
        earlier = example.status.partition("near_duplicate_of:")[2]
        assert ids.index(earlier) < ids.index(example.id)
        assert earlier in {e.id for e in table(data, "skills")}


def test_the_number_of_workers_changes_no_byte(data, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for port in STAGE.inputs:
        (other / port).symlink_to(data / port)
    digests = [
        {port: m.digest for port, m in songs.run_stage(STAGE, songs.params("validate") | {"workers": n}, at).items()}
        for n, at in ((1, data), (2, other))
    ]
    assert digests[0] == digests[1]
