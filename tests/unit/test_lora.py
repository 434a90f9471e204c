"""Adapters: what learns, that merging changes nothing, and that a saved adapter comes back."""

import pytest
import torch
from peft import PeftModel
from pydantic import ValidationError
from support import tiny_world as world

from music_flamingo.core.errors import ConfigError
from music_flamingo.model.chat import Turn, batch_of, tokenise
from music_flamingo.model.files import load_model, save_model
from music_flamingo.model.lora import LoraSettings, add_lora, bare, choose_parts, merge_lora
from music_flamingo.training.data.audio import SoundBank, TrainingWindow

SETTINGS = {
    "kind": "lora",
    "rank": 4,
    "alpha": 8,
    "dropout": 0.0,
    "targets": r".*language_model.*\.(q|k|v|o|gate|up|down)_proj",
    "train_projector": False,
    "train_marks": False,
    "keep": "merged",
}


def settings(**changes: object) -> LoraSettings:
    return LoraSettings.model_validate({**SETTINGS, **changes})


def learning(model) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def logits(model) -> torch.Tensor:
    processor = world.processor()
    sound = SoundBank(processor, world.tracks(1))(TrainingWindow("t0", 0, 32_000))
    tokens = tokenise(processor, (Turn(world.QUESTION, "low"),), sound.num_tokens)
    with torch.no_grad():
        return model(**batch_of(processor, [tokens], [sound], padding_side="right")).logits


def moved(model):
    """As after training: adapters and whatever else learns are no longer where they began."""
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
    return model


def test_only_adapters_of_the_language_model_learn():
    names = learning(add_lora(world.model(), settings()))
    assert len(names) == 2 * 7
    assert all("language_model.layers.0." in name and "lora_" in name for name in names)


def test_the_projector_learns_too_where_asked():
    names = learning(add_lora(world.model(), settings(train_projector=True)))
    projector = {name for name in names if "multi_modal_projector" in name}
    assert len(projector) == 4
    assert len(names) == 2 * 7 + 4


def test_a_bare_layer_name_is_refused():
    with pytest.raises(ValidationError, match="name the tower"):
        settings(targets="q_proj")


def test_targets_that_match_nothing_are_an_error():
    with pytest.raises(ConfigError, match=r"language_model\.nothing"):
        add_lora(world.model(), settings(targets="language_model.nothing"))


def test_fresh_adapters_change_nothing_and_are_drawn_from_their_seed():
    torch.testing.assert_close(logits(add_lora(world.model(), settings())), logits(world.model()), rtol=0, atol=0)
    one, again, other = (add_lora(world.model(), settings(), seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("train_projector", [False, True])
def test_merged_logits_equal_unmerged_ones(train_projector):
    model = moved(add_lora(world.model(), settings(train_projector=train_projector)))
    unmerged = logits(model)
    assert (unmerged - logits(world.model())).abs().max() > 0.1
    merged = merge_lora(model)
    assert type(merged) is type(world.model())
    assert merged.state_dict().keys() == world.model().state_dict().keys()
    torch.testing.assert_close(logits(merged), unmerged, rtol=1e-4, atol=1e-4)


def test_a_merged_model_is_saved_and_loaded_as_any_other(tmp_path):
    merged = merge_lora(moved(add_lora(world.model(), settings(train_projector=True))))
    save_model(merged, world.processor(), tmp_path)
    torch.testing.assert_close(logits(load_model(tmp_path)[0]), logits(merged), rtol=0, atol=0)


def test_a_saved_adapter_comes_back(tmp_path):
    model = moved(add_lora(world.model(), settings(train_projector=True)))
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(world.model(), tmp_path)
    torch.testing.assert_close(logits(again), logits(model), rtol=0, atol=0)


def test_without_adapters_the_model_is_the_one_that_was_there():
    model = moved(add_lora(world.model(), settings(train_projector=True)))
    with model.disable_adapter():
        torch.testing.assert_close(logits(model), logits(world.model()), rtol=0, atol=0)
    assert type(bare(model)) is type(world.model())


@pytest.mark.parametrize(
    ("trains", "parts"),
    [
        ("projector", {"multi_modal_projector"}),
        ("encoder_and_projector", {"multi_modal_projector", "audio_tower"}),
        ("all", {"multi_modal_projector", "audio_tower", "language_model", "lm_head"}),
    ],
)
def test_exactly_the_chosen_parts_learn(trains, parts):
    model = world.model()
    choose_parts(model, trains)
    names = learning(model)
    assert {name.removeprefix("model.").split(".")[0] for name in names} == parts
    assert "model.audio_tower.embed_positions.weight" not in names
    choose_parts(model, "all")
    assert learning(model) == learning(world.model())
