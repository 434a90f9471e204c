"""Token and audio embeddings of a batch; each audio is encoded once, however many rows use it.

B rows, L tokens, D width, N audio tokens of all rows together. GRPO asks one question five times over, so that the
encoder would do its work five times; logits are those of the model's own path (a test holds them together).
"""

from collections.abc import Sequence

import torch

from music_flamingo.model.chat import EncoderAudio, audio_of


def embed(model, input_ids_BL: torch.Tensor, sounds: Sequence[EncoderAudio], heard_B: Sequence[int]) -> torch.Tensor:
    """(B, L, D) embeddings; row b hears `sounds[heard_B[b]]`. Gradients reach the encoder."""
    base = model.base_model
    words_BLD = base.get_input_embeddings()(input_ids_BL)
    first_rows = [heard_B.index(n) for n in range(len(sounds))]
    heard = audio_of(sounds)
    sound_ND = base.get_audio_features(
        input_features=heard["input_features"].to(words_BLD),
        input_features_mask=heard["input_features_mask"].to(input_ids_BL.device),
        input_ids=input_ids_BL[first_rows],
    ).pooler_output
    by_sound = sound_ND.split([sound.num_tokens for sound in sounds])
    heard_ND = torch.cat([by_sound[n] for n in heard_B])
    is_sound_BL = input_ids_BL == model.config.audio_token_id
    return words_BLD.masked_scatter(is_sound_BL[..., None].expand_as(words_BLD), heard_ND.to(words_BLD.dtype))
