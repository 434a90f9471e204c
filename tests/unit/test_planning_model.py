"""The planner's formulas against the real model: parameters, operations and memory as torch counts them."""

import copy
from pathlib import Path

import pytest
import torch
from support import tiny_world as world
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AudioFlamingo3EncoderConfig,
    MusicFlamingoConfig,
    MusicFlamingoForConditionalGeneration,
    Qwen2Config,
)

from music_flamingo.core.params import load_params
from music_flamingo.model.chat import Turn, hear, tokenise
from music_flamingo.model.lora import FullTuning, LoraSettings, tuned
from music_flamingo.model.packing import hidden_states, packed_batch_of
from music_flamingo.model.size import TinySize
from music_flamingo.model.tiny import build_model
from music_flamingo.planning.memory import (
    FP32,
    Memory,
    RolloutGroup,
    activations,
    drawing,
    key_value_bytes,
    language_elements,
    largest_layer,
    states,
)
from music_flamingo.planning.shape import PUBLISHED, Shape
from music_flamingo.planning.work import MODULES, StageSample, forward, reinforced, supervised, trained_parameters

ROOT = Path(__file__).resolve().parents[2]
FULL = FullTuning(kind="full", trains="all")
LORA = LoraSettings(
    kind="lora",
    rank=4,
    alpha=8,
    dropout=0.0,
    targets=r".*language_model.*\.[qkvo]_proj",
    train_projector=True,
    train_marks=False,
    keep="merged",
)
TUNINGS = [
    FULL,
    FullTuning(kind="full", trains="projector"),
    FullTuning(kind="full", trains="encoder_and_projector"),
    LORA,
]
IDS = ["full", "projector", "encoder_and_projector", "lora"]


def published_config() -> MusicFlamingoConfig:
    text = Qwen2Config(
        vocab_size=151_672,
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        max_position_embeddings=24_576,
        tie_word_embeddings=False,
    )
    return MusicFlamingoConfig(
        audio_config=AudioFlamingo3EncoderConfig(),
        text_config=text,
        rope_parameters={"rope_type": "default", "rope_theta": 1200, "partial_rotary_factor": 0.2},
    )


def on_meta(config) -> MusicFlamingoForConditionalGeneration:
    with torch.device("meta"):
        return MusicFlamingoForConditionalGeneration(copy.deepcopy(config))


@pytest.fixture(scope="module")
def published():
    return on_meta(published_config())


def tiny_shape() -> Shape:
    return Shape.of_config(world.model().config, world.SIZE.window_s)


def test_the_published_dimensions_have_the_parameters_of_the_real_model(published):
    assert Shape.of_config(published.config, 30.0) == PUBLISHED
    counts = PUBLISHED.parameters()
    assert sum(counts.values()) == sum(p.numel() for p in published.parameters())
    for part, module in MODULES.items():
        assert counts[part] == sum(p.numel() for n, p in published.named_parameters() if module in n.split(".")), part
    assert 8.2e9 < sum(counts.values()) < 8.3e9


def test_every_matrix_is_named_as_in_the_real_model(published):
    real = {
        n: (m.in_features, m.out_features, m.bias is not None)
        for n, m in published.named_modules()
        if isinstance(m, torch.nn.Linear)
    }
    assert {m.name: (m.inputs, m.outputs, m.has_bias) for m in PUBLISHED.linears()} == real


def test_the_tiny_model_is_counted_from_its_parameters_alone():
    real = Shape.of_config(world.model().config, world.SIZE.window_s)
    # the tokenizer found fewer words than it might have
    size = world.SIZE.model_copy(update={"vocabulary": real.vocabulary})
    assert Shape.of_tiny(size, world.RATE_HZ) == real
    assert sum(real.parameters().values()) == sum(p.numel() for p in world.model().parameters())


def test_the_default_model_is_counted_before_it_is_built():
    model = load_params(ROOT / "params.yaml")["backbone"]["model"]
    shape = Shape.of_tiny(TinySize.model_validate(model["size"]), model["sample_rate_hz"])
    assert shape.window_tokens == 75
    assert 1.1e6 < sum(shape.parameters().values()) < 1.3e6, "as params.yaml says"


@pytest.mark.parametrize("tuning", TUNINGS, ids=IDS)
def test_what_is_trained_is_counted_as_it_is_set_free(tuning):
    model = tuned(copy.deepcopy(world.model()), tuning, seed=0)
    assert trained_parameters(tiny_shape(), tuning) == sum(p.numel() for p in model.parameters() if p.requires_grad)


def step_of(model, seconds: float):
    """(sample, function that gives the loss) of one conversation."""
    processor = world.processor()
    sound = hear(processor, world.tone(440, seconds))
    tokens = tokenise(processor, (Turn(world.QUESTION, "low " * 12),), sound.num_tokens)
    taught = sum(tokens.is_answer)
    sample = StageSample(seconds, len(tokens.ids) - sound.num_tokens - taught, taught)
    batch = packed_batch_of([tokens], [sound])
    marks = torch.tensor(tokens.is_answer)

    def loss() -> torch.Tensor:
        bare = getattr(model, "base_model", model)
        hidden = hidden_states(model, batch)[0, :-1][marks[1:]]
        head = model.lm_head if hasattr(model, "lm_head") else bare.lm_head
        return torch.nn.functional.cross_entropy(head(hidden).float(), batch["input_ids"][0, 1:][marks[1:]])

    return sample, loss


def counted(run) -> int:
    """Operations by torch's own count. Attention as plain products: torch does not count its fused form on a CPU."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@pytest.mark.parametrize("seconds", [2.0, 4.0])
def test_operations_of_a_forward_pass_are_torchs_own(seconds):
    sample, loss = step_of(world.model(), seconds)
    with torch.no_grad():
        real = counted(loss)
    planned = forward(tiny_shape(), sample, sample.taught_tokens)
    # plain products work out what is masked as well
    assert sum(planned.values()) + planned["attention"] == pytest.approx(real, rel=1e-3)


@pytest.mark.parametrize("tuning", TUNINGS[:3], ids=IDS[:3])
def test_operations_of_a_step_are_torchs_own_within_a_tenth(tuning):
    model = tuned(copy.deepcopy(world.model()).train(), tuning, seed=0)
    sample, loss = step_of(model, 4.0)
    real = counted(lambda: loss().backward())
    masked = 3 * forward(tiny_shape(), sample, sample.taught_tokens)["attention"]
    assert supervised(tiny_shape(), sample, tuning) + masked == pytest.approx(real, rel=0.1)


def kept_by(loss, model) -> int:
    """Bytes that autograd holds for the backward pass when the forward pass is done."""
    held: dict[int, int] = {}

    def hold(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if not isinstance(tensor, torch.nn.Parameter) and storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        loss()
    return sum(held.values())


@pytest.mark.parametrize("wider", [1, 4])
def test_what_the_backward_pass_keeps_is_estimated_within_a_seventh(wider):
    """Of a model deep enough that layers are what counts."""
    size = world.SIZE.model_copy(
        update={"encoder_layers": 3, "language_layers": 6, "width": 32 * wider, "feed_forward": 96 * wider}
    )
    model = build_model(world.processor(), size, seed=1).train()
    shape = Shape.of_config(model.config, size.window_s)
    sample, loss = step_of(model, 4.0)
    estimated = activations(shape, FULL, sample, FP32, checkpointing=False)
    estimated += 2 * FP32 * sample.taught_tokens * shape.vocabulary
    assert estimated / kept_by(loss, model) == pytest.approx(1.0, abs=0.15)


def test_checkpointing_keeps_a_layers_input_and_one_layers_inside():
    sample = StageSample(audio_s=900.0, read_tokens=500, taught_tokens=600)
    without, with_it = (activations(PUBLISHED, LORA, sample, 2, checkpointing=on) for on in (False, True))
    length = sample.length(PUBLISHED)
    inside = language_elements(PUBLISHED) * length * 2
    assert without - with_it == pytest.approx(27 * inside - 28 * PUBLISHED.width * length * 2)


def test_states_of_adam_are_sixteen_bytes_a_weight_however_they_are_divided():
    """Zero redundancy (Rajbhandari et al. 2020): 2 + 2 + 12 bytes, of which stage 2 leaves the weights whole."""
    every = sum(PUBLISHED.parameters().values())
    frozen = PUBLISHED.encoder_positions * PUBLISHED.encoder_width
    gathered = 2 * largest_layer(PUBLISHED) * 2
    for parallel, expected in {"zero2": 2 + 14 / 64, "zero3": 16 / 64, "fsdp2": 16 / 64}.items():
        total = sum(states(PUBLISHED, FULL, parallel, 64, "bf16", with_reference=False))
        total -= gathered if parallel != "zero2" else 0
        assert total == pytest.approx(expected * every, rel=2 * frozen / every)


def test_keys_and_values_are_as_large_as_transformers_cache():
    from transformers import DynamicCache

    model, cache = world.model(), DynamicCache()
    with torch.no_grad():
        model.model.language_model(input_ids=torch.zeros(1, 7, dtype=torch.long), past_key_values=cache, use_cache=True)
    real = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert 7 * key_value_bytes(tiny_shape(), FP32) == real


def test_keys_and_values_are_kept_in_float32_where_weights_are_though_products_are_in_bfloat16():
    from transformers import DynamicCache

    model, cache = world.model(), DynamicCache()
    ids = torch.zeros(1, 7, dtype=torch.long)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        model.model.language_model(input_ids=ids, past_key_values=cache, use_cache=True)
    shape, sample, group = tiny_shape(), StageSample(0.0, 0, 7), RolloutGroup(answers=1, prompts=1, in_a_part=1)
    real = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert drawing(shape, sample, group, "single", "bf16") == real


def test_sharded_weights_are_whole_while_answers_are_drawn_and_drawing_is_not_added_to_learning():
    sample, group = StageSample(210.0, 60, 330), RolloutGroup(answers=40, prompts=8, in_a_part=5)
    whole = sum(PUBLISHED.parameters().values()) * 2
    in_pieces, one = (drawing(PUBLISHED, sample, group, way, "bf16") for way in ("fsdp2", "zero2"))
    assert in_pieces - one == whole
    held = Memory(weights=1.0, gradients=1.0, optimiser=1.0, activations=2.0, logits=1.0, drawing=5.0)
    assert held.total == 8.0


def test_a_group_in_one_part_reads_its_prompt_once_and_a_group_in_five_parts_five_times():
    sample, silent = StageSample(audio_s=210.0, read_tokens=60, taught_tokens=330), StageSample(210.0, 60, 0)
    together, apart = (reinforced(PUBLISHED, sample, LORA, 5, False, readings) for readings in (1.0, 5.0))
    assert (together.drawing, together.reading) == (apart.drawing, apart.reading)
    assert apart.training == pytest.approx(5 * supervised(PUBLISHED, sample, LORA))
    assert apart.training - together.training == pytest.approx(4 * supervised(PUBLISHED, silent, LORA))


def test_drawing_an_answer_costs_a_forward_pass_over_its_words():
    """Whether the words are read at once or drawn one by one, the same products are worked out."""
    sample = StageSample(audio_s=120.0, read_tokens=80, taught_tokens=200)
    found = reinforced(PUBLISHED, sample, FULL, generations=1, with_reference=False)
    once = forward(PUBLISHED, sample, sample.taught_tokens)
    head = PUBLISHED.head_operations(1)
    assert found.drawing + found.reading - head == pytest.approx(sum(once.values()))
    assert found.training == pytest.approx(supervised(PUBLISHED, sample, FULL))
