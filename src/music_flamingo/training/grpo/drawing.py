"""Draw the answers of a step, by transformers or by vLLM, and once more where a group's answers all earn the same.

A group without spread has no advantages and teaches nothing. With `redraws` it is drawn again under other seeds, up to
that many times, and its first draw with spread stands. All ranks decide alike, from the rewards of all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from music_flamingo.core.ranks import rank
from music_flamingo.model.chat import EncoderAudio
from music_flamingo.model.embed import embed
from music_flamingo.rewards.judge import Rules, Task, parts_of, total
from music_flamingo.training.data.audio import SoundBank
from music_flamingo.training.grpo import vllm
from music_flamingo.training.grpo.sampling import Sampling, draw, seed_of
from music_flamingo.training.grpo.tasks import GrpoPrompt, prompt_tokens, read, rules_of, task_of
from music_flamingo.training.scale.distributed import AcrossRanks, gathered
from music_flamingo.training.settings import GrpoConfig

SAME = 1e-6
"""Rewards that differ by less are equal: sums of floats."""

Drawn = tuple[list[list[int]], list[list[float]] | None]
"""Token ids of each answer, and their log-probabilities where vLLM drew them."""


def without_spread(rewards: Sequence[float | None], size: int) -> list[bool]:
    """Whether each group of `size` answers has no spread: all earn the same, or too few can be scored."""
    flat = []
    for start in range(0, len(rewards), size):
        scored = [value for value in rewards[start : start + size] if value is not None]
        flat.append(len(scored) < 2 or max(scored) - min(scored) < SAME)
    return flat


def reward_of(text: str, task: Task, rules: Rules) -> float | None:
    """The whole reward of one answer; None where no part applies."""
    return total(parts_of(text, task, rules), task, rules)


class DrawsAnswers(AcrossRanks):
    """The part of the GRPO trainer that draws answers to its current rows."""

    _processor: Any
    _prompts: Sequence[GrpoPrompt]
    _bank: SoundBank
    _config: GrpoConfig
    _rows: list[int]
    num_redrawn: int
    """Groups drawn again at this step."""

    def roll_out(self) -> dict[str, Any]:
        """TRL's answer to one draw: prompt ids, completion ids and log-probabilities of the current rows."""
        asked = list(dict.fromkeys(self._rows))
        ids = {row: self.prompt_ids(row) for row in asked}
        if self.use_vllm:
            vllm.forget_sounds(self.vllm_generation.llm)
            drawn = self._spread(lambda places, attempt: self._by_vllm(places, ids))
        else:
            with self.drawing() as model:
                drawn = self._spread(lambda places, attempt: (self._by_model(model, places, ids, attempt), None))
        return {"prompt_ids": [ids[row] for row in self._rows], "completion_ids": drawn[0], "logprobs": drawn[1]}

    def _spread(self, write: Any) -> Drawn:
        """Draw all rows, then those of groups without spread again."""
        said, logprobs = write(range(len(self._rows)), 0)
        self.num_redrawn = 0
        for attempt in range(1, self._config.exploration.redraws + 1):
            flat = self._flat_rows(said)
            if not any(any(of_rank) for of_rank in gathered(flat)):
                break
            again = [place for place, is_flat in enumerate(flat) if is_flat]
            self.num_redrawn += sum(sum(of_rank) for of_rank in gathered(flat)) // self.num_generations
            if not again:
                continue
            new, new_logprobs = write(again, attempt)
            for at, place in enumerate(again):
                said[place] = new[at]
                if logprobs is not None and new_logprobs is not None:
                    logprobs[place] = new_logprobs[at]
        return said, logprobs

    def _flat_rows(self, said: Sequence[Sequence[int]]) -> list[bool]:
        """Of each answer of this rank whether its group, which other ranks may share, has no spread."""
        rules = rules_of(self._config)
        mine = [
            reward_of(self.read(ids), task_of(self._prompts[row].item), rules)
            for ids, row in zip(said, self._rows, strict=True)
        ]
        flat = without_spread([value for of_rank in gathered(mine) for value in of_rank], self.num_generations)
        first = rank() * len(mine)
        return [flat[(first + i) // self.num_generations] for i in range(len(mine))]

    def _by_vllm(self, places: Sequence[int], ids: Mapping[int, list[int]]) -> Drawn:
        never = tuple(self._processor.audio_token_ids)
        rate = self._processor.feature_extractor.sampling_rate
        rows = [self._rows[place] for place in places]
        payloads = {
            row: vllm.payload(ids[row], self._bank.samples(self._prompts[row].window), rate, never)
            for row in dict.fromkeys(rows)
        }
        return vllm.draw(
            self.vllm_generation.llm,
            [payloads[row] for row in rows],
            [ids[row] for row in rows],
            temperature=self.temperature,
            max_new_tokens=self.max_completion_length,
            never=never,
        )

    def _by_model(
        self, model: Any, places: Sequence[int], ids: Mapping[int, list[int]], attempt: int
    ) -> list[list[int]]:
        tokenizer, never = self._processor.tokenizer, tuple(self._processor.audio_token_ids)
        sampling = Sampling(
            self.temperature, self.max_completion_length, tokenizer.pad_token_id, tokenizer.eos_token_id, never
        )
        rows = [self._rows[place] for place in places]
        asked = list(dict.fromkeys(rows))
        seeds = self._seeds(attempt)
        return draw(
            model,
            [ids[row] for row in asked],
            lambda inner, ids_UP: self._embed(inner, ids_UP, asked),
            [asked.index(row) for row in rows],
            [seeds[place] for place in places],
            sampling,
        )

    def _seeds(self, attempt: int = 0) -> list[int]:
        """Of each answer its own, whichever rank draws it; other ones at each further attempt."""
        first = rank() * len(self._rows)
        further = (attempt,) if attempt else ()
        return [
            seed_of(self._config.seed, row, (first + i) % self.num_generations, *further)
            for i, row in enumerate(self._rows)
        ]

    def prompt_ids(self, row: int) -> list[int]:
        """Token ids of the prompt in this row, audio tokens included."""
        return list(prompt_tokens(self._processor, self._prompts[row], self._bank).ids)

    def read(self, ids: Sequence[int]) -> str:
        """Decode generated token ids into text."""
        return read(self._processor.tokenizer, ids)

    def _embed(self, model: Any, ids: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        windows = [self._prompts[row].window for row in rows]
        distinct = list(dict.fromkeys(windows))
        sounds: list[EncoderAudio] = [self._bank(window) for window in distinct]
        return embed(model, ids, sounds, [distinct.index(window) for window in windows])
