"""Lyrics by Whisper (Radford et al. 2022) in transformers, from a folder that the user has.

The song is heard in overlapping windows of up to 30 s. Words get times by the attention of the alignment heads that the
checkpoint names; where it names none, the words of a segment stand in it by their lengths, and the record has lines
alone. A word is as probable as its tokens are on average. Whisper invents words where nobody sings: it is not asked
where no voice is heard, and windows in which its own token for no speech is likely are left out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from music_flamingo.audio.flac import MODEL_RATE_HZ
from music_flamingo.core.errors import ConfigError
from music_flamingo.mir import Signal
from music_flamingo.mir.models import Device, folder_sha256
from music_flamingo.mir.transcripts import (
    HeardWindow,
    HeardWord,
    LyricsRules,
    Recogniser,
    join,
    no_lyrics,
    parts,
    spread_words,
    to_lyrics,
)
from music_flamingo.records import Lyrics, Track

LONGEST_WINDOW_S = 30.0
"""What the encoder hears."""


@dataclass(frozen=True)
class WhisperRules:
    """Windows (s), what a window without speech is, and the language."""

    window_s: float
    overlap_s: float
    max_no_speech: float
    """A window is left out where the model's token for no speech has at least this probability."""
    language: str | None
    """ISO 639-1 code that is sung; None lets the model recognise it in each window."""


class WhisperLyrics:
    """Transcribes lyrics by a Whisper checkpoint."""

    def __init__(self, folder: Path, whisper: WhisperRules, rules: LyricsRules, device: Device) -> None:
        if whisper.window_s > LONGEST_WINDOW_S:
            raise ConfigError(
                f"facts.lyrics.window_s is {whisper.window_s}; Whisper hears {LONGEST_WINDOW_S} s. Make it shorter."
            )
        version = folder_sha256(folder)[:12]
        from transformers import AutoConfig, AutoProcessor, WhisperForConditionalGeneration

        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        if config.model_type != "whisper":
            raise ConfigError(f"{folder} holds a model of type `{config.model_type}`; kind `whisper` takes Whisper's.")
        self._processor: Any = AutoProcessor.from_pretrained(folder, local_files_only=True)
        model = WhisperForConditionalGeneration.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        self._model: Any = model.to(device).eval()
        self._aligns = bool(getattr(self._model.generation_config, "alignment_heads", None))
        self._whisper, self._rules, self._recogniser = whisper, rules, Recogniser("whisper", version)

    def read(self, track: Track, signal: Signal, has_voice: bool | None) -> Lyrics:
        """Transcribe lines and words with times (s); no lyrics where there is no voice."""
        if has_voice is False:
            return no_lyrics(self._recogniser, "no_voice")
        heard, languages = [], []
        for start_s, end_s, part in parts(signal, self._whisper.window_s, self._whisper.overlap_s):
            words, language = self._window(part)
            heard.append(HeardWindow(start_s, end_s, [w.later(start_s) for w in words]))
            languages += [language] * len(words)
        # the language of most words
        language = max(sorted(set(filter(None, languages))), key=languages.count, default=None)
        return to_lyrics(self._recogniser, join(heard), self._rules, language, "model")

    def _window(self, samples: np.ndarray) -> tuple[list[HeardWord], str | None]:
        import torch

        inputs = self._processor(
            samples, sampling_rate=MODEL_RATE_HZ, return_tensors="pt", return_attention_mask=True
        ).to(self._model.device)
        with torch.inference_mode():
            if self._no_speech(inputs["input_features"]) >= self._whisper.max_no_speech:
                return [], None
            language = self._whisper.language or self._language(inputs["input_features"])
            made = self._model.generate(
                **inputs,
                **({"language": language, "task": "transcribe"} if language else {}),
                return_timestamps=True,
                return_token_timestamps=self._aligns,
                return_segments=True,
                return_dict_in_generate=True,
                output_scores=True,
                do_sample=False,
                num_beams=1,
            )
        length_s = len(samples) / MODEL_RATE_HZ
        words = [word for segment in made["segments"][0] for word in self._words(segment, length_s)]
        return sorted(words, key=lambda word: word.start_s), language

    def _no_speech(self, features: Any) -> float:
        """Probability of the token for no speech, right after the start; 0 where the tokenizer has none."""
        vocabulary = self._processor.tokenizer.get_vocab()
        token = vocabulary.get("<|nospeech|>", vocabulary.get("<|nocaptions|>"))
        if token is None:
            return 0.0
        start = features.new_full((1, 1), self._model.config.decoder_start_token_id).long()
        logits = self._model(input_features=features, decoder_input_ids=start).logits[0, -1]
        return float(logits.float().softmax(-1)[token])

    def _language(self, features: Any) -> str | None:
        """The code of the language that is heard; None for a checkpoint of one language."""
        if not getattr(self._model.generation_config, "is_multilingual", False):
            return None
        token = self._model.detect_language(input_features=features)[0]
        return str(self._processor.tokenizer.convert_ids_to_tokens(int(token))).strip("<|>")

    def _words(self, segment: dict[str, Any], length_s: float) -> list[HeardWord]:
        """The words of one segment, within the window."""
        first, last = segment["idxs"]
        result, special = segment["result"], self._processor.tokenizer.all_special_ids
        prefix = len(result["sequences"]) - len(result["scores"])
        timestamps = self._processor.tokenizer.convert_tokens_to_ids("<|0.00|>")
        times = segment.get("token_timestamps")
        tokens: list[HeardToken] = []
        for place, token in enumerate(segment["tokens"].tolist()):
            step = first + place - prefix
            if token in special or token >= timestamps or not 0 <= step < len(result["scores"]):
                continue
            probability = float(result["scores"][step].float().softmax(-1)[token])
            tokens.append(HeardToken(token, probability, float(times[place]) if times is not None else None))
        start_s, end_s = float(segment["start"]), min(float(segment["end"]), length_s)
        if not tokens or start_s >= end_s or last <= first:
            return []
        if any(token.at_s is None for token in tokens):
            text = self._processor.tokenizer.decode([token.id for token in tokens])
            return spread_words(text, start_s, end_s, sum(t.probability for t in tokens) / len(tokens))
        return self._grouped(tokens, start_s, end_s)

    def _grouped(self, tokens: list["HeardToken"], start_s: float, end_s: float) -> list[HeardWord]:
        """Tokens up to the next one that begins with a space are a word."""
        groups: list[list[HeardToken]] = []
        for token in tokens:
            if not groups or self._processor.tokenizer.decode([token.id]).startswith(" "):
                groups.append([])
            groups[-1].append(token)
        begins = [min(max(group[0].at_s or 0.0, start_s), end_s) for group in groups]
        words = []
        for group, begin_s, until_s in zip(groups, begins, [*begins[1:], end_s], strict=True):
            text = self._processor.tokenizer.decode([token.id for token in group]).strip()
            if text:
                mean = sum(token.probability for token in group) / len(group)
                words.append(HeardWord(begin_s, max(begin_s, until_s), text, mean))
        return words


@dataclass(frozen=True)
class HeardToken:
    """A token with its probability and, where heads align it, its time (s) in the window."""

    id: int
    probability: float
    at_s: float | None
