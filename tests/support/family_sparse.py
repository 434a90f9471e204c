"""A published folder at its true size: shards with the published names and shapes, sparse on disk, and a tokenizer."""

import json
import struct
from math import prod
from pathlib import Path

import torch
from transformers import MusicFlamingoConfig, MusicFlamingoForConditionalGeneration, Qwen2Config

from music_flamingo.model.files import published_names
from music_flamingo.model.members import MEMBERS, MemberName
from support.family_replicas import processor

SHARD_BYTES = 5 * 10**9
VOCABULARY = 151_672


def write_sparse(folder: Path, name: MemberName) -> Path:
    """16.5 GB of bfloat16 zeros that take some kilobytes, a tokenizer of 151,672 words, the member's own template."""
    member = MEMBERS[name]
    made = processor(member, num_words=VOCABULARY)
    made.save_pretrained(folder)
    text = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=3584,
        intermediate_size=18944,
        num_attention_heads=28,
        num_hidden_layers=28,
        num_key_value_heads=4,
        max_position_embeddings=member.text_positions,
        rope_theta=member.text_rope_theta,
        use_cache=False,
    )
    config = MusicFlamingoConfig(
        text_config=text,
        audio_token_id=made.audio_token_id,
        audio_bos_token_id=made.tokenizer.convert_tokens_to_ids("<|sound_bos|>"),
        audio_eos_token_id=made.tokenizer.convert_tokens_to_ids("<|sound_eos|>"),
        dtype="bfloat16",
    )
    with torch.device("meta"):
        model = MusicFlamingoForConditionalGeneration(config)
    names = published_names(model)
    shapes = {names[own]: list(parameter.shape) for own, parameter in model.named_parameters()}
    described = json.loads(config.to_json_string()) | {"architectures": [type(model).__name__]}
    if member.architecture == "audioflamingo3":
        lacking = ("audio_bos_token_id", "audio_eos_token_id", "audio_frame_step", "rope_parameters", "head_dim")
        described = {k: v for k, v in described.items() if k not in lacking} | {"model_type": "audioflamingo3"}
    (folder / "config.json").write_text(json.dumps(described))
    (folder / "generation_config.json").write_text(json.dumps(dict(member.generation)))
    _write_shards(folder, shapes)
    return folder


def _write_shards(folder: Path, shapes: dict[str, list[int]]) -> None:
    shards: list[dict[str, list[int]]] = [{}]
    for name, shape in shapes.items():
        if shards[-1] and 2 * sum(map(prod, (*shards[-1].values(), shape))) > SHARD_BYTES:
            shards.append({})
        shards[-1][name] = shape
    weight_map = {}
    for number, tensors in enumerate(shards, 1):
        file, header, at = folder / f"model-{number:05d}-of-{len(shards):05d}.safetensors", {}, 0
        for name, shape in tensors.items():
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + 2 * prod(shape)]}
            at, weight_map[name] = at + 2 * prod(shape), file.name
        text = json.dumps(header).encode()
        with file.open("wb") as written:
            written.write(struct.pack("<Q", len(text)) + text)
            written.truncate(8 + len(text) + at)
    index = {"metadata": {"total_size": 2 * sum(map(prod, shapes.values()))}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
