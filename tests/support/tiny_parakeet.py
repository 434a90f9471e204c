"""Parakeet checkpoints of the real layout, made on the spot: a small song language of six words, each a pitch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    ParakeetCTCConfig,
    ParakeetFeatureExtractor,
    ParakeetForCTC,
    ParakeetForTDT,
    ParakeetProcessor,
    ParakeetTDTConfig,
)
from transformers.models.parakeet.tokenization_parakeet import ParakeetTokenizer

RATE_HZ = 16000
WORDS = ("la", "lo", "mi", "so", "sky", "sea")
WORD_S = 0.4
ENCODER = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "subsampling_conv_channels": 8,
    "num_mel_bins": 40,
    "initializer_range": 0.1,
    **dict.fromkeys(("dropout", "dropout_positions", "layerdrop", "activation_dropout", "attention_dropout"), 0.0),
}


def sing(
    words: Sequence[str], rests_s: Sequence[float], rng: np.random.Generator, rate_hz: int = RATE_HZ
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Samples, and (start_s, end_s) of each word; `rests_s` has the rest before each word and the one at the end."""
    pieces, times, at_s = [], [], 0.0
    for word, rest_s in zip([None, *words], rests_s, strict=True):
        if word is not None:
            t = np.arange(round(WORD_S * rate_hz)) / rate_hz
            ramp = np.minimum(1, np.minimum(t, t[::-1]) / 0.02)
            pieces.append(0.3 * np.sin(2 * np.pi * 400 * 1.5 ** WORDS.index(word) * t) * ramp)
            times.append((at_s, at_s + WORD_S))
            at_s += WORD_S
        pieces.append(np.zeros(round(rest_s * rate_hz)))
        at_s += rest_s
    clean = np.concatenate(pieces)
    return (clean + rng.normal(0, 1e-3, len(clean))).astype("f4"), times


def song(num_words: int, seed: int, rate_hz: int = RATE_HZ) -> tuple[np.ndarray, list[str], list[tuple[float, float]]]:
    rng = np.random.default_rng(seed)
    words = [str(w) for w in rng.choice(WORDS, num_words)]
    samples, times = sing(words, rng.uniform(0.2, 0.6, num_words + 1), rng, rate_hz)
    return samples, words, times


def tokenizer(*, blank: bool) -> ParakeetTokenizer:
    vocabulary = {"<unk>": 0, "<pad>": 1} | {f"\u2581{word}": 2 + i for i, word in enumerate(WORDS)}
    # pieces of words and punctuation, as in the published vocabularies
    vocabulary |= {piece: len(vocabulary) + i for i, piece in enumerate((",", ".", "ia"))}
    model = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    model.pre_tokenizer, model.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    made = ParakeetTokenizer(tokenizer_object=model, unk_token="<unk>", pad_token="<pad>")
    if blank:
        made.add_tokens(["<blank>"], special_tokens=True)
    return made


def save_trained_ctc(folder: Path, steps: int = 160) -> None:
    """A CTC checkpoint that knows its six words; about ten CPU-seconds. On one thread: another number of them adds in
    another order, and trains another model."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _train_ctc(folder, steps)
    finally:
        torch.set_num_threads(threads)


def _train_ctc(folder: Path, steps: int) -> None:
    torch.manual_seed(0)
    words = tokenizer(blank=False)
    config = ParakeetCTCConfig(
        vocab_size=len(words), pad_token_id=words.pad_token_id, encoder_config=ENCODER, ctc_loss_reduction="mean"
    )
    model = ParakeetForCTC(config)
    processor = ParakeetProcessor(ParakeetFeatureExtractor(feature_size=40), words, decoder_type="ctc")
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: min(1.0, (s + 1) / 20, (steps - s) / (0.4 * steps)))
    for step in range(steps):
        optimiser.zero_grad()
        model(**_batch(processor, step)).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        rate.step()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _batch(processor: ParakeetProcessor, step: int, size: int = 8) -> dict[str, Any]:
    rng = np.random.default_rng(step)
    songs = [song(int(rng.integers(2, 6)), seed=1000 * step + i) for i in range(size)]
    ids = [processor.tokenizer(" ".join(words), add_special_tokens=False).input_ids for _, words, _ in songs]
    width = max(map(len, ids))
    labels = torch.tensor([row + [processor.tokenizer.pad_token_id] * (width - len(row)) for row in ids])
    return {**processor([s for s, _, _ in songs], sampling_rate=RATE_HZ), "labels": labels}


def save_random_tdt(folder: Path, seed: int = 1) -> None:
    """A TDT checkpoint with random weights: what it hears is nonsense, but of the real form."""
    torch.manual_seed(seed)
    words = tokenizer(blank=True)
    blank = words.convert_tokens_to_ids("<blank>")
    config = ParakeetTDTConfig(
        vocab_size=len(words),
        decoder_hidden_size=16,
        num_decoder_layers=1,
        pad_token_id=words.pad_token_id,
        blank_token_id=blank,
        encoder_config=ENCODER | {"initializer_range": 0.6},
        initializer_range=0.6,
    )
    model = ParakeetForTDT(config)
    model.generation_config.decoder_start_token_id = blank
    model.generation_config.suppress_tokens = list(range(len(words), len(words) + len(config.durations)))
    model.save_pretrained(folder)
    processor = ParakeetProcessor(ParakeetFeatureExtractor(feature_size=40), words, decoder_type="tdt")
    processor.save_pretrained(folder)
