"""A cache with room gives what transformers' own gives, whatever is done to its rows between two tokens."""

import torch
from support import tiny_world as world
from transformers import DynamicCache

from music_flamingo.model.roomy_cache import ROOM, roomy_cache


def states(tokens: int, rows: int = 3) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(tokens + rows)
    return [torch.randn(rows, 2, tokens, 8, generator=draw) for _ in range(2)]


def test_tokens_one_by_one_and_many_at_once_are_held_in_their_order():
    config = world.model().config.text_config
    ours, theirs = roomy_cache(config), DynamicCache(config=config)
    for tokens in (5, 1, 1, ROOM, 1, 3 * ROOM, 1):
        for own, other in zip(ours.layers, theirs.layers, strict=True):
            for got, expected in zip(own.update(*states(tokens)), other.update(*states(tokens)), strict=True):
                assert torch.equal(got, expected)
    assert ours.get_seq_length() == theirs.get_seq_length()


def test_a_token_more_moves_nothing_while_there_is_room():
    (layer, *_) = roomy_cache(world.model().config.text_config).layers
    layer.update(*states(4))
    layer.update(*states(1))
    place = layer.keys.data_ptr()
    for _ in range(ROOM // 2):
        layer.update(*states(1))
    assert layer.keys.data_ptr() == place


def test_rows_that_leave_or_come_are_followed_by_their_own_tokens():
    (layer, *_) = roomy_cache(world.model().config.text_config).layers
    before = layer.update(*states(4))[0].clone()
    layer.keys, layer.values = layer.keys[[0, 2], :, 1:], layer.values[[0, 2], :, 1:]
    after = layer.update(*states(1, rows=2))[0]
    assert torch.equal(after[:, :, :-1], before[[0, 2], :, 1:])
    layer.keys, layer.values = layer.keys[:1], layer.values[:1]  # a view of the same place
    assert torch.equal(layer.update(*states(1, rows=1))[0][:, :, :-1], after[:1])
