"""Sources mixed: shares, epochs, order; what a run's plan says of them."""

from collections import Counter
from itertools import islice

import numpy as np
import pyarrow as pa
import pytest
from support import tiny_world as world

from music_flamingo.core.errors import UserError
from music_flamingo.training.data.audio import RecordingIndex
from music_flamingo.training.data.item_store import ItemStore
from music_flamingo.training.data.items import TrainingItem
from music_flamingo.training.data.mixture import MixtureSource, chosen, divided, interleaved, mixed, shares, words_of
from music_flamingo.training.data.samples import WindowRule
from music_flamingo.training.data.schedule import TrainingSchedule

TRACKS = world.tracks(12)
RULE = WindowRule("random", 32_000, per_track=2)


def about(tracks, *families: str) -> list[TrainingItem]:
    return [world.item(track, family) for track in tracks for family in families]


def plan_of(sources, parts, num_lessons: int, max_turns: int = 2, weights=None) -> TrainingSchedule:
    """Lessons of several sources over TRACKS."""
    ids = sorted(track.id for track in TRACKS)
    listing = RecordingIndex(
        pa.array(ids, pa.large_string()),
        np.full(len(ids), 48_000),
        np.array([(weights or {}).get(name, 1.0) for name in ids]),
    )
    families = {item.family: 1.0 for items in sources for item in items}
    item_store = ItemStore.write(sources, families, "sft")
    rngs = [world.generator(7) for _ in sources]
    words = words_of(world.processor(), item_store)
    plan = TrainingSchedule(divided(item_store, listing, world.hearing(), RULE, words, rngs, max_turns), item_store)
    for _ in islice(mixed(plan, rngs, parts), num_lessons):
        pass
    return plan


def test_a_share_is_weight_times_size_and_temperature_draws_them_together():
    assert shares([300, 100], [1.0, 1.0], 1.0, "sft") == pytest.approx([0.75, 0.25])
    assert shares([300, 100], [1.0, 3.0], 1.0, "sft") == pytest.approx([0.5, 0.5])
    assert shares([900, 100], [1.0, 1.0], 2.0, "sft") == pytest.approx([0.75, 0.25])
    assert shares([900, 100], [1.0, 1.0], 1e9, "sft") == pytest.approx([0.5, 0.5])
    assert shares([900, 0], [1.0, 1.0], 2.0, "sft") == [1.0, 0.0]


def test_nothing_left_to_teach_is_an_error_with_the_remedy():
    with pytest.raises(UserError, match=r"`sft` has nothing to teach.*`sft\.mixture\.sources`"):
        shares([0, 0], [1.0, 1.0], 1.0, "sft")


def test_every_stretch_holds_the_shares_to_within_one_lesson():
    parts = [0.6, 0.3, 0.1]
    order = list(islice(interleaved(parts), 1000))
    for start in range(0, 900, 37):
        counts = Counter(order[start : start + 100])
        assert all(abs(counts[i] - 100 * part) <= 2 for i, part in enumerate(parts))
    counts = Counter()
    for place, source in enumerate(order, start=1):
        counts[source] += 1
        assert all(abs(counts[i] - place * part) <= 1 for i, part in enumerate(parts))


def test_a_source_without_weight_is_never_read():
    def unread():
        raise AssertionError("read")
        yield

    sources = [MixtureSource("skills", [], None, {}), MixtureSource("speech", unread(), None, {})]
    assert [s.name for s in chosen(sources, {"skills": 1.0, "speech": 0.0}, "sft")] == ["skills"]
    assert [s.name for s in chosen(sources, {"speech": 2.0}, "sft")] == ["speech"]


def test_a_weight_without_its_source_is_refused_and_the_sources_are_named():
    with pytest.raises(UserError, match=r"`sft\.mixture\.sources` names 'songs'; this stage has: skills, speech"):
        chosen([MixtureSource("skills", [], None, {}), MixtureSource("speech", [], None, {})], {"songs": 1.0}, "sft")


def test_no_sample_comes_twice_within_an_epoch_of_its_source():
    small, large = about(TRACKS[:4], "tone"), about(TRACKS[4:], "other", "third", "fourth")
    plan = plan_of([small, large], [0.5, 0.5], 200)
    for number, items in enumerate((small, large)):
        asked = [i.id for n, lesson in enumerate(plan) if plan.source[n] == number for i in lesson.items]
        epochs = [asked[i : i + len(items)] for i in range(0, len(asked), len(items))]
        assert len(epochs) > 3
        assert all(len(set(epoch)) == len(epoch) for epoch in epochs)
        assert set(epochs[0]) == {item.id for item in items}


def test_a_source_goes_its_own_way_whatever_it_is_mixed_with():
    small, large = about(TRACKS[:4], "tone"), about(TRACKS[4:], "other", "third")
    alone = plan_of([small], [1.0], 40)
    mixed_in = plan_of([small, large], [0.25, 0.75], 160)
    assert [lesson for n, lesson in enumerate(mixed_in) if mixed_in.source[n] == 0] == list(alone)


def test_a_longer_run_begins_as_a_shorter_one():
    sources = [about(TRACKS[:4], "tone"), about(TRACKS[4:], "other")]
    long = plan_of(sources, [0.3, 0.7], 80)
    assert list(plan_of(sources, [0.3, 0.7], 31)) == list(long[:31])


def test_the_order_in_which_samples_come_in_plays_no_part():
    items = about(TRACKS, "tone", "other")
    assert list(plan_of([items], [1.0], 50)) == list(plan_of([items[::-1]], [1.0], 50))


def test_a_shelf_gives_back_what_was_put_on_it_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    items = about(TRACKS, "tone", "other")
    item_store = ItemStore.write([items[:5], items[5:]], {"tone": 2.0, "other": 0.5}, "sft")
    assert (
        [item.id for item in item_store]
        == [item_store[row].id for row in range(len(item_store))]
        == [item.id for item in items]
    )
    assert {(item.family, item.weight) for item in item_store} == {("tone", 2.0), ("other", 0.5)}
    assert item_store[3].prompt == items[3].prompt
    assert item_store.column("source").tolist() == [0] * 5 + [1] * (len(items) - 5)
    assert not list(tmp_path.iterdir())


def test_speech_is_mixed_in_by_its_weight_and_each_utterance_is_heard_whole(tmp_path):
    world.write_ports(tmp_path, 8)
    world.run("backbone", tmp_path)
    mixture = {"temperature": 1.0, "sources": {"skills": 1.0, "speech": 0.5}}
    plan = world.run("sft", tmp_path, mixture=mixture)["sft_model"].metrics
    assert plan["families"]["speech/asr"] == plan["families"]["speech/phonemes"] == {"open": 8}
    assert plan["sources"]["speech"]["samples"] == 16
    assert plan["sources"]["skills"]["lessons"] == pytest.approx(2 * plan["sources"]["speech"]["lessons"], abs=3)
    assert plan["sources"]["speech"]["quarantined"] == {}
    short = {**world.WINDOWS, "max_s": 1.0}
    plan = world.run("sft", tmp_path, mixture=mixture, windows=short)["sft_model"].metrics
    assert plan["sources"]["speech"]["quarantined"] == {"recording_longer_than_window": 16}
    assert plan["sources"]["speech"]["lessons"] == 0


def test_warm_up_takes_speech_as_well(tmp_path):
    world.write_ports(tmp_path, 8)
    world.run("backbone", tmp_path)
    world.run("sft", tmp_path, steps=1)
    mixture = {"temperature": 1.0, "sources": {"think": 1.0, "speech": 1.0}}
    plan = world.run("warmup", tmp_path, steps=4, mixture=mixture)["warmup_model"].metrics
    assert set(plan["families"]) == {"tone", "speech/asr", "speech/phonemes"}
    assert plan["sources"]["speech"]["lessons"] > 0


def test_a_run_says_what_it_took_from_each_source_and_what_it_set_aside(tmp_path):
    world.write_ports(tmp_path, 8)
    world.run("backbone", tmp_path)
    plan = world.run("sft", tmp_path, steps=2)["sft_model"].metrics
    assert plan["sources"] == {
        "skills": {"samples": 16, "lessons": 8, "epochs": 1.0, "window_by_references": {}, "quarantined": {}}
    }
