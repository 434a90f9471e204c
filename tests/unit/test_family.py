"""The published members: ids as their own processors' own, answers marked, Audio Flamingo 3 with what it is given."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from support.family_replicas import template, write_replica
from transformers import AudioFlamingo3ForConditionalGeneration, AudioFlamingo3Processor, MusicFlamingoProcessor

from music_flamingo.core.errors import UserError
from music_flamingo.model.adoption import adopt_model
from music_flamingo.model.answering import answering_template, in_own_words, own_words, sentence
from music_flamingo.model.chat import Turn, batch_of, hear, messages_of, tokenise
from music_flamingo.model.context import Hearing
from music_flamingo.model.files import load_model, load_processor
from music_flamingo.model.members import MARKS, MEMBERS

WORDS = [
    "the tempo",
    "is it low?",
    "Wie schnell?\n",
    "你好",
    " {{ x }} ",
    "<answer>a</answer>",
    "line\nline",
    '"q"',
    "",
]
NAMES = tuple(MEMBERS)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("published")
    return {name: write_replica(folder / name, name) for name in MEMBERS}


@pytest.fixture(scope="module")
def adopted(published, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adopted")
    for name, source in published.items():
        adopt_model(source, name, folder / name)
    return {name: folder / name for name in published}


def own_processor(source: Path):
    kind = AudioFlamingo3Processor if "audio-flamingo-3" in source.name else MusicFlamingoProcessor
    return kind.from_pretrained(source, local_files_only=True)


def conversations(count: int) -> list[tuple[tuple[Turn, ...], str | None, bool]]:
    """Turns, a system turn or none, and whether words come as strings instead of parts."""
    draw = random.Random(5)

    def words() -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(1, 5)))

    made = []
    for number in range(count):
        turns = [Turn(words(), words()) for _ in range(draw.randint(1, 4))]
        if number % 3 == 0:
            turns[-1] = Turn(turns[-1].question, None)
        made.append((tuple(turns), words() + "!" if number % 2 else None, number % 5 == 0))
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_published_processor_takes_one_sound_a_conversation(published, name):
    """So entries about several recordings are counted, and not taught."""
    samples = np.zeros(16000, np.float32)
    with pytest.raises(ValueError, match="1 text but 2 audios"):
        own_processor(published[name])(text=["<sound>one<sound>other"], audio=[samples, samples])


def as_strings(messages: list[dict]) -> list[dict]:
    """The same, words as strings where a turn has no sound."""
    return [
        {**m, "content": m["content"][0]["text"]} if [p["type"] for p in m["content"]] == ["text"] else m
        for m in messages
    ]


@pytest.mark.parametrize("name", NAMES)
def test_ids_of_200_conversations_are_the_published_processors_own(published, adopted, name):
    theirs, ours = own_processor(published[name]), load_processor(adopted[name])[1]
    marks = set(ours.tokenizer.convert_tokens_to_ids(list(MARKS)))
    samples = np.zeros(16000, np.float32)
    sound = hear(ours, samples)
    for number, (turns, system, is_plain) in enumerate(conversations(200)):
        messages = messages_of(turns, samples, system)
        if is_plain:
            messages = as_strings(messages)
        is_open = turns[-1].answer is None
        text = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=is_open)
        assert text.startswith("<|im_start|>system\n" + (system or MEMBERS[name].system) + "<|im_end|>\n")
        grown = text.replace("<sound>", theirs.replace_audio_token({"num_audio_tokens": [sound.num_tokens]}, 0))
        expected = theirs.tokenizer(grown)["input_ids"]
        if number < 3:  # the features of so many would take a minute
            assert theirs(text=[text], audio=[samples])["input_ids"][0].tolist() == expected
        tokens = tokenise(ours, turns, sound.num_tokens, system=system)
        if MEMBERS[name].architecture == "audioflamingo3":
            assert [i for i in tokens.ids if i not in marks] == expected
        else:
            assert list(tokens.ids) == expected
        said = [ours.tokenizer.decode([i]) for i, a in zip(tokens.ids, tokens.is_answer, strict=True) if a]
        assert said.count("<|im_end|>") == sum(turn.answer is not None for turn in turns)


@pytest.mark.parametrize("name", NAMES)
def test_only_the_assistants_words_and_their_end_are_trained_on(adopted, name):
    processor = load_processor(adopted[name])[1]
    tokens = tokenise(processor, (Turn("Is it low?", "low the"), Turn("Sure?", "<think>the</think>")), 4)
    said = processor.tokenizer.decode([i for i, a in zip(tokens.ids, tokens.is_answer, strict=True) if a])
    assert said == "low the<|im_end|><think>the</think><|im_end|>"


@pytest.mark.parametrize("name", [n for n, m in MEMBERS.items() if m.architecture == "musicflamingo" and not m.think])
def test_a_template_without_words_of_its_own_is_kept_to_the_byte(published, adopted, name):
    kept = (adopted[name] / "model/chat_template.jinja").read_text()
    assert kept == (published[name] / "chat_template.jinja").read_text()


@pytest.mark.parametrize("name", [n for n, m in MEMBERS.items() if m.think])
def test_a_question_to_think_about_is_asked_in_the_words_of_its_training(published, adopted, name):
    processor = load_processor(adopted[name])[1]
    asked = tokenise(processor, (Turn("Is it low?" + sentence(), None),), 3)
    plain = tokenise(processor, (Turn(f"Is it low? {MEMBERS[name].think}", None),), 3)
    assert asked == plain
    # a release of it asks in the same words, once
    processor.chat_template = answering_template(processor.chat_template)
    assert own_words(processor.chat_template) == f" {MEMBERS[name].think}"
    for question in ("Is it low?", "Is it low?" + sentence(), f"Is it low? {MEMBERS[name].think}"):
        assert tokenise(processor, (Turn(question, None),), 3, think=True) == plain


def test_words_of_its_own_reach_strings_and_parts_of_user_turns_alone():
    processor_template = in_own_words(template("S"), "Think!")
    from transformers.utils.chat_template_utils import render_jinja_template

    ask = "Q" + sentence()
    turns = [
        {"role": "user", "content": ask},
        {"role": "assistant", "content": ask},
        {"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": ask}]},
    ]
    (text,), _ = render_jinja_template([turns], chat_template=processor_template)
    assert text.count("Q Think!<|im_end|>") == 2
    assert f"assistant\n{ask}<|im_end|>" in text


@pytest.mark.parametrize("name", NAMES)
def test_each_member_is_heard_as_the_table_says(published, adopted, name):
    member = MEMBERS[name]
    heard = Hearing.read(adopted[name] / "model")
    assert heard == Hearing.of(load_processor(adopted[name])[1], load_processor(adopted[name])[0])
    assert heard.max_audio_s == max(member.max_audio_s, 1200)
    assert heard.context_tokens == member.text_positions
    assert heard.audio_tokens(member.max_audio_s * 16000) == member.audio_tokens
    config = json.loads((adopted[name] / "model/config.json").read_text())
    assert config["text_config"]["rope_parameters"]["rope_theta"] == member.text_rope_theta
    rules = json.loads((adopted[name] / "model/generation_config.json").read_text())
    assert member.generation.items() <= rules.items()


def test_weights_are_links_to_the_published_files(published, adopted):
    for name, source in published.items():
        for file in source.glob("*.safetensors"):
            assert (adopted[name] / "model" / file.name).samefile(file)
    assert all(p.dtype == torch.bfloat16 for p in load_model(adopted["music-flamingo"], torch.bfloat16)[0].parameters())


def test_audio_flamingo_3_is_told_what_it_is_given(published, tmp_path, caplog):
    got = adopt_model(published["audio-flamingo-3"], "audio-flamingo-3", tmp_path)
    assert [line.split()[0] for line in got.added] == ["the", "rotary", "1200"]
    assert all(line in caplog.text for line in got.added)
    assert adopt_model(published["music-flamingo"], "music-flamingo", tmp_path / "other").added == ()


def test_new_marks_have_the_mean_of_all_rows_and_old_rows_stay(published, adopted):
    before = AudioFlamingo3ForConditionalGeneration.from_pretrained(published["audio-flamingo-3"])
    after, processor = load_model(adopted["audio-flamingo-3"], torch.bfloat16)
    for old, new in (
        (before.get_input_embeddings().weight, after.get_input_embeddings().weight),
        (before.lm_head.weight, after.lm_head.weight),
    ):
        assert len(new) == len(old) + 2 == len(processor.tokenizer)
        assert torch.equal(new[: len(old)], old)
        mean = old.double().mean(0).to(torch.bfloat16)
        assert torch.equal(new[len(old)], mean) and torch.equal(new[len(old) + 1], mean)
    assert (processor.audio_bos_token_id, processor.audio_eos_token_id) == (len(old), len(old) + 1)


def test_audio_flamingo_3_answers_as_before_but_for_marks_and_rote(published, adopted, monkeypatch):
    before = AudioFlamingo3ForConditionalGeneration.from_pretrained(published["audio-flamingo-3"], dtype=torch.float32)
    after, processor = load_model(adopted["audio-flamingo-3"], torch.float32)
    samples = np.random.default_rng(0).normal(0, 0.1, 40 * 16000).astype(np.float32)
    sound = hear(processor, samples)
    batch = batch_of(processor, [tokenise(processor, (Turn("Is it low?", None),), sound.num_tokens)], [sound], "left")
    marks = [processor.audio_bos_token_id, processor.audio_eos_token_id]
    unmarked = [i for i in batch["input_ids"][0].tolist() if i not in marks]
    bare = {**batch, "input_ids": torch.tensor([unmarked]), "attention_mask": torch.ones(1, len(unmarked))}
    with torch.no_grad():
        theirs = before.eval()(**bare).logits
        ours = after(**batch).logits
        still = lambda self, times, seq_len: (torch.ones(*times.shape, 2), torch.zeros(*times.shape, 2))  # noqa: E731
        monkeypatch.setattr(type(after.model.pos_emb), "forward", still)
        without = after(**bare).logits
    assert torch.equal(without[..., : theirs.shape[-1]], theirs)
    assert not torch.equal(ours[:, -1, : theirs.shape[-1]], theirs[:, -1])


@pytest.mark.parametrize(
    ("folder", "claimed", "says"),
    [
        ("music-flamingo", "audio-flamingo-next", "text_rope_theta is 1000000.0 where"),
        ("audio-flamingo-3", "music-flamingo", "architecture is 'audioflamingo3' where"),
        ("audio-flamingo-next", "music-flamingo-think", "max_audio_s is 1800 where"),
    ],
)
def test_a_folder_that_is_another_member_is_refused(published, tmp_path, folder, claimed, says):
    with pytest.raises(UserError, match=says):
        adopt_model(published[folder], claimed, tmp_path)


def test_a_member_is_found_by_its_files(published, tmp_path):
    assert adopt_model(published["audio-flamingo-3"], None, tmp_path / "a").member == "audio-flamingo-3"
    assert adopt_model(published["music-flamingo"], None, tmp_path / "b").member == (
        "music-flamingo or music-flamingo-think"
    )
