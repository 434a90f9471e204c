"""The controls of the warm-up: who starts from whom, what each is taught, and that the warm-up stays as it is."""

import json
from pathlib import Path

import pytest
from support import tiny_world as world
from support.songs import write_port

from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.records import Chain
from music_flamingo.scoring.families import COMPOSITES, check_sentence, parts_asked
from music_flamingo.training import supervised
from music_flamingo.training.controls import DIRECT, LONGER
from music_flamingo.training.data.items import item_of_chain, plain_item_of_chain

QUESTIONS = (
    ("either_or", "Is either chords or drums heard, but not both, yes or no?"),
    ("either_or", "Is either one melody or no drums heard, but not both, yes or no?"),
)
HEARD = ({"texture": "chords", "drums": "yes"}, {"texture": "chords", "drums": "no"})
FAMILIES_TAUGHT = {"tone": 1.0, "either_or": 1.0}


def composite_chains(plain: list[Chain]) -> list[Chain]:
    """A chain about a composite question for every track: even ones have drums, odd ones none."""
    made = []
    for number, chain in enumerate(plain):
        heard = HEARD[number % 2]
        for place, (family, question) in enumerate(QUESTIONS):
            parts = parts_asked(family, question)
            steps = [check_sentence(part, heard[part.family], "short") for part in parts]
            answer = COMPOSITES[family].follows(parts, heard)
            changes = {"family": family, "question": question, "options": ["yes", "no"], "answer": answer}
            changes |= {"id": f"{chain.id}/{place}", "example_id": f"{chain.id}/{place}", "thinking": " ".join(steps)}
            made.append(chain.model_copy(update={**changes, "steps": []}))
    return made


def chains(data: Path) -> list[Chain]:
    return list(Table(data / "think", Chain, read_manifest(data / "think")))


@pytest.fixture(scope="module")
def warmed(tmp_path_factory):
    data = tmp_path_factory.mktemp("controls")
    world.write_ports(data)
    plain = chains(data)
    write_port(data / "think", Chain, [[*plain, *composite_chains(plain)]])
    for name in ("backbone", "sft"):
        world.run(name, data)
    taught, original = [], supervised.train_supervised

    def train_supervised(stage, config, prepared, start, *folders):
        taught.append((stage, start, config))
        return original(stage, config, prepared, start, *folders)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervised, "train_supervised", train_supervised)
        manifests = world.run(
            "warmup", data, **settings(controls={"direct": 3, "longer": 2, "longer_threads": 1, "own_process": False})
        )
    return data, manifests, taught


def settings(**changes) -> dict:
    return {"families": FAMILIES_TAUGHT, "caption_families": [], "steps": 4, **changes}


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def test_both_controls_are_trained_for_their_steps_and_sealed_with_the_warm_up(warmed):
    data, manifests, _ = warmed
    port = data / "warmup_model"
    folders = {name: port / "controls" / name for name in (DIRECT, LONGER)}
    assert {name: len(lines(folder)) for name, folder in folders.items()} == {DIRECT: 3, LONGER: 2}
    assert len(lines(port)) == 4
    sealed = {entry.path for entry in manifests["warmup_model"].files}
    assert {f"controls/{name}/model/model.safetensors" for name in folders} <= sealed
    assert not any(path.startswith("_work") for path in sealed)
    assert len({weights(folder) for folder in (port, *folders.values())}) == 3


def test_direct_is_taught_the_bare_answers_of_composite_questions_alone(warmed):
    data, _, _ = warmed
    plan = json.loads((data / "warmup_model" / "controls" / DIRECT / "plan.json").read_text())
    assert plan["families"] == {"either_or": {"no": 8, "yes": 8}}
    for chain in chains(data):
        bare, thinking = plain_item_of_chain(chain), item_of_chain(chain, is_caption=False)
        assert bare.target == chain.answer and "think" not in bare.prompt
        assert thinking.target.endswith(f"<answer>{chain.answer}</answer>")
        assert bare.reference == thinking.reference and bare.options == thinking.options
    longer = json.loads((data / "warmup_model" / "controls" / LONGER / "plan.json").read_text())
    assert set(longer["families"]) == {"tone", "either_or"}


def test_direct_starts_from_sft_and_longer_from_the_warm_up_with_other_draws(warmed):
    data, _, taught = warmed
    starts = {label: start.resolve() for label, start, _ in taught}
    assert starts[DIRECT] == starts["warmup"] == (data / "sft_model").resolve()
    assert starts[LONGER] == (data / "warmup_model").resolve()
    seeds = {label: config.seed for label, _, config in taught}
    assert seeds[DIRECT] == seeds["warmup"] != seeds[LONGER]


def test_controls_leave_the_warm_up_as_it_is_without_them(warmed, tmp_path):
    data, _, _ = warmed
    for port in ("think", "tracks", "speech", "sft_model"):
        (tmp_path / port).symlink_to(data / port)
    world.run("warmup", tmp_path, **settings(controls=None))
    assert weights(tmp_path / "warmup_model") == weights(data / "warmup_model")
    assert not (tmp_path / "warmup_model" / "controls").exists()


def test_a_control_in_a_process_of_its_own_is_the_same_model(warmed, tmp_path):
    data, _, _ = warmed
    for port in ("think", "tracks", "speech", "sft_model"):
        (tmp_path / port).symlink_to(data / port)
    manifests = world.run(
        "warmup", tmp_path, **settings(controls={"direct": 3, "longer": 2, "longer_threads": 1, "own_process": True})
    )
    assert manifests["warmup_model"].digest == read_manifest(data / "warmup_model").digest
