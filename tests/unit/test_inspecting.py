"""`mf inspect` shows what the model is given, and names what is wrong about it."""

import json
from dataclasses import replace

import pytest
import torch
from support import tiny_world as world

from music_flamingo.cli import main
from music_flamingo.core.errors import UserError
from music_flamingo.inspecting.batch import Batch, Subject, take_apart
from music_flamingo.inspecting.checks import mistakes
from music_flamingo.inspecting.look import InspectedBatch, look
from music_flamingo.inspecting.pages import as_text, write_page
from music_flamingo.training.data.audio import SoundBank, TrainingWindow
from music_flamingo.training.data.collator import Branches, LessonCollator
from music_flamingo.training.data.schedule import Lesson, samples_digest

TRACKS = world.tracks(4)
ITEMS = [world.item(track) for track in TRACKS]
RATE = world.RATE_HZ
LESSONS = [
    Lesson(TrainingWindow("t0", 0, 2 * RATE), (ITEMS[0],)),
    Lesson(TrainingWindow("t1", RATE // 2, 3 * RATE), (ITEMS[1], replace(ITEMS[1], id="t1/again"))),
    Lesson(TrainingWindow("t2", RATE, 2 * RATE), (ITEMS[2],)),
]
NUM_SAMPLES = {track.id: 3 * RATE for track in TRACKS}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspecting")
    world.write_ports(folder)
    for stage in ("backbone", "sft", "warmup"):
        world.run(stage, folder, **({"steps": 1} if stage != "backbone" else {}))
    return folder


def collate(packing: bool = False, turns: str = "conversation") -> dict:
    bank = SoundBank(world.processor(), TRACKS)
    collator = LessonCollator(world.processor(), LESSONS, bank, Branches(world.processor(), ITEMS, 5.0), packing, turns)
    return collator([{"lesson": i} for i in range(len(LESSONS))])


def batch_of(tensors: dict, num_samples=NUM_SAMPLES, more_tokens: int = 0) -> Batch:
    bank = SoundBank(world.processor(), TRACKS)
    subjects = [Subject(one.window, one.items, bank(one.window).num_tokens + more_tokens) for one in LESSONS]
    samples = take_apart(tensors, subjects, world.processor(), world.hearing(), num_samples)
    return Batch("sft", 1, 8, "bounds" in tensors, 4, 0.08, samples, ())


def wrong(batch: Batch) -> list[str]:
    return mistakes(batch, world.hearing(), is_taught=True)


@pytest.mark.parametrize(("packing", "turns"), [(False, "conversation"), (True, "conversation"), (True, "isolated")])
def test_a_sound_batch_has_nothing_wrong_and_its_counts_are_the_tensors(packing, turns):
    tensors = collate(packing, turns)
    batch = batch_of(tensors)
    assert wrong(batch) == []
    assert batch.num_tokens == tensors["input_ids"].numel()
    assert batch.count("taught") == int((tensors["weights"] > 0).sum())
    assert batch.count("audio") == int((tensors["input_ids"] == world.processor().audio_token_id).sum())
    assert batch.num_padding == (0 if packing else int((tensors["attention_mask"] == 0).sum()))
    assert [t.id for s in batch.samples for t in s.tokens] == (
        tensors["input_ids"][0] if packing else tensors["input_ids"][tensors["attention_mask"].bool()]
    ).tolist()


def test_a_question_apart_begins_where_the_sound_ends():
    second = batch_of(collate(True, "isolated")).samples[1]
    shared = sum(token.question == 0 for token in second.tokens)
    firsts = [next(t.position for t in second.tokens if t.question == n) for n in (1, 2)]
    assert firsts == [shared, shared]


def test_a_prompt_that_is_trained_on_is_named_with_its_words():
    tensors = collate()
    question = next(i for i, w in enumerate(tensors["weights"][0].tolist()) if w > 0) - 8
    tensors["weights"][0, question] = 1.0
    (only,) = wrong(batch_of(tensors))
    assert only.startswith("sample 1 (t0, 0.00 to 2.00 s): 1 tokens are trained on that the assistant does not say")


def test_a_sound_that_is_trained_on_is_named():
    tensors = collate()
    tensors["weights"][0][tensors["input_ids"][0] == world.processor().audio_token_id] = 1.0
    assert wrong(batch_of(tensors)) == ["sample 1 (t0, 0.00 to 2.00 s): 25 audio tokens are trained on"]


def test_an_answer_that_is_not_trained_on_is_named():
    tensors = collate()
    tensors["weights"][2] = 0.0
    found = wrong(batch_of(tensors))
    assert len(found) == 2 and all(one.startswith("sample 3") for one in found)
    assert "not trained on" in found[0] and found[1].endswith("nothing of it is trained on")


def test_a_mask_shifted_by_one_is_found():
    """The commonest slip with labels: the first answer token lost, the line break after the turn trained on."""
    tensors = collate()
    tensors["weights"] = torch.roll(tensors["weights"], 1, dims=1)
    found = wrong(batch_of(tensors))
    assert any("the assistant does not say: '\\n'" in one for one in found)
    assert any("not trained on" in one for one in found)


def test_too_few_audio_tokens_for_the_sound_are_named():
    assert len(wrong(batch_of(collate(), more_tokens=1))) == len(LESSONS)


def test_a_window_beyond_its_track_is_named():
    found = wrong(batch_of(collate(), num_samples={**NUM_SAMPLES, "t1": 2 * RATE}))
    assert found == ["sample 2 (t1, 0.50 to 3.00 s): its window is not within its track of 2.00 s"]


def test_positions_that_run_on_from_the_sample_before_are_named():
    tensors = collate(packing=True)
    tensors["position_ids"] = torch.arange(tensors["input_ids"].shape[1])[None]
    found = wrong(batch_of(tensors))
    assert [one[:8] for one in found] == ["sample 2", "sample 3"]


def test_a_sample_longer_than_the_context_is_named():
    hearing = replace(world.hearing(), context_tokens=60)
    assert any("exceed the context of 60" in one for one in mistakes(batch_of(collate()), hearing, is_taught=True))


def test_the_text_shows_sound_in_seconds_and_weights_where_something_is_learned():
    batch = batch_of(collate())
    text = as_text(InspectedBatch(batch, ()), limit=2)
    assert "♪ 25 tokens, 0.00 to 2.00 s" in text
    assert "⟦low·5⟧⟦<|im_end|>·1⟧" in text
    assert "⟦Is the tone" not in text
    assert "1 samples more" in text


@pytest.mark.parametrize("stage", ["sft", "warmup", "grpo"])
def test_the_batch_is_the_stages_own(data, stage):
    seen = look(stage, world.CONFIGS, data, step=2)
    assert seen.mistakes == ()
    per_step = world.CONFIGS[stage].get("batch_size") if stage != "grpo" else world.CONFIGS[stage]["prompts_per_step"]
    assert len(seen.batch.samples) == per_step
    assert (seen.batch.count("taught") > 0) == (stage != "grpo")
    if stage == "grpo":
        assert "4 answers" in seen.batch.notes[0] and "1 in 1.5" in seen.batch.notes[1]
        assert seen.batch.samples[0].tokens[-2].text == "assistant", "up to where the model goes on"


def test_inspecting_a_step_shows_what_that_step_learned_from(data):
    """The digest of a step's samples stands in the log of a run."""
    seen = look("sft", {**world.CONFIGS, "sft": {**world.TEACHING, "steps": 1}}, data, step=1)
    shown = [item.id for sample in seen.batch.samples for item in sample.subject.items]
    logged = json.loads((data / "sft_model/log.jsonl").read_text().splitlines()[0])
    assert samples_digest(shown) == logged["samples"]


def test_a_step_of_filled_rows_is_shown_lesson_by_lesson(data):
    params = {"sft": {**world.TEACHING, "max_turns": 1, "fill": {"max_tokens": 160, "look_ahead": 6}}}
    seen = look("sft", params, data, 2)
    assert seen.mistakes == ()
    assert seen.batch.is_packed
    assert len(seen.batch.samples) > world.TEACHING["batch_size"]


def test_a_stage_or_step_that_is_not_there_is_answered_with_what_is(data):
    with pytest.raises(UserError, match="sft, warmup, grpo"):
        look("facts", world.CONFIGS, data, step=1)
    with pytest.raises(UserError, match="steps 1 to 8"):
        look("sft", world.CONFIGS, data, step=9)


def test_the_command_fails_where_something_is_wrong(data, tmp_path, capsys, monkeypatch):
    params = tmp_path / "params.yaml"
    params.write_text(json.dumps(world.CONFIGS))
    arguments = ["inspect", "sft", "--params", str(params), "--data", str(data), "--html", str(tmp_path / "page.html")]
    assert main(arguments) == 0
    assert "Nothing wrong was found." in capsys.readouterr().out
    monkeypatch.setattr(LessonCollator, "token_weights", lambda self, lesson, tokens: [1.0] * len(tokens.ids))
    assert main(arguments) == 1
    assert "WRONG: sample 1" in capsys.readouterr().out
    assert 'role="alert"' in (tmp_path / "page.html").read_text()


def test_the_page_needs_nothing_else_and_shows_hostile_words_as_text(tmp_path):
    batch = batch_of(collate(True, "isolated"))
    hostile = replace(batch.samples[0], pieces=(replace(batch.samples[0].pieces[0], text="<script>"),))
    tokens = tuple(replace(token, text="<script>x</script>") for token in hostile.pieces[0].tokens)
    hostile = replace(hostile, pieces=(replace(hostile.pieces[0], tokens=tokens),))
    write_page(
        tmp_path / "page.html", InspectedBatch(replace(batch, samples=(hostile, *batch.samples[1:])), ("<b>",)), limit=3
    )
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page and "<li>&lt;b&gt;" in page
    assert "http" not in page and "src=" not in page
