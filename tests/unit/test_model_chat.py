"""Words and sounds: ids as the processor's own, labels on the assistant's words alone, long and awkward audio."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support import tiny_world as world

from music_flamingo.core.errors import UserError
from music_flamingo.model.chat import Turn, batch_of, hear, messages_of, tokenise
from music_flamingo.model.context import MARKS, QUESTION_TOKENS
from music_flamingo.model.listener import Ask, Listener

TURNS = (Turn(world.QUESTION, "low"), Turn("Sure?", "<think>It is low.</think><answer>low</answer>"))


def test_ids_features_and_answer_marks_equal_the_processors():
    processor, samples = world.processor(), world.tone(440, 3.0)
    sound = hear(processor, samples)
    tokens = tokenise(processor, TURNS, sound.num_tokens)
    own = processor.apply_chat_template(
        [messages_of(TURNS, samples)], tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    assert list(tokens.ids) == own["input_ids"][0].tolist()
    assert [int(a) for a in tokens.is_answer] == [int(a) for a in own["assistant_masks"][0]]
    assert torch.equal(sound.features_WMT, own["input_features"])
    assert torch.equal(sound.mask_WT, own["input_features_mask"])


def test_only_the_assistants_words_and_their_end_mark_are_answers():
    processor = world.processor()
    tokens = tokenise(processor, TURNS, 5)
    said = processor.tokenizer.decode([i for i, a in zip(tokens.ids, tokens.is_answer, strict=True) if a])
    assert said == "low<|im_end|><think>It is low.</think><answer>low</answer><|im_end|>"


def test_an_open_question_ends_where_the_model_goes_on():
    processor = world.processor()
    tokens = tokenise(processor, (Turn(world.QUESTION, None),), 5)
    assert processor.tokenizer.decode(tokens.ids).endswith("<|im_start|>assistant\n")
    assert not any(tokens.is_answer)


def test_audio_longer_than_the_encoder_window_takes_several():
    sound = hear(world.processor(), world.tone(440, 3.0))
    hearing = world.hearing()
    assert sound.features_WMT.shape[0] == 2
    assert sound.num_tokens == hearing.audio_tokens(48_000) == 37


@pytest.mark.parametrize("num_samples", [641, 1000, 32_000, 32_641, 47_999, 64_000])
def test_tokens_are_counted_as_the_processor_counts_them(num_samples):
    assert hear(world.processor(), world.tone(440, 4.0)[:num_samples]).num_tokens == world.hearing().audio_tokens(
        num_samples
    )


@pytest.mark.parametrize("tail", [1, 320, 321, 640])
def test_a_last_window_of_one_or_two_frames_is_trimmed_where_transformers_would_fail(tail):
    processor, model, samples = world.processor(), world.model(), world.tone(440, 4.0)[: 32_000 + tail]
    question = (Turn(world.QUESTION, None),)
    raw = processor.apply_chat_template([messages_of(question, samples)], tokenize=True, return_dict=True)
    with pytest.raises((IndexError, RuntimeError)):
        model(**raw)
    start, end = world.hearing().window_of(len(samples), "first")
    assert (start, end) == (0, 32_000)
    sound = hear(processor, samples[start:end])
    model(**batch_of(processor, [tokenise(processor, question, sound.num_tokens)], [sound], "left"))


def test_a_tail_of_three_frames_is_kept():
    assert world.hearing().window_of(32_641, "first") == (0, 32_641)


def test_a_track_longer_than_the_model_hears_is_windowed_by_rule():
    hearing = world.hearing()
    assert hearing.window_of(100_000, "first") == (0, 64_000)
    assert hearing.window_of(100_000, "middle") == (18_000, 82_000)
    start, end = hearing.window_of(100_000, "random", world.generator(3))
    assert end - start == 64_000
    assert (start, end) == hearing.window_of(100_000, "random", world.generator(3))
    assert hearing.window_of(100_000, "first", max_samples=16_000) == (0, 16_000)


def test_a_track_too_short_to_hear_is_refused_with_the_remedy():
    with pytest.raises(UserError, match="at least 641 samples"):
        world.hearing().window_of(640, "first")


def test_what_does_not_fit_the_context_is_refused_with_its_numbers():
    hearing = world.hearing()
    assert hearing.fits(900, 100, 22)
    assert not hearing.fits(900, 100, 23)
    with pytest.raises(UserError, match="1024"):
        hearing.require_fit(900, 100, 23)


def asks(think: bool = False) -> list[Ask]:
    sounds = (world.tone(300, 1.0), world.tone(3000, 5.0), world.tone(800, 3.3))
    return [Ask(s, world.QUESTION, world.OPTIONS, think) for s in sounds]


def test_a_song_longer_than_the_context_is_heard_as_far_as_there_is_room_for_an_answer():
    model, processor = world.model(), world.processor()
    listener = Listener(model, processor)
    room = QUESTION_TOKENS + 8 + MARKS
    listener.hearing = replace(listener.hearing, context_tokens=room + 20)
    samples = world.tone(440, 3.0)
    (heard,) = listener.answer([Ask(samples, world.QUESTION, (), False)], max_new_tokens=8, batch_size=1)
    start, end = heard.window_s
    assert listener.hearing.audio_tokens(round((end - start) * listener.sample_rate_hz)) == 20
    assert (start + end) / 2 == pytest.approx(1.5, abs=0.05)
    with pytest.raises(UserError, match="no room for sound"):
        listener.hearing.for_answers(max_new_tokens=28)


def test_answers_do_not_depend_on_the_batch():
    listener = Listener(world.model(), world.processor())
    together = listener.answer(asks(), max_new_tokens=6, batch_size=3)
    alone = listener.answer(asks(), max_new_tokens=6, batch_size=1)
    assert [h.text for h in together] == [h.text for h in alone]
    assert [h.window_s for h in together] == [(0.0, 1.0), (0.5, 4.5), (0.0, 3.3)]


def test_sampled_answers_follow_the_seed_and_leave_the_global_generator_alone():
    listener, before = Listener(world.model(), world.processor()), torch.random.get_rng_state()
    texts = [
        [h.text for h in listener.answer(asks(), max_new_tokens=6, batch_size=3, temperature=1.0, seed=seed)]
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_option_probabilities_are_those_of_the_whole_answer():
    model, processor = world.model(), world.processor()
    listener = Listener(model, processor)
    found = listener.option_probabilities(asks(), batch_size=3)
    assert np.allclose(found, listener.option_probabilities(asks(), batch_size=1), atol=1e-5)
    sound = hear(processor, asks()[0].samples)
    scores = []
    for option in world.OPTIONS:
        tokens = tokenise(processor, (Turn(world.QUESTION, option),), sound.num_tokens)
        with torch.no_grad():
            logits = model(**batch_of(processor, [tokens], [sound], "right")).logits[0].log_softmax(-1)
        spoken = [at for at, answer in enumerate(tokens.is_answer) if answer]
        scores.append(sum(logits[at - 1, tokens.ids[at]].item() for at in spoken))
    assert np.allclose(torch.tensor(scores).softmax(0), found[0], atol=1e-5)
