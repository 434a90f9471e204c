"""What is taught and in which order: left-out families, balance, plans fixed by a seed, weights of tokens, settings."""

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
import torch
from support import tiny_world as world
from transformers import get_scheduler

from music_flamingo.core.errors import UserError
from music_flamingo.scoring.families import COMPOSITES, FAMILIES, NamedPart
from music_flamingo.training.data.audio import SoundBank, num_samples_of
from music_flamingo.training.data.collator import Branches, LessonCollator
from music_flamingo.training.data.items import curriculum
from music_flamingo.training.data.samples import WindowRule
from music_flamingo.training.grpo.prompts import asked_first, draw_prompts, interleave, most_doubtful, within_reach
from music_flamingo.training.optimiser import Constant, Cosine, Optimiser, WarmupStableDecay

TRACKS = world.tracks(8)
SECONDS = num_samples_of(TRACKS)
RULE = WindowRule("random", 32_000, per_track=3)


def lessons(seed: int = 0, num: int = 24, max_turns: int = 4):
    items = [world.item(t, family) for t in TRACKS for family in ("tone", "other")]
    taught = curriculum(items, {"tone": 1.0, "other": 1.0}, "sft")
    return world.plan_lessons(
        taught.items, SECONDS, world.hearing(), RULE, num_lessons=num, max_turns=max_turns, seed=seed
    )


def test_a_family_with_one_answer_is_left_out_and_named():
    items = [world.item(t) for t in TRACKS] + [world.item(t, "pitch") for t in TRACKS[::2]]
    taught = curriculum(items, {"tone": 1.0, "pitch": 1.0, "mode": 1.0}, "sft")
    assert {item.family for item in taught.items} == {"tone"}
    assert taught.left_out == {"pitch": "only one answer (low)", "mode": "no example"}


def test_nothing_to_teach_is_an_error_with_the_remedy():
    with pytest.raises(UserError, match=r"only one answer \(low\).*sft\.families"):
        curriculum([world.item(t) for t in TRACKS[::2]], {"tone": 1.0}, "sft")


def test_captions_are_taught_though_each_is_like_no_other():
    caption = replace(world.item(TRACKS[0], "caption"), is_caption=True, options=())
    assert curriculum([caption], {"caption": 0.5}, "sft").items[0].weight == 0.5


def test_the_answers_of_a_family_weigh_the_same_in_all():
    taught = curriculum([world.item(t) for t in (*TRACKS[::2], TRACKS[1])], {"tone": 2.0}, "sft")
    total = Counter()
    for item in taught.items:
        total[item.reference] += item.weight
    assert total["low"] == pytest.approx(total["high"])
    assert sum(total.values()) == pytest.approx(2.0 * len(taught.items))


def test_the_plan_follows_the_seed():
    assert list(lessons(seed=1)) == list(lessons(seed=1))
    assert list(lessons(seed=1)) != list(lessons(seed=2))


def test_every_track_comes_once_before_any_comes_again():
    heard = [lesson.window.track_id for lesson in lessons(num=20)]
    assert sorted(heard[:8]) == sorted(heard[8:16]) == sorted(SECONDS)


def test_a_lesson_asks_each_question_once_and_any_of_them_first():
    planned = lessons(num=80)
    assert all(len({item.id for item in lesson.items}) == 2 for lesson in planned)
    first = Counter(lesson.items[0].family for lesson in planned)
    assert min(first.values()) > 20


def test_no_more_questions_than_asked_for():
    assert {len(lesson.items) for lesson in lessons(max_turns=1)} == {1}


def test_windows_lie_within_the_track_and_differ():
    windows = {lesson.window for lesson in lessons(num=80)}
    assert all(w.start >= 0 and w.end - w.start == 32_000 and w.end <= 48_000 for w in windows)
    assert max(Counter(w.track_id for w in windows).values()) == 3


def test_tracks_come_as_often_as_their_weights_and_equal_weights_change_nothing():
    items = [world.item(t) for t in TRACKS]
    plan = partial(world.plan_lessons, items, SECONDS, world.hearing(), RULE, max_turns=1, seed=3)
    even = {t.id: 1.0 for t in TRACKS}
    assert list(plan(num_lessons=40, weights=even)) == list(plan(num_lessons=40))
    first, second, third = (t.id for t in TRACKS[:3])
    uneven = plan(num_lessons=80, weights={**even, first: 2.5, second: 0.25, third: 1.25})
    counts = Counter(lesson.window.track_id for lesson in uneven)
    rounds = 80 / (5 + 2.5 + 0.25 + 1.25)
    assert counts[first] == pytest.approx(2.5 * rounds, abs=2)
    assert counts[second] == pytest.approx(0.25 * rounds, abs=1)
    assert counts[third] == pytest.approx(1.25 * rounds, abs=2)


def test_a_short_track_is_heard_whole():
    short = {"t0": 20_000, "t1": 20_000}
    items = [world.item(t) for t in TRACKS[:2]]
    planned = world.plan_lessons(items, short, world.hearing(), RULE, num_lessons=4, max_turns=1, seed=0)
    assert {(lesson.window.start, lesson.window.end) for lesson in planned} == {(0, 20_000)}


def collator(branch_weight: float = 5.0) -> LessonCollator:
    planned = lessons()
    processor = world.processor()
    items = [item for lesson in planned for item in lesson.items]
    return LessonCollator(processor, planned, SoundBank(processor, TRACKS), Branches(processor, items, branch_weight))


def test_only_the_assistants_words_weigh_anything():
    batch = collator()([{"lesson": 0}, {"lesson": 1}])
    taught = batch["weights"] > 0
    said = [world.processor().tokenizer.decode(ids[on]) for ids, on in zip(batch["input_ids"], taught, strict=True)]
    assert set(said) <= {"low<|im_end|>low<|im_end|>", "high<|im_end|>high<|im_end|>"}
    assert not taught[batch["input_ids"] == world.processor().audio_token_id].any()
    assert not taught[batch["attention_mask"] == 0].any()


def test_the_token_where_answers_part_weighs_more_than_the_end_mark():
    batch = collator()([{"lesson": 0}])
    assert batch["weights"][batch["weights"] > 0].tolist() == [5.0, 1.0, 5.0, 1.0]


def test_branches_are_found_inside_a_chain():
    processor = world.processor()
    chains = [world.item(t, think=True) for t in TRACKS[:2]]
    ids = processor.tokenizer(chains[0].target, add_special_tokens=False)["input_ids"]
    weights = Branches(processor, chains, 5.0).weights("tone", tuple(ids))
    heavy = [processor.tokenizer.decode([i]).strip() for i, w in zip(ids, weights, strict=True) if w == 5.0]
    assert heavy == ["low"], "the claim; the answer follows from it"


def test_a_batch_names_its_samples():
    assert collator()([{"lesson": 0}])["sample_ids"] == [item.id for item in lessons()[0].items]


def optimiser(schedule) -> Optimiser:
    return Optimiser(
        learning_rate=1.0, schedule=schedule, weight_decay=0.0, beta2=0.98, max_grad_norm=1.0, accumulation=1
    )


def rates(schedule, steps: int) -> list[float]:
    arguments = optimiser(schedule).arguments(steps)
    parameter = torch.optim.SGD([torch.zeros(1)], lr=arguments["learning_rate"])
    scheduler = get_scheduler(
        arguments["lr_scheduler_type"],
        parameter,
        num_warmup_steps=arguments["warmup_steps"],
        num_training_steps=steps,
        scheduler_specific_kwargs=arguments.get("lr_scheduler_kwargs"),
    )
    found = []
    for _ in range(steps):
        found.append(scheduler.get_last_lr()[0])
        parameter.step()
        scheduler.step()
    return found


def test_warm_up_plateau_and_decay():
    found = rates(
        WarmupStableDecay(kind="warmup_stable_decay", warmup_steps=4, decay_fraction=0.4, min_rate_ratio=0.1), 20
    )
    assert found[:5] == pytest.approx([0.1, 0.325, 0.55, 0.775, 1.0])
    assert set(found[4:13]) == {1.0}
    assert found[13:] == sorted(found[13:], reverse=True)
    assert 0.1 < found[-1] < 0.2


def test_a_run_shorter_than_its_warm_up_still_has_a_schedule():
    short = WarmupStableDecay(kind="warmup_stable_decay", warmup_steps=40, decay_fraction=0.4, min_rate_ratio=0.1)
    assert max(rates(short, 5)) > 0
    assert max(rates(Cosine(kind="cosine", warmup_steps=2), 6)) == 1.0
    assert rates(Constant(kind="constant", warmup_steps=2), 4) == [0.0, 0.5, 1.0, 1.0]


def drawn(count: int, first=()):
    items = [world.item(t, family) for t in TRACKS for family in ("tone", "other")]
    return draw_prompts(items, first, {"tone": 3.0, "other": 1.0}, SECONDS, world.hearing(), RULE, count=count, seed=0)


def test_prompts_keep_to_their_families_shares_and_are_even_over_answers():
    found = drawn(16)
    assert {family: len(prompts) for family, prompts in found.items()} == {"other": 4, "tone": 12}
    assert Counter(p.item.reference for p in found["other"]) == {"low": 2, "high": 2}


def test_no_question_comes_again_before_all_have_come():
    counts = Counter(p.item.id for p in drawn(16)["tone"])
    assert set(counts.values()) == {1, 2}
    assert len(counts) == 8


def test_questions_of_mf_think_come_first():
    hard = {"t6/other", "t7/other"}
    assert {p.item.id for p in drawn(8, (hard,))["other"]} == hard


def test_composite_questions_of_parts_that_no_chain_puts_together_come_first_if_wanted():
    one, another = (
        COMPOSITES["all_heard"].worded((NamedPart("drums", "yes"), NamedPart("texture", texture)), FAMILIES)
        for texture in FAMILIES["texture"].options[:2]
    )
    items = [
        replace(world.item(TRACKS[0]), id="chained", family="all_heard", question=one),
        replace(world.item(TRACKS[1]), id="same parts", family="all_heard", question=one),
        replace(world.item(TRACKS[2]), id="new parts", family="all_heard", question=another),
        replace(world.item(TRACKS[3]), id="single, chained"),
        replace(world.item(TRACKS[4]), id="single"),
    ]
    hard = {"chained", "single, chained"}
    assert asked_first(items, hard, "think") == (hard,)
    assert asked_first(items, hard, "think_and_new") == ({"new parts"}, hard)


def test_what_is_asked_first_comes_in_turns():
    new, hard = {"t0/other", "t2/other"}, {"t4/other", "t6/other"}
    first = [p.item.id for p in drawn(16, (new, hard))["other"] if p.item.reference == "low"]
    assert len(first) == 2 and len(new & set(first)) == len(hard & set(first)) == 1


def reach(items, on_overflow="window_by_references", room: int = 10**9, samples=None):
    rule = replace(RULE, on_overflow=on_overflow)
    return within_reach(items, SECONDS if samples is None else samples, world.hearing(), rule, lambda item: room)


def test_a_question_that_names_seconds_is_drawn_with_a_window_that_holds_them():
    items = [replace(world.item(t), spans_s=((2.0, 2.8),)) for t in TRACKS]
    kept, must_hear, set_aside = reach(items)
    assert must_hear == {item.id: (32_000, 44_800) for item in items}
    assert not set_aside
    prompts = draw_prompts(
        kept, (), {"tone": 1.0}, SECONDS, world.hearing(), RULE, count=32, seed=0, must_hear=must_hear
    )["tone"]
    assert all(p.window.start <= 32_000 and 44_800 <= p.window.end == p.window.start + 32_000 for p in prompts)
    assert len({p.window.start for p in prompts}) > 8


def test_questions_out_of_reach_are_counted_by_reason():
    item = world.item(TRACKS[0])
    far = replace(item, spans_s=((0.1, 0.3), (2.5, 2.9)))
    near = replace(item, spans_s=((2.0, 2.8),))
    whole = replace(item, names_a_time=True)
    assert reach([far, whole, item])[2] == {"references_too_far_apart": 1, "recording_longer_than_window": 1}
    assert reach([near, item], on_overflow="quarantine")[::2] == ([item], {"references_not_heard": 1})
    assert reach([item], room=31_999)[2] == {"longer_than_context": 1}
    assert reach([item], samples={})[2] == {"no_recording": 1}
    assert reach([item], samples={"t0": 100})[2] == {"too_short_to_hear": 1}


def test_the_doubtful_ones_are_kept_in_their_order():
    candidates = drawn(16)["other"]
    assert most_doubtful(candidates, [0.9, 0.5, 0.99, 0.6], 2) == [candidates[1], candidates[3]]


def test_every_stretch_of_the_plan_has_every_family():
    order = interleave(drawn(16), seed=0)
    assert [Counter(p.item.family for p in order[i : i + 4]) for i in range(0, 16, 4)] == [{"tone": 3, "other": 1}] * 4
