"""Thirty minutes through a replica of Audio Flamingo Next, in a process whose memory a test measures.

python tests/support/half_an_hour.py answer|serve|teach FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from music_flamingo.model.adoption import adopt_model
from music_flamingo.model.chat import Turn, hear, tokenise
from music_flamingo.model.decoding import DecodingRow, RunningBatch
from music_flamingo.model.encoding import SoundEncoder
from music_flamingo.model.files import load_model
from music_flamingo.model.listener import Ask, Listener
from music_flamingo.model.packing import hidden_states, packed_batch_of
from support.family_replicas import write_replica

NAME, SECONDS, TOKENS = "audio-flamingo-next", 1800, 45_000


def main(way: str, folder: Path) -> None:
    adopt_model(write_replica(folder / "published", NAME), NAME, folder)
    model, processor = load_model(folder, torch.float32)
    listener = Listener(model, processor)
    samples = np.random.default_rng(0).normal(0, 0.1, SECONDS * 16000).astype(np.float32)
    start, end = listener.hearing.window_of(len(samples), "middle")
    assert (start, end) == (0, len(samples)) and listener.hearing.audio_tokens(end) == TOKENS
    if way == "answer":
        (heard,) = listener.answer([Ask(samples, "Is it low?", (), False)], max_new_tokens=4, batch_size=1)
        assert heard.window_s == (0.0, SECONDS) and heard.num_prompt_tokens > TOKENS
        return
    sound = hear(processor, samples)
    assert sound.num_tokens == TOKENS
    if way == "serve":
        prompt = tokenise(processor, (Turn("Is it low?", None),), TOKENS)
        batch = RunningBatch(model, processor.audio_token_ids)
        (sound_ND,) = SoundEncoder(model)([sound])
        for _ in batch.join_in_pieces(prompt, sound_ND, DecodingRow.of(0.0, 0)):
            pass
        for _ in range(4):
            batch.choose()
            batch.go_on([0])
        assert len(batch.rows[0].ids) == 4
        return
    lesson = tokenise(processor, (Turn("Is it low?", "low"),), TOKENS)
    hidden = hidden_states(model, packed_batch_of([lesson], [sound]))
    taught = torch.tensor(lesson.is_answer)[1:]
    logits = model.lm_head(hidden[0, :-1][taught])
    torch.nn.functional.cross_entropy(logits, torch.tensor(lesson.ids)[1:][taught]).backward()
    assert all(p.grad.isfinite().all() for p in model.model.multi_modal_projector.parameters())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
