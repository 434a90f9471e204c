"""The tiny model is transformers' own, and what it lacks is really there: tags, positions, rotary time, safe files."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from support import tiny_world as world

from music_flamingo.core.errors import CorruptDataError, MissingInputError
from music_flamingo.model.chat import Turn, audio_of, batch_of, hear, messages_of, tokenise
from music_flamingo.model.embed import embed
from music_flamingo.model.files import load_model, save_model
from music_flamingo.model.tiny import build_model, build_tokenizer, sinusoids
from music_flamingo.scoring.extract import TAGS


def test_tags_are_single_tokens_that_decoding_keeps():
    tokenizer = world.processor().tokenizer
    ids = tokenizer("<think>low</think><answer>low</answer>", add_special_tokens=False)["input_ids"]
    assert [tokenizer.convert_ids_to_tokens(i) for i in ids if tokenizer.decode([i]) in TAGS] == list(TAGS)
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<think>low</think><answer>low</answer>"


def test_a_word_of_a_closed_answer_is_one_token():
    tokenizer = world.processor().tokenizer
    assert all(len(tokenizer(word, add_special_tokens=False)["input_ids"]) == 1 for word in world.OPTIONS)


def test_the_tokenizer_is_the_same_every_time():
    first, second = (build_tokenizer(world.CORPUS, 512).backend_tokenizer.to_str() for _ in range(2))
    assert first == second


def test_any_text_survives_the_tokenizer():
    tokenizer = world.processor().tokenizer
    text = "二泉映月 ♯4 – naïve\n\t<|nothing|>"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_weights_follow_the_seed_and_leave_the_global_generator_alone():
    before = torch.random.get_rng_state()
    first, again, other = (build_model(world.processor(), world.SIZE, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)


def test_the_frozen_positions_of_the_encoder_are_sinusoids():
    positions = world.model().model.audio_tower.embed_positions.weight
    assert torch.equal(positions, sinusoids(*positions.shape))
    assert positions[3, 0].item() == pytest.approx(math.sin(3.0))


def test_rotary_time_matches_a_plain_rewrite():
    """cos and sin of -2 pi t (window index, frame index) f, f = theta^(-2k/d), as the published checkpoint has it."""
    rotary = world.model().model.pos_emb
    seq_len, config = 25, rotary.config
    frame_s = 4 * config.audio_frame_step
    seconds = np.arange(2)[:, None] * seq_len * frame_s + np.arange(seq_len) * frame_s
    head = (
        config.hidden_size // config.num_attention_heads if not getattr(config, "head_dim", None) else config.head_dim
    )
    width = int(head * 0.2)
    f = 1200.0 ** (-np.arange(0, width, 2) / width)
    windows = np.round(seconds[:, 0] / (frame_s * seq_len)) / rotary.max_seq_len_cached
    frames = np.arange(seq_len) / rotary.max_seq_len_cached * 2 * np.pi
    by_window = np.repeat(windows[:, None] * f, 2, axis=1)[:, None, :].repeat(seq_len, axis=1)
    by_frame = np.repeat(frames[:, None] * f, 2, axis=1)[None].repeat(2, axis=0)
    angle = np.concatenate([by_window, by_frame], axis=-1) * (-seconds * 2 * np.pi)[..., None]
    cos, sin = rotary(torch.tensor(seconds, dtype=torch.float32), seq_len)
    np.testing.assert_allclose(cos, np.cos(angle), atol=1e-4)
    np.testing.assert_allclose(sin, np.sin(angle), atol=1e-4)


def test_the_same_sound_later_in_a_track_is_embedded_otherwise():
    once = world.tone(440, 2.0)
    sound = hear(world.processor(), np.concatenate([once, once]))
    tokens = tokenise(world.processor(), (Turn(world.QUESTION, None),), sound.num_tokens)
    model = world.model()
    with torch.no_grad():
        heard = model.get_audio_features(**audio_of([sound]), input_ids=torch.tensor([tokens.ids])).pooler_output
    first, second = heard.split(len(heard) // 2)
    assert torch.equal(sound.features_WMT[0], sound.features_WMT[1]), "two windows of one sound"
    assert (first - second).abs().max() > 1e-3, "told apart by time alone"


def test_embedding_each_sound_once_gives_the_models_own_logits():
    processor, model = world.processor(), world.model()
    sounds = [hear(processor, world.tone(300, 1.0)), hear(processor, world.tone(3000, 3.1))]
    heard = [1, 0, 1, 1]
    tokens = [tokenise(processor, (Turn(world.QUESTION, None),), sounds[n].num_tokens) for n in heard]
    batch = batch_of(processor, tokens, [sounds[n] for n in heard], padding_side="left")
    with torch.no_grad():
        own = model(**batch).logits
        shared = model(
            inputs_embeds=embed(model, batch["input_ids"], sounds, heard), attention_mask=batch["attention_mask"]
        ).logits
    inside = batch["attention_mask"].bool()
    torch.testing.assert_close(shared[inside], own[inside], atol=1e-5, rtol=1e-4)


def test_a_saved_model_comes_back_with_the_same_logits_and_says_nothing_of_its_place(tmp_path):
    processor, model = world.processor(), world.model()
    save_model(model, processor, tmp_path / "here")
    loaded, loaded_processor = load_model(tmp_path / "here")
    save_model(loaded, loaded_processor, tmp_path / "there")
    sound = hear(loaded_processor, world.tone(440, 1.0))
    tokens = tokenise(loaded_processor, (Turn(world.QUESTION, "low"),), sound.num_tokens)
    batch = batch_of(processor, [tokens], [sound], padding_side="right")
    with torch.no_grad():
        assert torch.equal(model(**batch).logits, loaded(**batch).logits)
    for name in ("here", "there"):
        for file in (tmp_path / name / "model").glob("*.json"):
            assert str(tmp_path) not in file.read_text(), file.name
    digests = [sorted(f.read_bytes() for f in (tmp_path / n / "model").iterdir()) for n in ("here", "there")]
    assert digests[0] == digests[1]


def test_pickles_are_refused(tmp_path):
    save_model(world.model(), world.processor(), tmp_path)
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(CorruptDataError, match="pickle"):
        load_model(tmp_path)


def test_a_folder_without_safetensors_is_no_model(tmp_path):
    save_model(world.model(), world.processor(), tmp_path)
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(MissingInputError, match="safetensors"):
        load_model(tmp_path)


def test_the_chat_template_is_the_processors_own(tmp_path):
    save_model(world.model(), world.processor(), tmp_path)
    shutil.rmtree(tmp_path / "elsewhere", ignore_errors=True)
    _, processor = load_model(tmp_path)
    conversation = messages_of((Turn(world.QUESTION, "low"),), world.tone(440, 1.0))
    text = processor.apply_chat_template(conversation, tokenize=False)
    assert text == f"<|im_start|>user\n<sound>{world.QUESTION}<|im_end|>\n<|im_start|>assistant\nlow<|im_end|>\n"
    assert json.loads((tmp_path / "model" / "processor_config.json").read_text())["max_audio_len"] == 4
