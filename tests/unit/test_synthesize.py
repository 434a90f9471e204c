"""synthesize: two captions and up to 20 questions a track, options in a drawn order, the same on every run."""

import random
from collections import Counter

import pytest
from support import songs

from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.records import Example, Facts, Track
from music_flamingo.records.example import QuestionType, Skill
from music_flamingo.scoring.families import COMPOSITES, FAMILIES, parts_asked
from music_flamingo.stages import captions
from music_flamingo.stages.synthesize import STAGE
from music_flamingo.teachers.choosing import choose_questions

KEYS = ("C major", "G major", "A minor", "Eb major")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    names = [(f"w{k}/0", f"w{k}") for k in range(40)]
    songs.write_port(root / "tracks", Track, [[songs.make_track(t, w) for t, w in names]])
    facts = [songs.make_facts(t, w, lyrics=songs.with_lyrics() if k % 2 else None) for k, (t, w) in enumerate(names)]
    songs.write_port(root / "facts", Facts, [[*facts[:-1], songs.empty_facts(names[-1][0])]])
    songs.run_stage(captions.STAGE, songs.params("captions"), root)
    songs.run_stage(STAGE, songs.params("synthesize"), root)
    return root


@pytest.fixture(scope="module")
def examples(data):
    return list(Table(data / "candidates", Example, read_manifest(data / "candidates")))


def test_a_track_gets_two_captions_and_twelve_to_twenty_questions(examples):
    by_track = Counter(e.track_id for e in examples if e.type != "caption" and e.family not in COMPOSITES)
    assert all(12 <= n <= 20 for n in by_track.values())
    assert Counter(e.family for e in examples if e.type == "caption") == {"short_caption": 39, "rich_caption": 39}
    assert "w39/0" not in by_track, "without facts nothing is asked and nothing described"


def test_every_track_keeps_its_audible_families_and_all_skills_and_types(examples):
    for track_id in {e.track_id for e in examples}:
        mine = [e for e in examples if e.track_id == track_id]
        assert set(FAMILIES) <= {e.family for e in mine}
        assert {e.skill for e in mine} == set(Skill.__args__)
        assert {e.type for e in mine} == set(QuestionType.__args__)


def test_audible_questions_keep_the_wording_and_the_options_of_evaluation(examples):
    for example in examples:
        if family := FAMILIES.get(example.family):
            assert (example.question, tuple(example.options)) == (family.question, family.options)


def test_a_track_gets_composite_questions_of_every_family_with_near_misses(examples):
    composite = [e for e in examples if e.family in COMPOSITES]
    per_track = songs.params("synthesize")["composites"]["per_track"]
    counts = Counter((e.track_id, e.family) for e in composite)
    assert {family for _, family in counts} == set(COMPOSITES)
    assert all(n <= per_track[family] for (_, family), n in counts.items())
    assert {e.teacher.kind for e in composite} == {"scripted"} and len({e.id for e in composite}) == len(composite)
    yes = [e.answer == "yes" for e in composite if e.family == "all_heard"]
    assert 0.25 < sum(yes) / len(yes) < 0.65, "nearly all that there are: training draws answers evenly"
    assert all(parts_asked(e.family, e.question) for e in composite)


def test_the_place_of_an_answer_among_drawn_options_says_nothing(examples):
    drawn = [e for e in examples if e.family in ("key", "cadence", "form")]
    places = [e.options.index(e.answer) / (len(e.options) - 1) for e in drawn]
    assert len(drawn) > 50 and 0.4 < sum(places) / len(places) < 0.6
    assert all(4 <= len(e.options) <= 9 for e in drawn)


def test_captions_carry_their_structured_truth_and_questions_none(examples):
    assert all(bool(e.structured) == (e.type == "caption") for e in examples)


def test_the_same_inputs_give_the_same_bytes(data, tmp_path):
    for port in ("tracks", "facts", "captions"):
        (tmp_path / port).symlink_to(data / port)
    again = songs.run_stage(STAGE, songs.params("synthesize"), tmp_path)["candidates"]
    assert again.digest == songs.run_stage(STAGE, songs.params("synthesize"), data)["candidates"].digest
    other = songs.run_stage(STAGE, {**songs.params("synthesize"), "seed": 99}, tmp_path)["candidates"]
    assert other.digest != again.digest


def test_metrics_count_questions_by_skill_and_tracks_with_few(data):
    metrics = songs.run_stage(STAGE, songs.params("synthesize"), data)["candidates"].metrics
    assert metrics["teacher"] == "scripted" and metrics["num_tracks"] == 39
    assert sum(metrics["skills"].values()) == metrics["num_questions"]
    assert metrics["tracks_with_few_questions"] == 0


def test_the_choice_prefers_what_training_asks_and_then_rare_skills_and_types():
    from music_flamingo.teachers import ScriptedConfig, ask, open_teacher
    from music_flamingo.teachers.payloads import QuestionsReply, SongFacts, SongPayload, closed_questions

    facts = songs.make_facts(lyrics=songs.with_lyrics())
    payload = SongPayload(
        track_id="t", facts=SongFacts.of(facts, 16.0), closed=closed_questions(facts), captions=[], title=None
    )
    teacher = open_teacher(ScriptedConfig(kind="scripted"))
    skills = ("temporal", "attribute", "harmony", "lyrics_vocal", "comparative")
    asked = [(s, q) for s in skills for q in ask(teacher, f"qa_{s}", payload, QuestionsReply, 1).questions]
    chosen = choose_questions(asked, 12, random.Random(3))
    assert len(chosen) == 12
    assert set(FAMILIES) <= {q.family for _, q in chosen}
    assert {s for s, _ in chosen} == set(skills)
    assert {q.type for _, q in chosen} == set(QuestionType.__args__) - {"caption"}
