"""The published members of the Audio Flamingo family: how each is asked, how it answers, what it hears.

One table, read by adoption, training, release and planning. Its figures are those of transformers' conversion scripts
(the files named in `rules`) and of the model cards (`source`). No torch: parameters are read without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

MemberName = Literal[
    "audio-flamingo-3",
    "music-flamingo",
    "music-flamingo-think",
    "audio-flamingo-next",
    "audio-flamingo-next-think",
    "audio-flamingo-next-captioner",
]
Architecture = Literal["audioflamingo3", "musicflamingo"]
"""`model_type` in config.json. The second has RoTE and marks around the sound."""
Answers = Literal["plain", "think", "captions"]
"""What a bare question is answered with: words alone, `<think>` first, a long description."""

AF3_RULES = "transformers: models/audioflamingo3/convert_audioflamingo3_to_hf.py"
MF_RULES = "transformers: models/musicflamingo/convert_musicflamingo_to_hf.py"
NEXT_RULES = "transformers: models/musicflamingo/convert_audioflamingonext_to_hf.py"

AF3_SYSTEM = "You are a helpful assistant."
# "regardlenss" is in the published template, and so in what the weights have read
MF_SYSTEM = (
    "You are Music Flamingo, a multimodal assistant for language and music. On each turn you receive an audio clip "
    "which contains music and optional text, you will receive at least one or both; use your world knowledge and "
    "reasoning to help the user with any task. Interpret the entirety of the content any input music--regardlenss of "
    "whether the user calls it audio, music, or sound."
)
NEXT_SYSTEM = (
    "You are Audio Flamingo-Next, a multimodal assistant for language and audio. On each turn you receive an optional "
    "audio clip which may contain speech, music, or ambient sounds and optional text, you will receive at least one "
    "or both; use your world knowledge and reasoning to help the user with any task. Interpret the entirety of the "
    "content of any input audio\N{EM DASH}regardless of whether the user calls it audio, speech, music, or sound."
)

AF3_THINK = "Please think and reason about the input audio before you respond."
MF_THINK = "Output the thinking process in <think> </think> and final answer in <answer> </answer>"

MARKS = ("<|sound_bos|>", "<|sound_eos|>")
"""Tokens around the sound, in the vocabulary of every member but Audio Flamingo 3."""
AUDIO_TOKEN = "<sound>"
ROTE_THETA = 1200.0
ROTE_PARTIAL_FACTOR = 0.2
"""Rotary time embeddings of every member but Audio Flamingo 3."""


@dataclass(frozen=True)
class FamilyMember:
    """One published model."""

    source: str
    """Repository of its weights."""
    rules: str
    """Where its template and configuration come from."""
    architecture: Architecture
    system: str
    """The system turn of a conversation that brings none."""
    think: str | None
    """What follows a question that is to be thought about, in the words of its training; None: not published, and the
    project's own words stand."""
    answers: Answers
    max_audio_s: int
    text_rope_theta: float
    text_positions: int
    """The longest context of the language model, in tokens."""
    generation: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({"max_new_tokens": 2048}))
    """generation_config.json, without token ids."""

    @property
    def audio_tokens(self) -> int:
        """Of the longest recording, 40 ms each."""
        return self.max_audio_s * 25


def _next(source: str, answers: Answers) -> FamilyMember:
    return FamilyMember(source, NEXT_RULES, "musicflamingo", NEXT_SYSTEM, None, answers, 1800, 15_300_000.0, 131_072)


def _music(source: str, answers: Answers) -> FamilyMember:
    return FamilyMember(source, MF_RULES, "musicflamingo", MF_SYSTEM, MF_THINK, answers, 1200, 1_000_000.0, 32_768)


MEMBERS: Mapping[MemberName, FamilyMember] = MappingProxyType(
    {
        "audio-flamingo-3": FamilyMember(
            "nvidia/audio-flamingo-3-hf",
            AF3_RULES,
            "audioflamingo3",
            AF3_SYSTEM,
            AF3_THINK,
            "plain",
            600,
            1_000_000.0,
            32_768,
            MappingProxyType(
                {"do_sample": True, "temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.05}
            ),
        ),
        "music-flamingo": _music("nvidia/music-flamingo-2601-hf", "plain"),
        "music-flamingo-think": _music("nvidia/music-flamingo-think-2601-hf", "think"),
        "audio-flamingo-next": _next("nvidia/audio-flamingo-next-hf", "plain"),
        "audio-flamingo-next-think": _next("nvidia/audio-flamingo-next-think-hf", "think"),
        "audio-flamingo-next-captioner": _next("nvidia/audio-flamingo-next-captioner-hf", "captions"),
    }
)
