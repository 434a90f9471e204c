"""What rotary time embeddings do: one clip of 30 s, heard over and over for 15 minutes, embedded at every place.

    python benchmarks/rote.py

The model has random weights, the published grid (750 tokens a window) and the published width of a head, of which a
fifth is rotated by window, frame and seconds. Beside it the same model with the rotation left out. Writes a dated
table of how far the embedding at a time is from the one at the beginning.
"""

import numpy as np
import torch
from published import publish

from music_flamingo.model.chat import hear
from music_flamingo.model.encoding import SoundEncoder
from music_flamingo.model.size import TinySize
from music_flamingo.model.tiny import build_model, build_processor, build_tokenizer

RATE_HZ = 16000
WINDOW_S, SONG_S = 30, 900
SIZE = TinySize(
    width=256,
    encoder_layers=1,
    language_layers=1,
    heads=4,
    key_value_heads=2,
    feed_forward=256,
    vocabulary=512,
    mel_bins=64,
    fft_samples=400,
    hop_samples=160,
    window_s=WINDOW_S,
    max_audio_s=SONG_S,
    context_tokens=24_000,
    init_std=0.08,
)
SHOWN_S = (0, 30, 60, 120, 300, 600, 870)


def embeddings(model, processor) -> torch.Tensor:
    """(windows, tokens * width) of the clip at each of its places."""
    time_s = np.arange(WINDOW_S * RATE_HZ) / RATE_HZ
    clip = 0.3 * np.sin(2 * np.pi * 220 * 2 ** (np.floor(2 * time_s) % 12 / 12) * time_s) * np.exp(-4 * (time_s % 0.5))
    sound = hear(processor, np.tile(clip, SONG_S // WINDOW_S).astype(np.float32))
    found: torch.Tensor = SoundEncoder(model)([sound])[0]
    return found.reshape(SONG_S // WINDOW_S, -1)


def distances(found: torch.Tensor) -> torch.Tensor:
    """Of each window from the first: 1 less the cosine."""
    return (1 - torch.nn.functional.cosine_similarity(found, found[:1])).abs()


def unrotated(rotary: torch.nn.Module) -> None:
    def still(timestamps: torch.Tensor, seq_len: int) -> tuple[torch.Tensor, torch.Tensor]:
        cos, sin = type(rotary).forward(rotary, timestamps, seq_len)
        return torch.ones_like(cos), torch.zeros_like(sin)

    rotary.forward = still


def main() -> None:
    processor = build_processor(build_tokenizer(["What is heard?"] * 3, SIZE.vocabulary), SIZE, RATE_HZ)
    model = build_model(processor, SIZE, seed=1)
    turning = distances(embeddings(model, processor))
    unrotated(model.model.pos_emb)
    still = distances(embeddings(model, processor))
    rows = [f"| {s // 60}:{s % 60:02d} | {turning[s // WINDOW_S]:.4f} | {still[s // WINDOW_S]:.4f} |" for s in SHOWN_S]
    table = ["| the clip begins at | with rotary time | without |", "|---|---|---|", *rows]
    ordered = np.corrcoef(np.arange(len(turning)), np.argsort(np.argsort(turning.numpy())))[0, 1]
    table += ["", f"Rank correlation of time and distance over {len(turning)} places: {ordered:.2f}."]
    publish("rote", "The same sound at another time", table, ("torch", "transformers"))


if __name__ == "__main__":
    main()
