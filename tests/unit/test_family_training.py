"""The way of one GPU on a CPU: each published member's replica through every stage that tunes, asks and serves."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support import tiny_world as world
from support.family_replicas import write_replica
from support.listening import EVALUATE, give_held_out, heard_well, make_release, make_truth, tone
from support.served import QUESTION, body, post, serving
from transformers import MusicFlamingoForConditionalGeneration

from music_flamingo.core.stage import execute
from music_flamingo.model.adoption import adopt_model
from music_flamingo.model.answering import asks_to_think
from music_flamingo.model.files import adapters_of, load_model, save_trained
from music_flamingo.model.listener import Ask, Listener
from music_flamingo.model.lora import LoraSettings, merge_lora, tuned
from music_flamingo.model.members import MEMBERS, MemberName
from music_flamingo.stages import evaluate
from music_flamingo.stages.release import _copy_model

HALF = {**world.HARDWARE, "precision": "bf16", "gradient_checkpointing": True}
FEW = {"hardware": HALF, "threads": 1, "packing": True, "branch_weight": 1.0, "steps": 2, "checkpoint_every": 2}
REPLICAS = ("audio-flamingo-3", "music-flamingo", "music-flamingo-think", "audio-flamingo-next")
DRAWING = {"hardware": HALF, "steps": 2, "prompts_per_step": 1, "candidates": 1.0, "max_completion_tokens": 6}


PEFT_FILES = ("adapter_config.json", "adapter_model.safetensors")


def lora(**changes: object) -> dict:
    return {**world.ADAPTERS, **changes}


def begin(name: MemberName, folder: Path) -> Path:
    """Ports of songs and questions, and the replica taken over."""
    source = write_replica(folder / "published" / name, name)
    data = folder / "data"
    world.write_ports(data, count=4)
    taken = {"kind": "pretrained", "path": str(source), "member": name}
    manifest = world.run("backbone", data, model=taken)["backbone_model"]
    assert manifest.metrics["member"] == name
    return data


def dtypes(folder: Path) -> set[torch.dtype]:
    return {parameter.dtype for parameter in load_model(folder)[0].parameters()}


def loads_back(folder: Path, published: Path) -> None:
    """transformers loads the merged weights, and their names are the published ones."""
    names = json.loads((published / "model.safetensors.index.json").read_text())["weight_map"]
    from safetensors import safe_open

    found = [n for f in (folder / "model").glob("*.safetensors") for n in safe_open(f, "pt").keys()]  # noqa: SIM118
    assert sorted(found) == sorted(names)
    model, told = MusicFlamingoForConditionalGeneration.from_pretrained(
        folder / "model", output_loading_info=True, local_files_only=True
    )
    assert not told["missing_keys"] and not told["unexpected_keys"]
    assert model.dtype == torch.bfloat16


def moved(folder: Path, tuning: dict, seed: int = 0):
    """The model of `folder` as training with adapters might leave it: what learns has moved."""
    settings = LoraSettings.model_validate(tuning)
    model = tuned(load_model(folder)[0], settings, seed)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in (p for p in model.parameters() if p.requires_grad):
            assert parameter.dtype == torch.float32
            parameter += 0.05 * torch.randn(parameter.shape, generator=draw)
    return model


def test_adapters_apart_are_links_and_give_what_merging_gives(tmp_path):
    published, start = write_replica(tmp_path / "published", "music-flamingo"), tmp_path / "start"
    adopt_model(published, "music-flamingo", start)
    processor, apart, merged = load_model(start)[1], tmp_path / "apart", tmp_path / "merged"
    save_trained(moved(start, lora(keep="apart")), processor, apart, start)
    save_trained(merge_lora(moved(start, lora())), processor, merged, start)
    assert all((apart / "model" / f.name).samefile(f) for f in published.glob("*.safetensors"))
    assert sorted(p.name for p in adapters_of(apart)[0].iterdir()) == list(PEFT_FILES)
    assert str(tmp_path) not in (adapters_of(apart)[0] / "adapter_config.json").read_text()
    for (name, one), (_, two) in zip(
        load_model(merged)[0].named_parameters(), load_model(apart)[0].named_parameters(), strict=True
    ):
        assert torch.equal(one, two), name
    loads_back(merged, published)
    assert dtypes(merged) == dtypes(apart) == {torch.bfloat16}
    # a second stage learns on both, and keeps the first one's adapters
    save_trained(moved(apart, lora(keep="apart"), seed=1), processor, tmp_path / "second", apart)
    assert [path.name for path in adapters_of(tmp_path / "second")] == ["01", "02"]
    once, twice = (load_model(folder)[0].model.multi_modal_projector for folder in (apart, tmp_path / "second"))
    assert not torch.equal(once.linear_1.weight, twice.linear_1.weight)


@pytest.mark.parametrize("keep", ["merged", "apart"])
def test_files_in_which_nothing_has_changed_are_linked_through_to_the_release(tmp_path, keep):
    published, data = write_replica(tmp_path / "published", "music-flamingo"), tmp_path / "data"
    adopt_model(published, "music-flamingo", data / "backbone_model")
    processor = load_model(data / "backbone_model")[1]
    model = moved(
        data / "backbone_model", lora(keep=keep, train_projector=False, targets=r".*language_model.*\.q_proj")
    )
    trained = model if keep == "apart" else merge_lora(model)
    save_trained(trained, processor, data / "grpo_model", data / "backbone_model")
    _copy_model(data / "grpo_model", data / "release")
    index = json.loads((published / "model.safetensors.index.json").read_text())["weight_map"]
    changed = {file for name, file in index.items() if ".q_proj." in name and "language_model" in name}
    assert 0 < len(changed) < len(set(index.values()))
    for file in set(index.values()):
        released = data / "release/model" / file
        assert released.samefile(published / file) == (file not in changed) and not released.is_symlink()
    whole, released = load_model(data / "grpo_model")[0].state_dict(), load_model(data / "release")[0].state_dict()
    assert all(torch.equal(released[name], tensor) for name, tensor in whole.items())
    loads_back(data / "release", published)


def test_a_release_on_a_disk_without_links_holds_copies(tmp_path, monkeypatch):
    adopt_model(write_replica(tmp_path / "published", "music-flamingo"), "music-flamingo", tmp_path / "start")

    def refuse(*paths: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr("music_flamingo.model.weights.os.link", refuse)
    _copy_model(tmp_path / "start", tmp_path / "release")
    for file in (tmp_path / "start/model").iterdir():
        copy = tmp_path / "release/model" / file.name
        assert copy.read_bytes() == file.read_bytes() and not copy.samefile(file) and not copy.is_symlink()


def test_marks_of_audio_flamingo_3_learn_beside_adapters(tmp_path):
    adopt_model(write_replica(tmp_path / "published", "audio-flamingo-3"), "audio-flamingo-3", tmp_path)
    before, processor = load_model(tmp_path)
    after = merge_lora(moved(tmp_path, lora(train_marks=True)))
    old, new = before.get_input_embeddings().weight, after.get_input_embeddings().weight
    changed = (old != new).any(-1).nonzero().flatten().tolist()
    assert changed == [processor.audio_bos_token_id, processor.audio_eos_token_id]


def test_a_member_that_thinks_is_asked_to_think_unless_told_otherwise(tmp_path):
    from music_flamingo.evaluation.models import FolderModel

    for name in ("music-flamingo", "music-flamingo-think"):
        adopt_model(write_replica(tmp_path / name / "published", name), name, tmp_path / name)
        thinks = MEMBERS[name].answers == "think"
        model = FolderModel(tmp_path / name, None, None)
        assert (model.think, model.max_new_tokens) == (thinks, 2048)
        assert asks_to_think((tmp_path / name / "model/chat_template.jinja").read_text()) == thinks


@pytest.mark.slow
@pytest.mark.parametrize("name", REPLICAS)
def test_each_member_goes_from_its_published_folder_to_answers_over_http(name, tmp_path):
    data = begin(name, tmp_path)
    published = tmp_path / "published" / name
    full = {"kind": "full", "trains": "all"}
    world.run("sft", data, **FEW, tuning=lora(train_marks=MEMBERS[name].architecture == "audioflamingo3"))
    world.run("warmup", data, **FEW, tuning=lora(keep="apart"))
    grpo = {**DRAWING, "windows": {"rule": "random", "per_track": 1, "max_s": 2.0}}
    world.run("grpo", data, **grpo, tuning=full)
    assert dtypes(data / "grpo_model") == {torch.bfloat16}
    world.run("grpo", data, **grpo, tuning=lora())
    if MEMBERS[name].architecture == "musicflamingo":
        loads_back(data / "grpo_model", published)
    give_held_out(data, [make_truth(work) for work in range(4)])
    inputs = {port: data / port for port in evaluate.STAGE.inputs}
    outputs = {port: data / port for port in evaluate.STAGE.outputs}
    asked = {**EVALUATE, "per_family": 2, "families": ["drums"]}
    execute(evaluate.STAGE, json.dumps(asked), inputs, outputs)
    released = make_release(data, *heard_well())  # random weights would not pass the gate
    with serving(released) as server:
        answer = post(server, body(max_tokens=4))
    assert answer.status_code == 200, answer.text
    usage = answer.json()["usage"]
    # the system turn of the member is in every prompt
    listener = Listener.load(released)
    (heard,) = listener.answer([Ask(tone(), QUESTION, (), True)], max_new_tokens=4, batch_size=1)
    assert usage["prompt_tokens"] == heard.num_prompt_tokens


def test_a_published_model_answers_in_its_own_dtype(tmp_path):
    write_replica(tmp_path / "published", "music-flamingo")
    adopt_model(tmp_path / "published", "music-flamingo", tmp_path)
    listener = Listener.load(tmp_path)
    assert listener.model.dtype == torch.bfloat16
    asks = [Ask(np.zeros(32000, np.float32), "Is it low?", ("low", "high"), think) for think in (False, True)]
    assert len(listener.answer(asks, max_new_tokens=3, batch_size=2)) == 2
    assert [round(sum(row), 5) for row in listener.option_probabilities(asks, batch_size=2)] == [1.0, 1.0]
