"""Qwen2 as a server on a CPU runs it: projections that read the same input are one product, packed for oneDNN.

What a small model's step costs is mostly Python and many small products. The arithmetic is that of transformers'
`Qwen2Model`, layer by layer; a test holds them together. Other language models go through transformers.
Only the last token's logits are wanted: of the other tokens the last layer works out keys and values alone.

B rows, L new tokens, P tokens in the cache with them (padded on the left), D width, H heads, K of keys and values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

SMALL_MODEL = 100_000_000
"""Parameters. Of a larger one the products cost more than what is saved, and the fused weights are a copy."""

Product = Callable[[torch.Tensor], torch.Tensor]


def packed(weight: torch.Tensor, bias: torch.Tensor | None, rows: int, then: str = "none") -> Product:
    """x -> x @ weight.T + bias, the weight reordered once for about so many rows, as torch's inductor does it.

    `then`: "gelu" for what follows at once.
    """
    # outside inference mode: the operator takes no inference tensors
    with torch.inference_mode(False), torch.no_grad():
        reordered = torch.ops.mkldnn._reorder_linear_weight(weight.detach().clone(), rows)
        held = None if bias is None else bias.detach().clone()
    product = torch.ops.mkldnn._linear_pointwise
    return lambda x: product(x, reordered, held, then, [], "none")


def joined(layers: Sequence[torch.nn.Linear], rows: int) -> Product:
    """The outputs of several layers on one input, one after the other along the last dimension."""
    biases = [torch.zeros(layer.out_features) if layer.bias is None else layer.bias for layer in layers]
    bias = torch.cat(biases) if any(layer.bias is not None for layer in layers) else None
    return packed(torch.cat([layer.weight for layer in layers]), bias, rows)


ROWS = 64
"""For which weights are packed: between a step's rows and a prompt's tokens."""


@dataclass(frozen=True)
class _Layer:
    before: torch.Tensor
    """Weight (D,) of the norm before attention."""
    qkv: Product
    out: Product
    after: torch.Tensor
    gate_up: Product
    down: Product


class FusedText:
    """The language model with its head. Call it as often as there are tokens to read."""

    def __init__(self, model) -> None:
        """`model`: one that `fits`."""
        text, config = model.base_model.language_model, model.config.text_config
        self._heads, self._kv_heads = config.num_attention_heads, config.num_key_value_heads
        self._head_dim = text.layers[0].self_attn.head_dim
        self._eps, self._width = config.rms_norm_eps, config.hidden_size
        self._layers = [_layer_of(layer) for layer in text.layers]
        self._norm, self._head = text.norm.weight.detach(), joined([model.lm_head], ROWS)
        self._cos, self._sin = _turns(text.rotary_emb, config.max_position_embeddings)

    @staticmethod
    def fits(model) -> bool:
        """Whether this model is one: a small Qwen2 in float32 on a CPU, without adapters."""
        config, text = model.config.text_config, model.base_model.language_model
        return (
            config.model_type == "qwen2"
            and set(config.layer_types) == {"full_attention"}
            and config.hidden_act == "silu"
            and config.rope_parameters["rope_type"] == "default"
            and model.device.type == "cpu"
            and model.dtype == torch.float32
            and torch.backends.mkldnn.is_available()
            and model.num_parameters() < SMALL_MODEL
            and all(type(part) is torch.nn.Linear for layer in text.layers for part in _products(layer))
        )

    def __call__(
        self, embeds_BLD: torch.Tensor, mask_BP: torch.Tensor, positions_BL: torch.Tensor, cache
    ) -> torch.Tensor:
        """(B, V) logits of what follows the last token; keys and values are added to the cache."""
        num_rows, length, _ = embeds_BLD.shape
        cos, sin, half = self._cos[positions_BL], self._sin[positions_BL], self._head_dim // 2
        seen = _seen(mask_BP, length)
        hidden, num_heads = embeds_BLD, self._heads + self._kv_heads
        for number, layer in enumerate(self._layers):
            qkv = layer.qkv(self._normed(hidden, layer.before)).view(num_rows, length, -1, self._head_dim)
            turned = qkv[:, :, :num_heads]
            turned = (turned * cos + turned.roll(half, -1) * sin).transpose(1, 2)
            keys, values = cache.layers[number].update(turned[:, self._heads :], qkv[:, :, num_heads:].transpose(1, 2))
            queries = turned[:, : self._heads]
            if number == len(self._layers) - 1:
                queries, hidden, seen = queries[:, :, -1:], hidden[:, -1:], None if seen is None else seen[:, :, -1:]
            hidden = hidden + layer.out(self._attended(queries, keys, values, seen))
            gate, up = layer.gate_up(self._normed(hidden, layer.after)).chunk(2, -1)
            hidden = hidden + layer.down(functional.silu(gate) * up)
        return self._head(self._normed(hidden[:, -1], self._norm))

    def _attended(
        self, queries_BHLK: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, seen: torch.Tensor | None
    ) -> torch.Tensor:
        """(B, L, H * K)."""
        num_rows, _, length, _ = queries_BHLK.shape
        if length == 1:  # the heads that share keys are read as if they were tokens of one head: each key once
            queries_BHLK = queries_BHLK.reshape(num_rows, self._kv_heads, -1, self._head_dim)
        shares = queries_BHLK.shape[1] != self._kv_heads
        heard = functional.scaled_dot_product_attention(queries_BHLK, keys, values, attn_mask=seen, enable_gqa=shares)
        if length > 1:
            heard = heard.transpose(1, 2)
        return heard.reshape(num_rows, length, -1)

    def _normed(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(x, (self._width,), weight, self._eps)


@torch.inference_mode()
def _turns(rotary, num_positions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(P, 1, K) cosine and sine of each position's turn; the sine with the sign that its half of a head wants."""
    cos_1PK, sin_1PK = rotary(torch.zeros(1), torch.arange(num_positions)[None])
    half = sin_1PK.shape[-1] // 2
    sin_1PK = torch.cat([-sin_1PK[..., :half], sin_1PK[..., half:]], -1)
    return cos_1PK[0][:, None].contiguous(), sin_1PK[0][:, None].contiguous()


def _layer_of(layer) -> _Layer:
    q, k, v, out, gate, up, down = _products(layer)
    return _Layer(
        layer.input_layernorm.weight.detach(),
        joined([q, k, v], ROWS),
        joined([out], ROWS),
        layer.post_attention_layernorm.weight.detach(),
        joined([gate, up], ROWS),
        joined([down], ROWS),
    )


def _products(layer) -> list[torch.nn.Module]:
    attention, mlp = layer.self_attn, layer.mlp
    ours = [attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj]
    return [*ours, mlp.gate_proj, mlp.up_proj, mlp.down_proj]


def _seen(mask_BP: torch.Tensor, length: int) -> torch.Tensor | None:
    """(B, 1, L, P) which earlier tokens each of the last L sees; None where a single new one sees all."""
    if length == 1:
        return None if bool(mask_BP.all()) else mask_BP[:, None, None].bool()
    num_seen = mask_BP.shape[1]
    order = torch.arange(num_seen, device=mask_BP.device)
    causal_LP = order[None] <= order[num_seen - length :, None]
    # a place of padding sees itself: a row of nothing would give no numbers
    alone_LP = order[None] == order[num_seen - length :, None]
    return ((mask_BP[:, None].bool() & causal_LP) | alone_LP)[:, None]
