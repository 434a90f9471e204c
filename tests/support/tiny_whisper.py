"""A Whisper checkpoint of the published layout with random weights, small enough to be made on the spot."""

from pathlib import Path

import torch
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

SPECIAL = ("endoftext", "startoftranscript", "en", "de", "translate", "transcribe", "startoflm", "startofprev")
SPECIAL += ("nospeech", "notimestamps")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def save(folder: Path, aligns: bool = True) -> None:
    """`aligns`: whether heads are named that place words in time."""
    torch.manual_seed(3)
    pieces = [*LETTERS, *(f"\u0120{letter}" for letter in LETTERS)]
    tokenizer = WhisperTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[])
    names = [f"<|{name}|>" for name in SPECIAL] + [f"<|{i * 0.02:.2f}|>" for i in range(1501)]
    tokenizer.add_tokens(names, special_tokens=True)
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in SPECIAL}
    ends = {"eos_token_id": ids["endoftext"], "bos_token_id": ids["endoftext"], "pad_token_id": ids["endoftext"]}
    ends["decoder_start_token_id"] = ids["startoftranscript"]
    sizes = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        max_target_positions=64,
        **sizes,
        **ends,
    )
    generation = GenerationConfig(max_length=48, **ends)
    generation.no_timestamps_token_id = ids["notimestamps"]
    generation.lang_to_id = {"<|en|>": ids["en"], "<|de|>": ids["de"]}
    generation.task_to_id = {"transcribe": ids["transcribe"], "translate": ids["translate"]}
    generation.is_multilingual = True
    generation.prev_sot_token_id = ids["startofprev"]
    generation.max_initial_timestamp_index = 50
    if aligns:
        generation.alignment_heads = [[0, 0], [0, 1]]
    model = WhisperForConditionalGeneration(config).eval()
    model.generation_config = generation
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(feature_size=80), tokenizer).save_pretrained(folder)
