"""A tiny MusicFlamingo from scratch: transformers' own classes, a byte-level BPE tokenizer trained on given text.

B batch, M mel bins, T mel frames (`hop` samples each), D width.
"""

import math
from collections.abc import Iterable

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AudioFlamingo3EncoderConfig,
    MusicFlamingoConfig,
    MusicFlamingoForConditionalGeneration,
    MusicFlamingoProcessor,
    PreTrainedTokenizerFast,
    Qwen2Config,
    WhisperFeatureExtractor,
)

from music_flamingo.model.chat import CHAT_TEMPLATE
from music_flamingo.model.size import TinySize
from music_flamingo.scoring.extract import TAGS

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
AUDIO, AUDIO_START, AUDIO_END = "<sound>", "<|sound_bos|>", "<|sound_eos|>"
SPECIAL_TOKENS = [END_OF_TEXT, TURN_START, TURN_END, AUDIO, AUDIO_START, AUDIO_END]

ROTE_THETA = 1200
ROTE_PARTIAL_FACTOR = 0.2
"""Rotary time embeddings as in the published checkpoint's configuration."""


def build_tokenizer(corpus: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE. The think and answer tags are one token each and not special, so that decoding keeps them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(TAGS),
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[TURN_START, AUDIO, AUDIO_START, AUDIO_END],
        model_max_length=1_000_000,
        clean_up_tokenization_spaces=False,
    )
    fast.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    return fast


def build_processor(tokenizer: PreTrainedTokenizerFast, size: TinySize, sample_rate_hz: int) -> MusicFlamingoProcessor:
    """Build the processor: a Whisper feature extractor at `sample_rate_hz` joined with the tokenizer."""
    extractor = WhisperFeatureExtractor(
        feature_size=size.mel_bins,
        sampling_rate=sample_rate_hz,
        chunk_length=size.window_s,
        n_fft=size.fft_samples,
        hop_length=size.hop_samples,
        return_attention_mask=True,
    )
    return MusicFlamingoProcessor(
        feature_extractor=extractor, tokenizer=tokenizer, chat_template=CHAT_TEMPLATE, max_audio_len=size.max_audio_s
    )


def build_model(processor: MusicFlamingoProcessor, size: TinySize, seed: int) -> MusicFlamingoForConditionalGeneration:
    """The model with random weights drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MusicFlamingoForConditionalGeneration(_config(processor, size))
    with torch.no_grad():
        # the encoder's positions are frozen; transformers draws them at random, Whisper's are sinusoids
        positions_TD = model.model.audio_tower.embed_positions.weight
        positions_TD.copy_(sinusoids(*positions_TD.shape))
    generation = model.generation_config
    generation.bos_token_id = None
    generation.eos_token_id = processor.tokenizer.eos_token_id
    generation.pad_token_id = processor.tokenizer.pad_token_id
    generation.suppress_tokens = list(processor.audio_token_ids)
    return model.eval()


def _config(processor: MusicFlamingoProcessor, size: TinySize) -> MusicFlamingoConfig:
    tokenizer, extractor = processor.tokenizer, processor.feature_extractor
    audio = AudioFlamingo3EncoderConfig(
        num_mel_bins=size.mel_bins,
        num_hidden_layers=size.encoder_layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.width,
        hidden_size=size.width,
        max_source_positions=extractor.nb_max_frames // 2,
        initializer_range=size.init_std,
    )
    text = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=size.feed_forward,
        num_hidden_layers=size.language_layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_value_heads,
        max_position_embeddings=size.context_tokens,
        initializer_range=size.init_std,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return MusicFlamingoConfig(
        audio_config=audio,
        text_config=text,
        audio_token_id=processor.audio_token_id,
        audio_bos_token_id=processor.audio_bos_token_id,
        audio_eos_token_id=processor.audio_eos_token_id,
        audio_frame_step=extractor.hop_length / extractor.sampling_rate,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": ROTE_THETA,
            "partial_rotary_factor": ROTE_PARTIAL_FACTOR,
        },
    )


def sinusoids(length: int, width: int, max_timescale: float = 10000.0) -> torch.Tensor:
    """Whisper's positions: (length, width), sines then cosines."""
    step = math.log(max_timescale) / (width // 2 - 1)
    inverse = torch.exp(-step * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * inverse[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)
