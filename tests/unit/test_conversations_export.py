"""MF-Skills and MF-Think leave as conversations, and come back the same; other trainers' forms keep their rules."""

import json

import pytest
from support import published_data as published
from support import songs
from test_conversations import source

from music_flamingo.cli import main
from music_flamingo.core.errors import UserError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.products.conversations import export_conversations, is_expressible, turn_of
from music_flamingo.records import Caption, Chain, Example, Facts, Step, Track
from music_flamingo.sources.conversations.wording import SpokenTurn
from music_flamingo.stages import reason, synthesize
from music_flamingo.stages.synthesize import SynthesizeConfig, write_track
from music_flamingo.teachers import open_teacher

BACK = {"kind": "rule", "field": "sound", "pattern": r"audio/(?P<recording>.+)\.flac", "of": "id"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """What the scripted teacher says of four tracks in two splits, and a chain about each."""
    data = tmp_path_factory.mktemp("annotated")
    config = SynthesizeConfig.model_validate_json(json.dumps(songs.params("synthesize")))
    teacher, ids = open_teacher(config.teacher), [("w1-0", "w1"), ("w2-0", "w2"), ("w3-0", "w3"), ("w4-0", "w4")]
    tracks = [songs.make_track(t, w, split="test" if w == "w4" else "train") for t, w in ids]
    facts = [songs.make_facts(t, w, lyrics=songs.with_lyrics()) for t, w in ids]
    written = [write_track(config, teacher, t, f, []) for t, f in zip(tracks, facts, strict=True)]
    step = Step(
        text="The beat is medium.", family="", claim="", verdict="unchecked", confidence=0.0, rewritten_from=None
    )
    names = ("example_id", "track_id", "work_id", "split", "family", "question", "options", "answer", "teacher")
    chains = [
        Chain.model_validate(
            {n: getattr(e, n) for n in names if n != "example_id"}
            | {"id": f"{e.id}/chain", "example_id": e.id, "steps": [step], "thinking": "The beat is medium."}
            | {"difficulty": "teacher_choice"}
        )
        for e in (examples[-1] for examples in written)
    ]
    songs.write_port(data / "tracks", Track, [tracks[:2], tracks[2:]])
    songs.write_port(data / "facts", Facts, [facts[:2], facts[2:]])
    songs.write_port(data / "captions", Caption, [[], []])
    songs.write_port(data / "skills", Example, [written[0] + written[1], written[2] + written[3]])
    songs.write_port(data / "think", Chain, [chains[:2], chains[2:]])
    return data


def table(data, port, record):
    return list(Table(data / port, record, read_manifest(data / port)))


def said(record):
    return record.track_id, record.question, tuple(record.options), record.answer


def test_all_that_the_scripted_teacher_writes_can_be_said_in_the_layout(data):
    unsaid = [e.family for e in table(data, "skills", Example) if not is_expressible(turn_of(e))]
    assert unsaid == []


def test_what_is_exported_is_imported_the_same(data, tmp_path):
    done = export_conversations(data, tmp_path / "hub", "conversations")
    assert set(done.files) == {"skills_train.json", "skills_test.json", "think_train.json", "think_test.json"}
    assert not done.left_out
    back = tmp_path / "back"
    for port in ("tracks", "facts", "captions"):
        (back / port).parent.mkdir(exist_ok=True)
        (back / port).symlink_to(data / port)
    changes = {"source": source(tmp_path / "hub", recordings=BACK)}
    songs.run_stage(synthesize.STAGE, songs.params("synthesize") | changes, back)
    before, after = table(data, "skills", Example), table(back, "candidates", Example)
    assert {said(e) for e in after if e.is_ok} == {said(e) for e in before}
    # a chain's question is its question's entry again
    assert {e.status for e in after if not e.is_ok} == {"quarantined:repeated"}
    kept = [e for e in after if e.is_ok]
    ids = [{t.id for t in table(data, "tracks", Track)[start : start + 2]} for start in (0, 2)]
    songs.write_port(back / "skills", Example, [[e for e in kept if e.track_id in shard] for shard in ids])
    (back / "sft_model").mkdir()
    songs.write_port(back / "sft_model", Example, [])
    songs.run_stage(reason.STAGE, songs.params("reason") | changes, back)
    chains = {(said(c), c.thinking) for c in table(data, "think", Chain)}
    assert {(said(c), c.thinking) for c in table(back, "think", Chain)} == chains


def test_swift_gets_messages_and_as_many_audios_as_marks(data, tmp_path):
    done = export_conversations(data, tmp_path, "ms-swift")
    for name in done.files:
        for line in (tmp_path / name).read_text().splitlines():
            row = json.loads(line)
            assert set(row) == {"messages", "audios"}
            assert [m["role"] for m in row["messages"]] == ["user", "assistant"]
            assert sum(m["content"].count("<audio>") for m in row["messages"]) == len(row["audios"]) == 1
            assert (tmp_path / row["audios"][0]).read_bytes()[:4] == b"fLaC"


def test_llama_factory_gets_sharegpt_and_a_description_of_every_file(data, tmp_path):
    done = export_conversations(data, tmp_path, "llama-factory")
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert {d["file_name"] for d in info.values()} == set(done.files)
    assert all(d["formatting"] == "sharegpt" for d in info.values())
    for described in info.values():
        for row in json.loads((tmp_path / described["file_name"]).read_text()):
            messages, audios = (row[described["columns"][name]] for name in ("messages", "audios"))
            assert [m["from"] for m in messages] == ["human", "gpt"]
            assert sum(m["value"].count("<audio>") for m in messages) == len(audios) == 1


def test_a_question_that_would_be_read_as_another_is_left_out():
    assert is_expressible(SpokenTurn("Which key?", ("C major", "A minor"), "A minor", "It is dark."))
    assert not is_expressible(SpokenTurn("Is it (A) or (B)?", (), "(A)"))


def test_an_export_says_what_it_wrote_and_spares_a_folder_in_use(data, tmp_path, capsys):
    assert main(["export", "ms-swift", "-o", str(tmp_path / "out"), "--data", str(data)]) == 0
    assert f"skills_train.jsonl: {sum(e.split == 'train' for e in table(data, 'skills', Example))}" in (
        capsys.readouterr().out
    )
    with pytest.raises(UserError, match="empty"):
        export_conversations(data, tmp_path / "out", "conversations")


def test_originals_are_named_where_they_lie(tmp_path, data):
    music = published.write_songs(tmp_path / "music", 1)
    track = songs.make_track("w1-0", "w1", original=(music / "song0.wav").as_uri())
    one = [e for e in table(data, "skills", Example) if e.track_id == "w1-0"][:1]
    songs.write_port(tmp_path / "data/tracks", Track, [[track]])
    songs.write_port(tmp_path / "data/skills", Example, [one])
    export_conversations(tmp_path / "data", tmp_path / "out", "conversations", "originals")
    [entry] = json.loads((tmp_path / "out/skills_train.json").read_text())
    assert entry["sound"] == str(music / "song0.wav") and entry["duration"] == 16.0
