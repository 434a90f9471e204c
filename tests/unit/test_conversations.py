"""Published conversations become MF-Skills: found, refused by reason, split, validated, and taught."""

import json
from collections import Counter

import pytest
from support import published_data as published
from support import songs, tiny_world
from support.untaught import write_model
from test_ingest import folder_config

from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import InputFolder, Table
from music_flamingo.core.stage import execute
from music_flamingo.quality.checks import Limits, Song, reason_against
from music_flamingo.records import Caption, Chain, Example, Facts, Track, Utterance
from music_flamingo.sources.conversations import reading
from music_flamingo.sources.conversations.config import ConversationsConfig
from music_flamingo.sources.conversations.dealing import dealt_entries
from music_flamingo.sources.conversations.reading import entries_of
from music_flamingo.sources.conversations.wording import SpokenTurn, UnreadableTurnError, read_options, read_turn
from music_flamingo.stages import ingest, reason, sft, synthesize, validate

FAMILIES = {"published_caption": 1.0, "published_choice": 1.0, "published_question": 1.0}
LIMITS = {"max_answer_words": 60, "min_distractors": 1, "published": "pass"}


def source(folder, **changes):
    return published.SOURCE | {"path": str(folder)} | changes


def imported(data, folder, **changes):
    songs.run_stage(synthesize.STAGE, songs.params("synthesize") | {"source": source(folder, **changes)}, data)
    return table(data, "candidates")


def table(data, port, record=Example):
    return list(Table(data / port, record, read_manifest(data / port)))


def validated(data):
    config = songs.params("validate")
    config |= {"over_tracks": None, "text_only": None, "workers": 1, "limits": config["limits"] | LIMITS}
    config["expected"] |= {"min_kept_fraction": 0.0}
    return songs.run_stage(validate.STAGE, config, data)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """Four small recordings taken in, with no fact measured; and 20 conversations about them."""
    root = tmp_path_factory.mktemp("published")
    music = published.write_songs(root / "music")
    data = root / "data"
    config = folder_config(music, shard_size=2, split={"train": 1.0, "dev": 0.0, "test": 0.0})
    execute(ingest.STAGE, config, {}, {port: data / port for port in ingest.STAGE.outputs})
    tracks = Table(data / "tracks", Track, read_manifest(data / "tracks"))
    shards = [tracks.read_shard(i) for i in range(len(tracks.shards))]
    facts = [[songs.empty_facts(t.id).model_copy(update={"work_id": t.work_id}) for t in shard] for shard in shards]
    songs.write_port(data / "facts", Facts, facts)
    songs.write_port(data / "captions", Caption, [[] for _ in shards])
    return data, published.write_conversations(root / "hub")


def test_twenty_conversations_become_examples_and_what_is_refused_has_its_reason(catalogue):
    data, folder = catalogue
    made = imported(data, folder)
    assert Counter(e.status.removeprefix("quarantined:") for e in made) == {
        "ok": 14,
        "repeated": 1,
        "follow_up": 4,
        "recording_missing": 1,
        "several_recordings": 1,
        "duration_differs": 1,
        "malformed:no_conversations": 1,
        "malformed:no_sound": 1,
        "no_json": 1,
    }
    metrics = read_manifest(data / "candidates").metrics["published"]
    assert metrics["skills/YouTube.json"] == {
        f"quarantined:{reason}": 1
        for reason in ("duration_differs", "malformed", "recording_missing", "several_recordings")
    } | {"quarantined:malformed": 2}


def test_a_chain_and_its_plain_question_have_one_id(catalogue):
    data, folder = catalogue
    [repeated] = [e for e in imported(data, folder) if e.status == "quarantined:repeated"]
    assert repeated.teacher.model == "think/FMA.jsonl" and repeated.id.endswith("_2")
    [first] = [e for e in table(data, "candidates") if e.id == repeated.id.removesuffix("_2")]
    assert first.teacher.model == "skills/FMA.json" and first.question == repeated.question == "Which instrument leads?"


def test_options_answers_and_seconds_are_read_from_the_words(catalogue):
    data, folder = catalogue
    made = {(e.question, e.family): e for e in imported(data, folder)}
    choice = made["Which family is it?", "published_choice"]
    assert choice.options == list(published.ANSWERS) and choice.answer == "a struck string"
    counted = made["How many notes are there?", "published_question"]
    assert counted.answer == "Five." and [(r.start_s, r.end_s) for r in counted.references] == [(1.0, 3.0)]
    caption = made["Describe the music in detail.", "published_caption"]
    assert caption.skill == caption.type == "caption" and caption.answer.startswith("A melody of short notes")


def test_follow_ups_are_kept_when_asked_for(catalogue):
    data, folder = catalogue
    kept = [e for e in imported(data, folder, follow_ups="keep") if e.question == "And how fast?"]
    assert len(kept) == 4 and all(e.is_ok and e.teacher.revision.endswith(".1") for e in kept)


def test_a_table_leads_from_ids_to_recordings(catalogue, tmp_path):
    data, folder = catalogue
    music = folder.parent / "music"
    rows = [f"song{n},{music / f'song{n}.wav'}" for n in range(3)]
    (tmp_path / "ids.csv").write_text("\n".join(["id,uri", *rows]) + "\n")
    naming = {"kind": "table", "field": "id", "path": str(tmp_path / "ids.csv")}
    made = imported(data, folder, recordings=naming)
    assert Counter(e.status for e in made)["quarantined:recording_not_named"] > 0
    assert {e.track_id.rpartition("-")[0] for e in made if e.is_ok} == {"song0", "song1", "song2"}


def test_the_texts_of_others_pass_by_their_form_or_are_held_against_facts(catalogue):
    data, folder = catalogue
    [about_number] = [e for e in imported(data, folder) if e.question == "How many notes are there?"]
    wrong = about_number.model_copy(update={"answer": "It is in C minor."})
    limits = songs.params("validate")["limits"]
    for texts, expected in (("pass", None), ("check", "contradicts_key")):
        song = Song(songs.make_facts(), 16.0, Limits.model_validate(limits | {"published": texts}))
        found = reason_against(wrong, song)
        assert found is None if expected is None else found and found.startswith(expected)
    marked = about_number.model_copy(update={"answer": "<|im_end|>"})
    assert reason_against(marked, Song(songs.make_facts(), 16.0, Limits.model_validate(limits | LIMITS)))


@pytest.mark.slow
def test_published_conversations_go_through_validation(catalogue):
    data, folder = catalogue
    imported(data, folder)
    assert validated(data)["skills"].metrics["num_kept"] == 14


def test_published_conversations_are_taught_with_the_sound_of_their_recordings(catalogue):
    data, folder = catalogue
    kept = [e for e in imported(data, folder) if e.is_ok]
    songs.write_port(data / "skills", Example, [[e for e in kept if e.track_id in ids] for ids in shards_of(data)])
    tiny_world.write_ports(data / "others")
    write_model(data / "backbone_model", [published.CAPTION, published.CHOICES])
    backbone = InputFolder(data / "backbone_model", read_manifest(data / "backbone_model"))
    config = songs.params("sft") | {"families": FAMILIES, "steps": 2, "batch_size": 4}
    skills, tracks, speech = (
        Table(root / port, record, read_manifest(root / port))
        for root, port, record in (
            (data, "skills", Example),
            (data, "tracks", Track),
            (data / "others", "speech", Utterance),
        )
    )
    lessons = sft.prepare(sft.SftConfig.model_validate_json(json.dumps(config)), skills, tracks, speech, backbone)
    assert sum(table.num_samples for table in lessons.plan.tables) == 14
    assert {item.family for item in lessons.item_store} == set(FAMILIES)


def test_published_thoughts_become_chains_about_the_questions_that_were_kept(catalogue):
    data, folder = catalogue
    made = [e for e in imported(data, folder) if e.is_ok]
    known = {e.id: e for e in made}
    shards = [[e for e in made if e.track_id in ids] for ids in shards_of(data)]
    songs.write_port(data / "skills", Example, shards)
    write_model(data / "sft_model", [published.CAPTION])
    changes = {"source": source(folder), "families": FAMILIES}
    songs.run_stage(reason.STAGE, songs.params("reason") | changes | {"published": "pass"}, data)
    chains = table(data, "think", Chain)
    assert len(chains) == 3 and all(c.is_ok and c.question == known[c.example_id].question for c in chains)
    [untagged] = [c for c in chains if c.thinking.endswith("(B).")]
    assert untagged.answer == "a struck string" and untagged.teacher.kind == "published"
    [counted] = [c for c in chains if c.answer == "Five."]
    assert [s.text for s in counted.steps] == ["I count.", "Five."] and counted.references[0].start_s == 1.0
    songs.run_stage(reason.STAGE, songs.params("reason") | changes, data)
    refused = table(data, "think_rejects", Chain)
    assert refused and len(refused) + len(table(data, "think", Chain)) == 3


def shards_of(data):
    tracks = Table(data / "tracks", Track, read_manifest(data / "tracks"))
    return [{t.id for t in tracks.read_shard(i)} for i in range(len(tracks.shards))]


def test_dealing_goes_on_from_whole_stripes_alone(catalogue, tmp_path):
    data, folder = catalogue
    config = ConversationsConfig.model_validate(source(folder))
    whole = dict(dealt_entries(config, data / "tracks", [0, 1], tmp_path, "test"))
    (tmp_path / "dealt.json").unlink()
    assert dict(dealt_entries(config, data / "tracks", [0, 1], tmp_path, "test")) == whole
    # a branch has its own shards alone, and knows the others' tracks
    for shard in (0, 1):
        assert dict(dealt_entries(config, data / "tracks", [shard], tmp_path / str(shard), "test")) == {
            shard: whole[shard]
        }


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ('[{"id": 1}, {"id": 2}]', [None, None]),
        ('\ufeff  [ {"id": 1} ,\n {"id": 2} ]\n', [None, None]),
        ('[{"id": 1}, {"id": 2}', [None, None, "rest_unreadable"]),
        ('[{"id": 1}, {"id": 2, oops}, {"id": 3}]', [None, "rest_unreadable"]),
        ('{"id": 1}\n\n{"id": \n{"id": 3}', [None, "no_json", None]),
        ('[[1], "text"]', ["no_object", "no_object"]),
        ("", []),
        ("\x00\x01", ["no_json"]),
        ("[" * 100_000, ["rest_unreadable"]),
    ],
)
def test_every_entry_of_a_file_is_given_or_said_to_be_unreadable(tmp_path, text, problems):
    (tmp_path / "x.json").write_text(text)
    assert [e.problem for e in entries_of(tmp_path)] == problems


def test_an_array_is_read_across_the_ends_of_chunks(tmp_path, monkeypatch):
    entries = [{"id": n, "text": "\u00fc" * n} for n in range(60)]
    (tmp_path / "x.json").write_text(json.dumps(entries, indent=2, ensure_ascii=False))
    for chunk in (1, 7, 64):
        monkeypatch.setattr(reading, "CHUNK_CHARS", chunk)
        assert [e.value for e in entries_of(tmp_path)] == entries


@pytest.mark.parametrize(
    ("asked", "question", "options"),
    [
        ("What? (A) one (B) two", "What?", ("one", "two")),
        ("What?\nChoose one among the following options:\n(A) C# minor\n(B) D", "What?", ("C# minor", "D")),
        ("What? Please choose the correct answer. (A) x, (B) y, (C) z.", "What?", ("x", "y", "z")),
        ("Is it (A) or something else?", "Is it (A) or something else?", ()),
        ("What? (A) one (C) two", "What? (A) one (C) two", ()),
        ("What? (A) one (B) one", "What? (A) one (B) one", ()),
    ],
)
def test_options_are_read_only_where_all_letters_are_there(asked, question, options):
    assert read_options(asked) == (question, options)


@pytest.mark.parametrize(
    ("asked", "said", "turn"),
    [
        ("Q? (A) a cat (B) a dog", "B", SpokenTurn("Q?", ("a cat", "a dog"), "a dog")),
        ("Q? (A) a cat (B) a dog", "Both.", SpokenTurn("Q? (A) a cat (B) a dog", (), "Both.")),
        (f"Q?{published.TAGS}", "<think>T.</think>\n<answer>A</answer>", SpokenTurn("Q?", (), "A", "T.")),
        (f"Q?{published.THINK}", "An answer alone.", SpokenTurn("Q?", (), "An answer alone.")),
        (f"<sound-1>Q?{published.THINK}", "<think>T.</think> A", SpokenTurn("Q?", (), "A", "T.")),
    ],
)
def test_turns_are_read_with_and_without_tags(asked, said, turn):
    assert read_turn(asked, said) == turn


def test_a_thought_that_comes_to_no_option_has_no_answer():
    with pytest.raises(UnreadableTurnError, match="thought_without_answer"):
        read_turn(f"Q? (A) a cat (B) a dog{published.THINK}", "It may be either of these.")
