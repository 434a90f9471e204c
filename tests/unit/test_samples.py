"""What is asked in which window: seconds that a question names, the context, what is set aside and why."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from support import tiny_world as world

from music_flamingo.model.chat import Turn, tokenise, tokenise_apart
from music_flamingo.training.data.audio import RecordingIndex
from music_flamingo.training.data.item_store import ItemStore
from music_flamingo.training.data.items import TrainingItem
from music_flamingo.training.data.mixture import divided, words_of
from music_flamingo.training.data.samples import SampleTable, WindowRule

TRACK = world.tracks(1)[0]
RATE = world.RATE_HZ
SONG_S = 10.0
RULE = WindowRule("random", 2 * RATE, per_track=4)
CONTEXT = world.hearing()


def ask(name: str, *spans_s: tuple[float, float], **changes):
    return replace(world.item(TRACK), id=name, spans_s=spans_s, **changes)


def divide(*items, rule: WindowRule = RULE, hearing=CONTEXT, song_s: float = SONG_S, max_turns: int = 4) -> SampleTable:
    item_store = ItemStore.write([items], {"tone": 1.0}, "warmup", min_answers=1)
    listing = RecordingIndex(pa.array([TRACK.id], pa.large_string()), np.array([round(song_s * RATE)]), np.ones(1))
    words = words_of(world.processor(), item_store)
    return divided(item_store, listing, hearing, rule, words, [world.generator(1)], max_turns)[0]


def names(table: SampleTable, items: Sequence[TrainingItem]) -> list[list[str]]:
    """What each sample asks."""
    return [[items[row].id for row in table.rows_of(sample)] for sample in range(len(table))]


def windows_of(table: SampleTable, sample: int = 0) -> list[tuple[float, float]]:
    """In seconds."""
    found = [table.window(sample, number) for number in range(table.num_windows(sample))]
    return [(window.start / RATE, window.end / RATE) for window in found]


def test_a_question_about_the_whole_may_be_asked_of_any_stretch():
    table = divide(ask("all", (0.0, 10.0)), ask("nearly all", (0.2, 9.9)), ask("none"))
    assert len(table) == 1
    assert table.num_samples == 3
    assert len(set(windows_of(table))) == 4
    assert not table.own_windows


def test_a_question_that_names_seconds_is_asked_where_they_are_heard():
    table = divide(ask("chorus", (6.0, 7.5)))
    assert all(start <= 6.0 and end >= 7.5 for start, end in windows_of(table))
    assert all(end - start == 2.0 for start, end in windows_of(table))
    assert table.own_windows == {"references_not_heard": 1}


def test_neighbours_share_a_window_and_others_do_not():
    items = [ask("a", (6.0, 6.5)), ask("b", (7.0, 7.9)), ask("c", (1.0, 1.5)), ask("all")]
    assert sorted(names(divide(*items), items)) == [["a", "b"], ["all"], ["c"]]


def test_a_question_about_the_clock_hears_the_recording_from_its_start():
    table = divide(ask("when", (1.0, 1.5), names_a_time=True))
    assert windows_of(table) == [(0.0, 2.0)] * 4


def test_a_caption_that_names_times_and_rests_on_the_whole_needs_the_whole():
    caption = ask("caption", (0.0, 10.0), names_a_time=True)
    assert divide(caption).set_aside == {"recording_longer_than_window": 1}
    assert windows_of(divide(replace(caption, spans_s=((0.0, 2.0),)), song_s=2.0)) == [(0.0, 2.0)] * 4


def test_a_transcript_is_asked_of_the_whole_recording_or_never():
    said = ask("said", is_about_all=True)
    assert divide(said).set_aside == {"recording_longer_than_window": 1}
    assert windows_of(divide(said, song_s=1.5)) == [(0.0, 1.5)] * 4


def test_seconds_further_apart_than_a_window_are_set_aside():
    table = divide(ask("both", (1.0, 1.5), (8.0, 8.5)))
    assert table.set_aside == {"references_too_far_apart": 1}
    assert len(table) == 0


def test_quarantine_sets_aside_what_the_windows_do_not_hold():
    items = [ask("chorus", (6.0, 7.5)), ask("all")]
    table = divide(*items, rule=replace(RULE, on_overflow="quarantine"))
    assert table.set_aside == {"references_not_heard": 1}
    assert names(table, items) == [["all"]]


def tokens_of(item) -> int:
    return len(tokenise(world.processor(), (Turn(item.prompt, item.target),), 0).ids) - 2


def test_long_words_get_a_shorter_window_that_still_holds_their_seconds():
    item = ask("chorus", (6.0, 6.3))
    room = 20
    hearing = replace(CONTEXT, context_tokens=tokens_of(item) + 2 + room)
    table = divide(item, hearing=hearing)
    start, end = windows_of(table)[0]
    assert hearing.audio_tokens(round((end - start) * RATE)) == room
    assert start <= 6.0 and end >= 6.3
    assert table.own_windows == {"longer_than_context": 1}
    quarantined = divide(item, hearing=hearing, rule=replace(RULE, on_overflow="quarantine"))
    assert quarantined.set_aside == {"longer_than_context": 1}


def test_words_that_leave_no_room_for_sound_are_set_aside():
    item = ask("long")
    table = divide(item, hearing=replace(CONTEXT, context_tokens=tokens_of(item) + 2))
    assert table.set_aside == {"text_longer_than_context": 1}


def test_a_lesson_asks_no_more_than_the_context_holds():
    items = [ask(f"q{i}") for i in range(4)]
    audio = CONTEXT.audio_tokens(2 * RATE)
    for fit in (1, 2, 3):
        hearing = replace(CONTEXT, context_tokens=audio + 2 + fit * tokens_of(items[0]))
        table = divide(*items, hearing=hearing)
        assert table.turns[0] == fit
        assert table.num_samples == 4, "the others come in another lesson"


def test_a_recording_too_short_to_hear_and_one_that_is_not_there_are_counted():
    assert divide(ask("a"), song_s=0.01).set_aside == {"too_short_to_hear": 1}
    assert divide(ask("a", track_id="gone")).set_aside == {"no_recording": 1}


@pytest.mark.parametrize(("apart", "form"), [(False, tokenise), (True, tokenise_apart)])
def test_the_tokens_that_are_planned_are_those_that_are_read(apart, form):
    items = [ask("a"), ask("b", prompt="Low?"), ask("c", target="high")]
    words = words_of(world.processor(), ItemStore.write([items], {"tone": 1.0}, "sft", min_answers=1))
    read = form(world.processor(), [Turn(item.prompt, item.target) for item in items], 30)
    assert words.of_lesson(range(3), apart) + 2 + 30 == len(read.ids)
    assert (words.bounds() >= [words(row) for row in range(3)]).all()
