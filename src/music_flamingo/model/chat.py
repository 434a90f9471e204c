"""Model inputs: conversations to token ids, samples to log-mel windows, and both to batches.

B batch, L tokens, W encoder windows (of all samples of a batch together), M mel bins, T mel frames.
Text is tokenised with one audio mark, which then grows to as many audio tokens as the sound has: the ids equal the
processor's own (a test holds them together), and neither text nor sound is worked on twice. Any chat template will do:
the assistant's words are found in what it renders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
import torch
from transformers import MusicFlamingoProcessor

from music_flamingo.core.errors import UserError
from music_flamingo.model.answering import asks_to_think
from music_flamingo.vllm_plugin.windowing import SoundWindows, audio_tokens

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}"
    "{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{{ '<|im_end|>' }}"
    "{% endgeneration %}"
    "{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'audio' %}{{ '<sound>' }}{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{{ '<|im_end|>' }}"
    "{% endif %}"
    "{{ '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Qwen's chat form, sound before words; of models from scratch. Published ones keep their own."""

IGNORED = -100
"""The label of a token that is not trained on."""


@dataclass(frozen=True)
class Turn:
    """A question and its answer; None where the model is to answer."""

    question: str
    answer: str | None


@dataclass(frozen=True)
class EncoderAudio:
    """A segment of audio as the encoder takes it."""

    features_WMT: torch.Tensor
    mask_WT: torch.Tensor
    num_tokens: int


@dataclass(frozen=True)
class ChatTokens:
    """A conversation about one sound. `is_answer` marks the assistant's words and the mark that ends each turn."""

    ids: tuple[int, ...]
    is_answer: tuple[bool, ...]
    apart_from: tuple[int, ...] = ()
    """Where questions begin that see the sound and not each other; empty for a conversation."""


def hear(processor: MusicFlamingoProcessor, samples: np.ndarray) -> EncoderAudio:
    """Log-mel windows of float32 mono samples at the processor's rate, exactly as the processor gives them."""
    # its call wants a text too, and half of the time would go into audio marks: the extractor alone, window by window
    extractor, windows = processor.feature_extractor, SoundWindows.of(processor, {})
    heard = samples[: windows.max_samples]
    out = extractor(
        [heard[start:end] for start, end in windows.chunks(len(heard))],
        sampling_rate=extractor.sampling_rate,
        return_attention_mask=True,
        return_tensors="pt",
    )
    mask_WT = out["attention_mask"]
    return EncoderAudio(out["input_features"], mask_WT, audio_tokens(int(mask_WT.sum())))


def messages_of(
    turns: Sequence[Turn], samples: np.ndarray | None = None, system: str | None = None, sound_at: int = 0
) -> list[dict]:
    """The conversation in chat form; the sound goes with the question of turn `sound_at`."""
    messages: list[dict] = [{"role": "system", "content": [{"type": "text", "text": system}]}] if system else []
    for number, turn in enumerate(turns):
        parts: list[dict] = [{"type": "text", "text": turn.question}]
        if number == sound_at:
            parts.insert(0, {"type": "audio", "audio": samples})
        messages.append({"role": "user", "content": parts})
        if turn.answer is not None:
            messages.append({"role": "assistant", "content": [{"type": "text", "text": turn.answer}]})
    return messages


def tokenise(
    processor: MusicFlamingoProcessor,
    turns: Sequence[Turn],
    num_audio_tokens: int,
    think: bool = False,
    system: str | None = None,
    sound_at: int = 0,
) -> ChatTokens:
    """Token ids of a conversation; with a last turn that lacks its answer, up to where the model goes on.

    `think`: ask for thinking by the template of a release (`model.answering`); other templates do not know how.
    """
    ids, is_answer = _tokenise_text(processor, tuple(turns), think, system, sound_at)
    at = ids.index(processor.audio_token_id)
    sound = (
        processor.audio_bos_token_id,
        *(processor.audio_token_id,) * num_audio_tokens,
        processor.audio_eos_token_id,
    )
    return ChatTokens(
        ids=(*ids[:at], *sound, *ids[at + 1 :]),
        is_answer=(*is_answer[:at], *(False,) * len(sound), *is_answer[at + 1 :]),
    )


def tokenise_apart(processor: MusicFlamingoProcessor, turns: Sequence[Turn], num_audio_tokens: int) -> ChatTokens:
    """One sound, then each turn as it would follow if it were the only one."""
    alone = [tokenise(processor, (turn,), num_audio_tokens) for turn in turns]
    # up to the mark that ends the sound, all of them are the same
    shared = alone[0].ids.index(processor.audio_eos_token_id) + 1
    lengths = [len(tokens.ids) - shared for tokens in alone]
    return ChatTokens(
        ids=(*alone[0].ids[:shared], *(i for tokens in alone for i in tokens.ids[shared:])),
        is_answer=(*alone[0].is_answer[:shared], *(a for tokens in alone for a in tokens.is_answer[shared:])),
        apart_from=tuple(accumulate(lengths[:-1], initial=shared)),
    )


@lru_cache(maxsize=4096)
def _tokenise_text(
    processor: MusicFlamingoProcessor, turns: tuple[Turn, ...], think: bool, system: str | None, sound_at: int
) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    messages = messages_of(turns, system=system, sound_at=sound_at)
    text = _rendered(processor, messages, think, is_open=turns[-1].answer is None)
    encoded = processor.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    spans = _answer_spans(processor, messages, text)
    is_answer = (any(start < last and first < end for start, end in spans) for first, last in encoded["offset_mapping"])
    return tuple(encoded["input_ids"]), tuple(is_answer)


def _rendered(processor: MusicFlamingoProcessor, messages: Sequence[dict], think: bool, is_open: bool) -> str:
    rule = {"enable_thinking": think} if asks_to_think(processor.chat_template or "") else {}
    text: str = processor.tokenizer.apply_chat_template(
        messages, chat_template=processor.chat_template, add_generation_prompt=is_open, tokenize=False, **rule
    )
    return text


def _answer_spans(processor: MusicFlamingoProcessor, messages: Sequence[dict], text: str) -> list[tuple[int, int]]:
    """Where the assistant's words stand in a rendered conversation, with the mark that ends each turn, in characters.

    They begin where the model would go on after the messages before them. No template has to mark them.
    """
    spans, mark = [], processor.tokenizer.eos_token
    for at, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = _rendered(processor, messages[:at], think=False, is_open=True)
        said = message["content"][0]["text"]
        if not text.startswith(before + said + mark):
            raise UserError(
                "the model's chat template changes what the assistant said, or does not end it with "
                f"{mark}: nothing can be trained on. Give a template that renders {said[:80]!r} as it is."
            )
        spans.append((len(before), len(before + said + mark)))
    return spans


def batch_of(
    processor: MusicFlamingoProcessor, tokens: Sequence[ChatTokens], sounds: Sequence[EncoderAudio], padding_side: str
) -> dict[str, torch.Tensor]:
    """input_ids, attention_mask (B, L), input_features (W, M, T), input_features_mask (W, T)."""
    longest = max(len(t.ids) for t in tokens)
    pad_id = processor.tokenizer.pad_token_id
    return {
        "input_ids": torch.tensor([pad(t.ids, longest, pad_id, padding_side) for t in tokens]),
        "attention_mask": torch.tensor([pad((1,) * len(t.ids), longest, 0, padding_side) for t in tokens]),
        **audio_of(sounds),
    }


def audio_of(sounds: Sequence[EncoderAudio]) -> dict[str, torch.Tensor]:
    """The sounds of a batch, one for each conversation, as the model's keyword arguments."""
    return {
        "input_features": torch.cat([s.features_WMT for s in sounds]),
        "input_features_mask": torch.cat([s.mask_WT for s in sounds]),
    }


def placed(batch: Mapping[str, torch.Tensor], model) -> dict[str, torch.Tensor]:
    """The batch where the model lies, sound in the dtype of its weights."""
    return {
        name: value.to(model.device, model.dtype if value.is_floating_point() else value.dtype)
        for name, value in batch.items()
    }


def pad(values: Sequence, length: int, filler, side: str) -> list:
    """Pad a sequence to `length` with `filler` on the given side ("left" or "right")."""
    padding = [filler] * (length - len(values))
    return padding + list(values) if side == "left" else list(values) + padding
