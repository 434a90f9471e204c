"""Samples packed into one row answer as each would alone."""

import pytest
import torch
from support import tiny_world as world

from music_flamingo.model.chat import Turn, batch_of, hear, tokenise, tokenise_apart
from music_flamingo.model.files import save_model
from music_flamingo.model.packing import hidden_states, packed_batch_of

SECONDS = (3.7, 0.9, 2.0)
"""More than an encoder window, less than one, exactly one."""


def samples_of(seed: int = 0):
    processor = world.processor()
    sounds = [hear(processor, world.tone(300 + 900 * i, s, seed)) for i, s in enumerate(SECONDS)]
    turns = [(Turn(world.QUESTION, word),) for word in ("low", "high", "low")]
    return sounds, [tokenise(processor, t, s.num_tokens) for t, s in zip(turns, sounds, strict=True)]


def alone(model, tokens, sound) -> torch.Tensor:
    batch = batch_of(world.processor(), [tokens], [sound], padding_side="right")
    return model.base_model(**batch, use_cache=False).last_hidden_state[0]


@torch.no_grad()
def test_each_sample_of_a_row_is_what_it_would_be_alone():
    model = world.model()
    sounds, tokens = samples_of()
    packed = hidden_states(model, packed_batch_of(tokens, sounds))[0]
    each = packed.split([len(t.ids) for t in tokens])
    for part, t, s in zip(each, tokens, sounds, strict=True):
        torch.testing.assert_close(part, alone(model, t, s), atol=2e-5, rtol=1e-5)


@torch.no_grad()
def test_another_sound_in_one_sample_changes_that_sample_alone():
    model = world.model()
    sounds, tokens = samples_of()
    other = [sounds[0], samples_of(seed=5)[0][1], sounds[2]]
    before, after = (hidden_states(model, packed_batch_of(tokens, s))[0] for s in (sounds, other))
    moved = [d.abs().max().item() for d in (before - after).split([len(t.ids) for t in tokens])]
    assert moved[0] == 0 and moved[2] == 0
    assert moved[1] > 1e-3


@torch.no_grad()
def test_after_a_packed_pass_the_model_answers_and_is_saved_as_before(tmp_path):
    model, processor = world.model(), world.processor()
    sounds, tokens = samples_of()
    padded = batch_of(processor, tokens, sounds, padding_side="left")
    saved = [tmp_path / name for name in ("before", "after")]
    said = []
    for folder in saved:
        said.append(model.generate(**padded, max_new_tokens=8, do_sample=False))
        save_model(model, processor, folder)
        hidden_states(model, packed_batch_of(tokens, sounds))
    assert torch.equal(*said)
    assert len({(folder / "model" / "config.json").read_text() for folder in saved}) == 1


@pytest.mark.parametrize("apart", [False, True])
def test_layers_computed_again_in_the_backward_pass_have_the_same_gradients(apart):
    model = world.model()
    sounds, tokens = samples_of()
    if apart:
        tokens = [tokenise_apart(world.processor(), ASKED, s.num_tokens) for s in sounds]
    found = []
    for checkpointing in (False, True):
        if checkpointing:
            model.train()
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.zero_grad()
        hidden_states(model, packed_batch_of(tokens, sounds)).pow(2).sum().backward()
        found.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], msg=name)


def test_gradients_of_a_row_are_those_of_its_samples():
    model = world.model()
    sounds, tokens = samples_of()
    hidden_states(model, packed_batch_of(tokens, sounds)).pow(2).sum().backward()
    packed = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    sum(alone(model, t, s).pow(2).sum() for t, s in zip(tokens, sounds, strict=True)).backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(packed[name], parameter.grad, atol=1e-2, rtol=1e-3, msg=name)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_positions_start_anew_with_each_sample(order):
    sounds, tokens = samples_of()
    batch = packed_batch_of([tokens[i] for i in order], [sounds[i] for i in order])
    bounds = batch["bounds"].tolist()
    assert batch["position_ids"][0, bounds[:-1]].tolist() == [0, 0, 0]
    assert bounds[-1] == batch["input_ids"].shape[1] == sum(len(t.ids) for t in tokens)


ASKED = (Turn(world.QUESTION, "low"), Turn("Describe it.", "A high tone."), Turn(world.QUESTION, "high"))


@torch.no_grad()
def test_questions_that_share_a_sound_are_each_what_they_would_be_alone():
    model, (sounds, _) = world.model(), samples_of()
    together = [tokenise_apart(world.processor(), ASKED, s.num_tokens) for s in sounds[:2]]
    row = hidden_states(model, packed_batch_of(together, sounds[:2]))[0]
    for part, tokens, sound in zip(row.split([len(t.ids) for t in together]), together, sounds, strict=False):
        edges = [*tokens.apart_from, len(tokens.ids)]
        for turn, start, end in zip(ASKED, edges, edges[1:], strict=False):
            mine = tokenise(world.processor(), (turn,), sound.num_tokens)
            seen = torch.cat([part[: edges[0]], part[start:end]])
            assert mine.ids == (*tokens.ids[: edges[0]], *tokens.ids[start:end])
            torch.testing.assert_close(seen, alone(model, mine, sound), atol=2e-5, rtol=1e-5)


@torch.no_grad()
def test_an_answer_in_a_conversation_is_seen_by_the_question_after_it_and_apart_it_is_not():
    model, (sounds, _) = world.model(), samples_of()
    other = (Turn(world.QUESTION, "high"), *ASKED[1:])
    last = []
    for way in (tokenise, tokenise_apart):
        rows = [way(world.processor(), turns, sounds[0].num_tokens) for turns in (ASKED, other)]
        before, after = (hidden_states(model, packed_batch_of([row], sounds[:1]))[0, -1] for row in rows)
        last.append((before - after).abs().max().item())
    assert last[0] > 1e-3
    assert last[1] == 0
