"""A question of GRPO: its window, its tokens, and what its reward compares with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from music_flamingo.model.chat import ChatTokens, Turn, tokenise
from music_flamingo.rewards.judge import Rules, Task
from music_flamingo.training.data.audio import SoundBank, TrainingWindow
from music_flamingo.training.data.items import TrainingItem
from music_flamingo.training.settings import GrpoConfig


@dataclass(frozen=True)
class GrpoPrompt:
    """One question about one window, answered G times."""

    window: TrainingWindow
    item: TrainingItem


def prompt_tokens(processor: Any, prompt: GrpoPrompt, bank: SoundBank) -> ChatTokens:
    """What the model reads before it answers."""
    return tokenise(processor, (Turn(prompt.item.prompt, None),), bank(prompt.window).num_tokens)


def task_of(item: TrainingItem) -> Task:
    """The reward's view of an item: family, kind, reference, options, the question's words, what is heard when."""
    about = (item.family, item.is_caption, item.kind, item.reference, item.options, item.structured)
    return Task(*about, item.question, item.heard)


def rules_of(config: GrpoConfig) -> Rules:
    """Reward rules from the configuration."""
    return Rules(config.reward_weights.model_dump(), config.structured_form, config.max_think_words)


def read(tokenizer: Any, ids: Sequence[int]) -> str:
    """The words of an answer without the mark that ends it; marks of the chat inside it are shown."""
    ended = list(ids[:-1]) if ids and ids[-1] == tokenizer.eos_token_id else list(ids)
    text: str = tokenizer.decode(ended, skip_special_tokens=False)
    return text
