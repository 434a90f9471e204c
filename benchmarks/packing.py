"""Packed against padded training on the same samples: forward and backward over songs of 30 s to 15 min.

    python benchmarks/packing.py

The model is tiny, with windows of 30 s and half the published number of audio tokens (375 a window), so that the
padded way stays within 6 GB. Lengths are drawn log-uniformly; both ways see the same batches in the same run, in turn.
Then rows of 24k tokens at the published number are filled from 4,000 such songs, to see what stays empty. Writes a
dated table.
"""

import argparse
import math
import random
import resource
import time
from collections.abc import Callable

import numpy as np
import torch
from published import publish

from music_flamingo.model.chat import IGNORED, ChatTokens, EncoderAudio, Turn, batch_of, hear, pad, tokenise
from music_flamingo.model.packing import hidden_states, packed_batch_of
from music_flamingo.model.size import TinySize
from music_flamingo.model.tiny import build_model, build_processor, build_tokenizer
from music_flamingo.training.data.packing import filled

RATE_HZ = 16000
SHORTEST_S, LONGEST_S = 30.0, 900.0
QUESTION, ANSWER = "Describe this music in one sentence.", "A slow piece for strings in C minor."
SIZE = TinySize(
    width=32,
    encoder_layers=1,
    language_layers=2,
    heads=2,
    key_value_heads=1,
    feed_forward=64,
    vocabulary=512,
    mel_bins=64,
    fft_samples=400,
    hop_samples=320,
    window_s=30,
    max_audio_s=900,
    context_tokens=12_000,
    init_std=0.08,
)

ROW_TOKENS = 24_000
TOKENS_A_SECOND = 25
WORDS = 60
"""Tokens of the marks and a question with its answer."""
LOOK_AHEAD = 64
SONGS = 4000

Batch = list[tuple[EncoderAudio, ChatTokens]]


def lengths_s(count: int, seed: int) -> list[float]:
    """Log-uniform, with the shortest and the longest among them."""
    rng = random.Random(seed)
    drawn = [math.exp(rng.uniform(math.log(SHORTEST_S), math.log(LONGEST_S))) for _ in range(count - 2)]
    mixed = [SHORTEST_S, LONGEST_S, *drawn]
    rng.shuffle(mixed)
    return mixed


def samples_of(processor, seconds: list[float]) -> Batch:
    made = []
    for i, s in enumerate(seconds):
        noise = np.random.default_rng(i).normal(0, 0.1, round(s * RATE_HZ)).astype(np.float32)
        sound = hear(processor, noise)
        made.append((sound, tokenise(processor, (Turn(QUESTION, ANSWER),), sound.num_tokens)))
    return made


def loss_of(model, hidden_BLD: torch.Tensor, ids_BL: torch.Tensor, is_answer_BL: torch.Tensor) -> torch.Tensor:
    labels = ids_BL.masked_fill(~is_answer_BL, IGNORED)[:, 1:]
    taught = labels != IGNORED
    return torch.nn.functional.cross_entropy(model.lm_head(hidden_BLD[:, :-1][taught]), labels[taught])


def padded(model, processor, batch: Batch) -> torch.Tensor:
    sounds, tokens = zip(*batch, strict=True)
    inputs = batch_of(processor, tokens, sounds, padding_side="right")
    longest = inputs["input_ids"].shape[1]
    is_answer = torch.tensor([pad(t.is_answer, longest, False, "right") for t in tokens])
    hidden = model.base_model(**inputs, use_cache=False).last_hidden_state
    return loss_of(model, hidden, inputs["input_ids"], is_answer)


def packed(model, processor, batch: Batch) -> torch.Tensor:
    sounds, tokens = zip(*batch, strict=True)
    inputs = packed_batch_of(tokens, sounds)
    is_answer = torch.tensor([[a for t in tokens for a in t.is_answer]])
    return loss_of(model, hidden_states(model, inputs), inputs["input_ids"], is_answer)


def timed(step: Callable[[], torch.Tensor], model) -> tuple[float, float]:
    """(seconds of forward and backward, loss)."""
    model.zero_grad()
    started = time.perf_counter()
    loss = step()
    loss.backward()
    return time.perf_counter() - started, loss.item()


def empty_part(seed: int) -> float:
    """Of rows that are filled from a stream of songs."""
    sizes = [round(TOKENS_A_SECOND * s) + WORDS for s in lengths_s(SONGS, seed)]
    rows = [tokens for _, tokens in filled(iter(range(SONGS)), lambda i: sizes[i], ROW_TOKENS, LOOK_AHEAD)]
    # the stream ends here; in training it goes on
    whole = rows[: -LOOK_AHEAD // 2]
    return 1 - sum(whole) / (len(whole) * ROW_TOKENS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    processor = build_processor(build_tokenizer([QUESTION, ANSWER] * 3, SIZE.vocabulary), SIZE, RATE_HZ)
    model = build_model(processor, SIZE, seed=1).train()
    seconds = lengths_s(arguments.samples, arguments.seed)
    samples = samples_of(processor, seconds)
    size = arguments.batch_size
    rows, totals = [], {"padded": 0.0, "packed": 0.0}
    for start in range(0, len(samples), size):
        batch = samples[start : start + size]
        losses = {}
        for name, way in (("packed", packed), ("padded", padded)):
            elapsed_s, losses[name] = timed(lambda way=way, batch=batch: way(model, processor, batch), model)
            totals[name] += elapsed_s
        tokens = [len(t.ids) for _, t in batch]
        waste = 1 - sum(tokens) / (max(tokens) * len(tokens))
        same = abs(losses["packed"] - losses["padded"]) < 1e-3
        rows.append(f"| {', '.join(map(str, tokens))} | {waste:.0%} | 0% | {'yes' if same else 'NO'} |")
        print(rows[-1], flush=True)
    tokens = sum(len(t.ids) for _, t in samples)
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    table = [
        "| | seconds | useful tokens/s |",
        "|---|---|---|",
        *(f"| {name} | {s:.1f} | {tokens / s:.0f} |" for name, s in totals.items()),
        f"| packed / padded | {totals['padded'] / totals['packed']:.2f} times | |",
        "",
        "| tokens of the batch's samples | padding | when packed | same loss |",
        "|---|---|---|---|",
        *rows,
    ]
    table += ["", f"Rows of {ROW_TOKENS} tokens filled from {SONGS} songs, {LOOK_AHEAD} in view: "
              f"{empty_part(arguments.seed):.2%} empty."]  # fmt: skip
    notes = [
        f"songs of {', '.join(f'{s:.0f}' for s in seconds)} s; forward and backward, one thread, float32, "
        "no checkpointing",
        f"peak memory of the process: {peak_gib:.1f} GiB (of the padded way)",
    ]
    publish("packing", "Packed against padded", table, ("torch", "transformers"), notes)


if __name__ == "__main__":
    main()
