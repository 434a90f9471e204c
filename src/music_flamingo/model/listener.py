"""Inference wrapper shared by evaluation, reasoning and serving."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from music_flamingo.audio.windows import Rule
from music_flamingo.model.chat import ChatTokens, EncoderAudio, Turn, batch_of, hear, pad, placed, tokenise
from music_flamingo.model.context import Hearing
from music_flamingo.model.files import load_model
from music_flamingo.prompts.loader import render_question

WINDOW_RULE: Rule = "middle"
"""Training hears segments chosen at random; answers are given to the middle of a track, always the same."""


@dataclass(frozen=True)
class Ask:
    """One request: audio (1-D samples at the model's rate), a question, its options, and whether to think first."""

    samples: np.ndarray
    """float32 mono at the model's rate, the whole track."""
    question: str
    options: tuple[str, ...]
    think: bool


@dataclass(frozen=True)
class ListenerOutput:
    """The generated text, the audio window it was generated from (s), token counts, and whether it ended itself."""

    text: str
    window_s: tuple[float, float]
    """What the model listened to."""
    num_prompt_tokens: int = 0
    """Sound, its marks and words."""
    num_new_tokens: int = 0
    """The mark that ends the turn counted too."""
    ended: bool = True
    """False when the room ran out before the model came to its end."""


class Listener:
    """Loads a model folder once and answers requests about audio."""

    def __init__(self, model, processor) -> None:
        self.model = model.eval()
        self.processor = processor
        self.hearing = Hearing.of(processor, model.config)
        self.sample_rate_hz = self.hearing.sample_rate_hz

    @classmethod
    def load(cls, folder: Path) -> "Listener":
        """The model in `folder/model` (safetensors only)."""
        return cls(*load_model(folder))

    def answer(
        self,
        asks: Sequence[Ask],
        *,
        max_new_tokens: int,
        batch_size: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[ListenerOutput]:
        """What the model says to each: its likeliest words at temperature 0, else words drawn by `seed`."""
        heard: list[ListenerOutput] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for start in range(0, len(asks), batch_size):
                heard.extend(self._answer_batch(asks[start : start + batch_size], max_new_tokens, temperature))
        return heard

    @torch.no_grad()
    def _answer_batch(self, asks: Sequence[Ask], max_new_tokens: int, temperature: float) -> list[ListenerOutput]:
        windows, sounds, tokens = self._prepare(asks, max_new_tokens)
        batch = self._batch(tokens, sounds)
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
        ids_BL = self.model.generate(
            **batch,
            max_new_tokens=max_new_tokens,
            suppress_tokens=list(self.processor.audio_token_ids),
            **sampling,
        )
        new_ids_BN = ids_BL[:, batch["input_ids"].shape[1] :]
        texts = self.processor.batch_decode(new_ids_BN, skip_special_tokens=True)
        return [
            ListenerOutput(text, window, len(token.ids), *_length(ids, self.processor.tokenizer.eos_token_id))
            for text, window, token, ids in zip(texts, windows, tokens, new_ids_BN.tolist(), strict=True)
        ]

    def option_probabilities(self, asks: Sequence[Ask], *, batch_size: int) -> list[list[float]]:
        """The probability of each ask's options as the whole plain answer, normalised over the options."""
        probabilities: list[list[float]] = []
        for start in range(0, len(asks), batch_size):
            probabilities.extend(self._options_batch(asks[start : start + batch_size]))
        return probabilities

    @torch.no_grad()
    def _options_batch(self, asks: Sequence[Ask]) -> list[list[float]]:
        _, sounds, prompts = self._prepare(asks, max_new_tokens=0)
        rows = [(i, option) for i, ask in enumerate(asks) for option in ask.options]
        answers = [self._answer_ids(option) for _, option in rows]
        device = self.model.device
        owner = torch.tensor([i for i, _ in rows], device=device)
        # the prompt, with the sound, is read once; its cache is then shared by the options
        batch = self._batch(prompts, sounds)
        positions = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        read = self.model(**batch, position_ids=positions, use_cache=True, logits_to_keep=1)
        first = read.logits[:, -1].float().log_softmax(-1)[owner]
        read.past_key_values.batch_select_indices(owner)
        longest = max(len(a) for a in answers)
        pad_id = self.processor.tokenizer.pad_token_id
        ids = torch.tensor([pad(a, longest, pad_id, "right") for a in answers], device=device)
        mask = torch.tensor([pad([1] * len(a), longest, 0, "right") for a in answers], device=device)
        following = self.model(
            input_ids=ids,
            attention_mask=torch.cat([batch["attention_mask"][owner], mask], dim=1),
            position_ids=positions[owner, -1:] + 1 + torch.arange(longest, device=device),
            past_key_values=read.past_key_values,
            use_cache=True,
        )
        steps = torch.cat([first[:, None], following.logits[:, :-1].float().log_softmax(-1)], dim=1)
        scores = (steps.gather(-1, ids[..., None])[..., 0] * mask).sum(-1)
        return [scores[owner == i].softmax(-1).tolist() for i in range(len(asks))]

    def _batch(self, tokens: Sequence[ChatTokens], sounds: Sequence[EncoderAudio]) -> dict[str, torch.Tensor]:
        batch = batch_of(self.processor, tokens, sounds, padding_side="left")
        return placed(batch, self.model)

    def _answer_ids(self, option: str) -> list[int]:
        tokenizer = self.processor.tokenizer
        return [*tokenizer(option, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]

    def _prepare(
        self, asks: Sequence[Ask], max_new_tokens: int
    ) -> tuple[list[tuple[float, float]], list[EncoderAudio], list[ChatTokens]]:
        hearing = self.hearing.for_answers(max_new_tokens)
        heard: dict[int, tuple[tuple[float, float], EncoderAudio]] = {}
        for ask in asks:
            if id(ask.samples) not in heard:
                heard[id(ask.samples)] = self._listen(ask.samples, hearing)
        windows = [heard[id(ask.samples)][0] for ask in asks]
        sounds = [heard[id(ask.samples)][1] for ask in asks]
        prompts = [render_question(ask.question, ask.options, ask.think) for ask in asks]
        tokens = [
            tokenise(self.processor, (Turn(prompt, None),), sound.num_tokens)
            for prompt, sound in zip(prompts, sounds, strict=True)
        ]
        for sound, token in zip(sounds, tokens, strict=True):
            hearing.require_fit(sound.num_tokens, len(token.ids) - sound.num_tokens - 2, max_new_tokens)
        return windows, sounds, tokens

    def _listen(self, samples: np.ndarray, hearing: Hearing) -> tuple[tuple[float, float], EncoderAudio]:
        start, end = hearing.window_of(len(samples), WINDOW_RULE)
        rate = self.sample_rate_hz
        return (start / rate, end / rate), hear(self.processor, np.asarray(samples[start:end], dtype=np.float32))


def _length(ids: list[int], eos_id: int) -> tuple[int, bool]:
    """(tokens up to and with the end of the turn, whether it was reached)."""
    return (ids.index(eos_id) + 1, True) if eos_id in ids else (len(ids), False)
