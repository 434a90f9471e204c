"""The rules of answering in a release's own files: its chat template and its generation config."""

import json
from pathlib import Path

import pytest
from support.listening import heard_well, make_release, save_tiny
from transformers import GenerationConfig

from music_flamingo.model.answering import answering_template, asks_to_think, sentence
from music_flamingo.model.chat import CHAT_TEMPLATE, Turn, tokenise
from music_flamingo.model.files import load_processor
from music_flamingo.prompts import render_question

QUESTIONS = [
    "Are drums heard in this music, yes or no?",
    "Is it \"major\" or 'minor'?\nSay {{ which }}.",
    "Wie schnell ist es? 你好",
    *(f"Question {number}: how many beats are there in a bar?" for number in range(50)),
]


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    return make_release(tmp_path_factory.mktemp("answering"), *heard_well())


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The processor as training has it."""
    folder = tmp_path_factory.mktemp("plain")
    save_tiny(folder)
    return load_processor(folder)[1]


def test_the_sentence_is_the_one_that_training_puts_after_a_question():
    assert render_question("Q?", (), think=True) == "Q?" + sentence()


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_bare_question_reads_on_any_server_as_the_model_was_trained_on_it(release, plain, question):
    released = load_processor(release)[1]
    trained = tokenise(plain, (Turn(render_question(question, (), think=True), None),), 7)
    assert tokenise(released, (Turn(question, None),), 7, think=True) == trained
    # as vLLM does it: the template alone, with nothing said of thinking
    parts = [{"type": "audio"}, {"type": "text", "text": question}]
    text = released.tokenizer.apply_chat_template(
        [{"role": "user", "content": parts}],
        chat_template=released.chat_template,
        tokenize=False,
        add_generation_prompt=True,
    )
    assert text == f"<|im_start|>user\n<sound>{question}{sentence()}<|im_end|>\n<|im_start|>assistant\n"


def test_a_request_can_ask_for_a_plain_answer(release, plain):
    released = load_processor(release)[1]
    assert tokenise(released, (Turn("Q?", None),), 7, think=False) == tokenise(plain, (Turn("Q?", None),), 7)


def test_words_that_ask_to_think_already_are_not_asked_twice(release):
    released = load_processor(release)[1]
    asked = Turn(f"Q?{sentence()}", None)
    assert tokenise(released, (asked,), 7, think=True) == tokenise(released, (asked,), 7, think=False)


def test_only_the_last_question_of_a_conversation_asks_to_think(release, plain):
    released = load_processor(release)[1]
    turns = (Turn("First?", "yes"), Turn("Second?", None))
    trained = (Turn("First?", "yes"), Turn("Second?" + sentence(), None))
    assert tokenise(released, turns, 7, think=True) == tokenise(plain, trained, 7)


def test_training_prompts_do_not_know_of_the_rule(plain):
    assert not asks_to_think(plain.chat_template)
    assert tokenise(plain, (Turn("Q?", None),), 7, think=True) == tokenise(plain, (Turn("Q?", None),), 7)


def test_a_template_that_asks_is_not_changed_again():
    once = answering_template(CHAT_TEMPLATE)
    assert answering_template(once) == once


def test_a_release_says_how_answers_are_generated(release):
    rules = json.loads((release / "model/generation_config.json").read_text())
    info = json.loads((release / "release.json").read_text())
    processor = load_processor(release)[1]
    assert rules["temperature"] == 0.0 and rules["do_sample"] is False
    assert rules["max_new_tokens"] == info["max_new_tokens"]
    assert set(processor.audio_token_ids) <= set(rules["suppress_tokens"])
    assert rules["eos_token_id"] == processor.tokenizer.eos_token_id
    assert GenerationConfig.from_pretrained(release / "model").max_new_tokens == info["max_new_tokens"]
