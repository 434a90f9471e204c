"""Lyrics by Parakeet (NVIDIA's FastConformer recognisers of speech) in transformers, from a local folder.

Both heads. CTC gives each frame a token, equal neighbours are one; TDT gives tokens with durations in frames. A token
that begins with the tokenizer's word mark begins a word; punctuation takes no time of its own, as in NeMo. The
probability of a word is the mean over its tokens, each by the softmax of its frame.

Songs are no speech: expect more errors than the model card says, most of all where the music is loud.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from music_flamingo.audio.flac import MODEL_RATE_HZ
from music_flamingo.core.errors import ConfigError
from music_flamingo.mir import Signal
from music_flamingo.mir.languages import LanguageRule
from music_flamingo.mir.models import Device, folder_sha256
from music_flamingo.mir.transcripts import (
    HeardWindow,
    HeardWord,
    LyricsRules,
    Recogniser,
    join,
    no_lyrics,
    parts,
    to_lyrics,
)
from music_flamingo.records import Lyrics, Track

WORD_MARK = "\u2581"
"""What sentencepiece writes for the space before a word."""


@dataclass(frozen=True)
class ParakeetToken:
    """An emission of the model; frames count from the start of the window."""

    id: int
    start_frame: int
    end_frame: int
    probability: float


class ParakeetLyrics:
    """Transcribes lyrics by Parakeet."""

    def __init__(
        self,
        folder: Path,
        window_s: float,
        overlap_s: float,
        rules: LyricsRules,
        language: LanguageRule,
        device: Device,
    ) -> None:
        version = folder_sha256(folder)[:12]
        from transformers import AutoConfig, AutoModelForCTC, AutoModelForTDT, AutoProcessor

        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        heads = {"parakeet_ctc": AutoModelForCTC, "parakeet_tdt": AutoModelForTDT}
        if config.model_type not in heads:
            raise ConfigError(
                f"{folder} holds a model of type `{config.model_type}`; facts.lyrics of kind `parakeet` takes "
                f"{' or '.join(heads)}."
            )
        self._processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        model = heads[config.model_type].from_pretrained(folder, local_files_only=True, use_safetensors=True)
        self._model = model.to(device).eval()
        self._is_tdt = config.model_type == "parakeet_tdt"
        extractor = self._processor.feature_extractor
        self._frame_s = extractor.hop_length * config.encoder_config.subsampling_factor / extractor.sampling_rate
        self._window_s, self._overlap_s, self._rules, self._language = window_s, overlap_s, rules, language
        self._recogniser = Recogniser(config.model_type, version)

    def read(self, track: Track, signal: Signal, has_voice: bool | None) -> Lyrics:
        """Transcribe lines and words with times (s); no lyrics where there is no voice."""
        if has_voice is False:
            return no_lyrics(self._recogniser, "no_voice")
        words = self.words(signal)
        language, origin = self._language.of(" ".join(w.text for w in words), track)
        return to_lyrics(self._recogniser, words, self._rules, language, origin)

    def words(self, signal: Signal) -> list[HeardWord]:
        """Of the whole recording."""
        heard = []
        for start_s, end_s, part in parts(signal, self._window_s, self._overlap_s):
            words = self._spell(self._tokens(part))
            heard.append(HeardWindow(start_s, end_s, [w.later(start_s) for w in words]))
        return join(heard)

    def _tokens(self, samples: np.ndarray) -> list[ParakeetToken]:
        """Of one window, without blanks. Samples (n,) at 16 kHz."""
        import torch

        inputs = self._processor(samples, sampling_rate=MODEL_RATE_HZ).to(self._model.device)
        with torch.inference_mode():
            return self._tdt_tokens(inputs) if self._is_tdt else self._ctc_tokens(inputs)

    def _ctc_tokens(self, inputs: Any) -> list[ParakeetToken]:
        output = self._model.generate(**inputs, return_dict_in_generate=True)
        ids = output.sequences[0].tolist()
        best = output.logits[0].float().softmax(-1).amax(-1).tolist()
        tokens, frame = [], 0
        for token_id, run in itertools.groupby(ids):
            end = frame + sum(1 for _ in run)
            if token_id != self._model.config.pad_token_id:
                tokens.append(ParakeetToken(token_id, frame, end, max(best[frame:end])))
            frame = end
        return tokens

    def _tdt_tokens(self, inputs: Any) -> list[ParakeetToken]:
        from transformers import LogitsProcessorList

        config, best = self._model.config, []

        def remember(ids: Any, scores: Any) -> Any:
            # tokens come first, then the durations, which are another softmax
            best.append(float(scores[0, : config.vocab_size].float().softmax(-1).amax()))
            return scores

        output = self._model.generate(
            **inputs, logits_processor=LogitsProcessorList([remember]), return_dict_in_generate=True
        )
        skipped = {config.blank_token_id, config.pad_token_id}
        tokens, frame = [], 0
        # the first of the sequence is the start token, which has no frame and no scores
        steps = zip(output.sequences[0].tolist()[1:], output.durations[0].tolist()[1:], best, strict=True)
        for token_id, duration, probability in steps:
            if token_id not in skipped:
                tokens.append(ParakeetToken(token_id, frame, frame + duration, probability))
            frame += duration
        return tokens

    def _spell(self, tokens: Sequence[ParakeetToken]) -> list[HeardWord]:
        """Tokens as words; seconds from the start of the window."""
        tokenizer = self._processor.tokenizer
        words = []
        for group in self._by_word(tokens):
            text = tokenizer.decode([t.id for t in group], skip_special_tokens=True, group_tokens=False).strip()
            if not text:
                continue
            spoken = [t for t in group if any(c.isalnum() for c in tokenizer.decode([t.id]))] or group
            start_s = group[0].start_frame * self._frame_s
            # a token of TDT may have no duration of its own: it still sounded in a frame
            end_s = max(spoken[-1].end_frame, group[0].start_frame + 1) * self._frame_s
            words.append(HeardWord(start_s, end_s, text, sum(t.probability for t in group) / len(group)))
        return words

    def _by_word(self, tokens: Sequence[ParakeetToken]) -> Iterator[list[ParakeetToken]]:
        group: list[ParakeetToken] = []
        for token in tokens:
            begins = self._processor.tokenizer.convert_ids_to_tokens(token.id).startswith(WORD_MARK)
            if begins and group:
                yield group
                group = []
            group.append(token)
        if group:
            yield group
