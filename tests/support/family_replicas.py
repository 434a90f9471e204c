"""The published members as tiny folders: same files, fields, added tokens and templates, random weights.

Written after the rules of transformers' conversion scripts; nothing here uses the code under test but the table of
members. A width of 40 for the encoder keeps RoTE's partial factor of 0.2 whole.
"""

import json
from functools import cache
from pathlib import Path

import torch
from tokenizers import AddedToken
from transformers import (
    AudioFlamingo3Config,
    AudioFlamingo3EncoderConfig,
    AudioFlamingo3ForConditionalGeneration,
    AudioFlamingo3Processor,
    GenerationConfig,
    MusicFlamingoConfig,
    MusicFlamingoForConditionalGeneration,
    MusicFlamingoProcessor,
    Qwen2Config,
    Qwen2Tokenizer,
    WhisperFeatureExtractor,
)

from music_flamingo.model.members import MEMBERS, FamilyMember, MemberName

QWEN = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>"),
    *("<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"),
    *("<|image_pad|>", "<|video_pad|>"),
)
"""Special tokens of Qwen2.5, in its order, behind the words of the vocabulary."""
QWEN_PLAIN = (
    *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"),
    *("<|repo_name|>", "<|file_sep|>"),
)
"""Tokens of Qwen2.5 that decoding keeps."""
# the last seven of 151,672: the audio token is the fifth (151,669) in AF3, the third (151,667) in Music Flamingo
AF3_TOKENS = ("<|sentinel|>", "<image>", "<video>", "<speech>", "<sound>", "[BOS]", "[PAD]")
MF_TOKENS = ("<|sentinel|>", "<speech>", "<sound>", "<|sound_bos|>", "<|sound_eos|>", "[BOS]", "[PAD]")

WINDOW_S = 30
MEL_BINS = 16
HOP = 160


def template(system: str) -> str:
    """The conversion scripts' rule for a processor's chat template: a system turn unless one is brought, every turn
    between marks, the sound before all of a turn's words."""
    return (
        "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n" + system + "<|im_end|>\n{% endif %}"
        "{% for turn in messages if turn['content'] is not none %}<|im_start|>{{ turn['role'] }}\n"
        "{% if turn['content'] is string %}{{ turn['content'] }}{% else %}"
        "{% set seen = namespace(sound=False, words='') %}{% for part in turn['content'] %}"
        "{% if part.get('type') == 'audio' or 'audio' in part %}{% set seen.sound = True %}"
        "{% elif part.get('type') == 'text' or 'text' in part %}{% set seen.words = seen.words + part['text'] %}"
        "{% endif %}{% endfor %}{% if seen.sound %}{{ '<sound>' }}{% endif %}{{ seen.words }}{% endif %}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


@cache
def _bytes() -> dict[str, int]:
    from tokenizers.pre_tokenizers import ByteLevel

    return {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}


MERGES = [("t", "h"), ("th", "e"), ("Ġ", "t"), ("i", "n"), ("e", "r"), ("l", "o"), ("lo", "w"), ("h", "i"), ("Ġ", "lo")]


def tokenizer(member: FamilyMember, num_words: int = 0) -> Qwen2Tokenizer:
    """Qwen2's, with a few merges and the tokens that the family adds; of `num_words` in all, where that is more."""
    vocabulary = dict(_bytes())
    for left, right in MERGES:
        vocabulary[left + right] = len(vocabulary)
    added = AF3_TOKENS if member.architecture == "audioflamingo3" else MF_TOKENS
    for number in range(num_words - len(vocabulary) - len(QWEN) - len(QWEN_PLAIN) - len(added)):
        vocabulary[f"word-{number}"] = len(vocabulary)
    made = Qwen2Tokenizer(vocab=vocabulary, merges=list(MERGES))
    made.add_tokens([AddedToken(t, special=True, normalized=False) for t in QWEN])
    made.add_tokens([AddedToken(t, special=False, normalized=False) for t in QWEN_PLAIN])
    made.add_tokens([AddedToken(t, special=True, normalized=False) for t in added])
    made.bos_token, made.eos_token, made.pad_token = "[BOS]", "<|im_end|>", "[PAD]"
    made.model_max_length = 131_072 if member.text_positions > 100_000 else 32_768
    made.chat_template = "{{ messages }}"
    return made


def processor(member: FamilyMember, num_words: int = 0):
    extractor = WhisperFeatureExtractor(feature_size=MEL_BINS, return_attention_mask=True, hop_length=HOP)
    if member.architecture == "audioflamingo3":
        return AudioFlamingo3Processor(extractor, tokenizer(member, num_words), chat_template=template(member.system))
    return MusicFlamingoProcessor(
        extractor, tokenizer(member, num_words), chat_template=template(member.system), max_audio_len=member.max_audio_s
    )


def model(member: FamilyMember, made, seed: int = 0, width: int = 32):
    """Random weights in bfloat16, the configuration's fields as published. `width`: of the language model."""
    words = made.tokenizer
    text = Qwen2Config(
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=2 * width,
        num_attention_heads=4,
        num_hidden_layers=2,
        num_key_value_heads=2,
        model_max_length=member.text_positions,
        max_position_embeddings=member.text_positions,
        rope_theta=member.text_rope_theta,
        use_cache=False,
        initializer_range=0.08,
    )
    audio = AudioFlamingo3EncoderConfig(
        num_mel_bins=MEL_BINS,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_size=40,
        max_source_positions=WINDOW_S * 16000 // HOP // 2,
        initializer_range=0.08,
    )
    common = {"audio_config": audio, "text_config": text, "audio_token_id": made.audio_token_id}
    torch.manual_seed(seed)
    if member.architecture == "audioflamingo3":
        built = AudioFlamingo3ForConditionalGeneration(AudioFlamingo3Config(**common))
    else:
        marks = {"audio_bos_token_id": made.audio_bos_token_id, "audio_eos_token_id": made.audio_eos_token_id}
        built = MusicFlamingoForConditionalGeneration(MusicFlamingoConfig(**common, **marks))
    return built.to(torch.bfloat16).eval()


def write_replica(folder: Path, name: MemberName, seed: int = 0, shard_size: str = "40KB", width: int = 32) -> Path:
    """`folder` as the member is published: configuration, processor, template, sharded weights with their index."""
    member = MEMBERS[name]
    made = processor(member)
    made.save_pretrained(folder)
    built = model(member, made, seed, width)
    ids = {"bos_token_id": made.tokenizer.bos_token_id, "pad_token_id": made.tokenizer.pad_token_id}
    built.generation_config = GenerationConfig(eos_token_id=made.tokenizer.eos_token_id, **ids, **member.generation)
    built.save_pretrained(folder, max_shard_size=shard_size)
    assert (folder / "model.safetensors.index.json").is_file()
    assert json.loads((folder / "config.json").read_text())["model_type"] == member.architecture
    return folder
