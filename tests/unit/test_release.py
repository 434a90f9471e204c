"""The gate of a release, what lies in it, and every way in which it is refused when it is opened."""

import json
import pickle
import random
import shutil
import zipfile
from pathlib import Path

import pytest
from support.listening import difference, give_model, heard_well, make_release, score

from music_flamingo.core.errors import CorruptDataError, MissingInputError, UserError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.evaluation.gate import ReleaseGate, margins, reasons_against
from music_flamingo.evaluation.summary import Evaluation
from music_flamingo.serving.bundle import CHECKSUMS_FILE, open_release, require_harmless, seal, verify_checksums

GATE = ReleaseGate(min_families=1, min_margin=0.2, min_works=10)


# --- the gate --------------------------------------------------------------------------------------------------------


def test_a_model_that_hears_passes():
    assert reasons_against(*heard_well(), GATE) == []


@pytest.mark.parametrize("control", ["shuffled", "none"])
def test_an_interval_that_touches_zero_is_refused(control):
    scores, evaluation = heard_well(**{f"low_{control}": 0.0})
    (reason,) = reasons_against(scores, evaluation, GATE)
    assert "not clearly better" in reason and "+0.0 points" in reason


def test_an_interval_just_above_zero_passes():
    assert reasons_against(*heard_well(low_shuffled=1e-6, low_none=1e-6), GATE) == []


def test_twenty_points_are_enough_and_a_hair_less_is_not():
    assert reasons_against(*heard_well(drums=0.5 + 0.2), GATE) == []
    (reason,) = reasons_against(*heard_well(drums=0.5 + 0.1999), GATE)
    assert "0 families are at least 20 points above" in reason and "drums +20" in reason


def test_the_margin_is_counted_over_the_highest_of_both_controls_and_chance():
    scores = [score("audio", "mode", 0.8), score("shuffled", "mode", 0.1), score("none", "mode", 0.3)]
    assert margins(scores, {"mode": 0.5}) == {"mode": pytest.approx(0.3)}
    assert margins(scores, {"mode": 0.2}) == {"mode": pytest.approx(0.5)}


def test_a_good_caption_is_no_family_of_questions():
    scores = [
        score(c, f, v) for c, v in (("audio", 0.9), ("shuffled", 0.1), ("none", 0.1)) for f in ("short_caption", "all")
    ]
    assert margins(scores, {"short_caption": 0.4}) == {}


def test_very_few_works_prove_nothing():
    scores, evaluation = heard_well()
    few = [s.model_copy(update={"num_works": 9}) for s in scores]
    assert reasons_against(few, evaluation, GATE) == ["9 held-out works were asked about; the gate wants 10"]


def test_a_comparison_that_was_never_made_is_refused():
    scores, evaluation = heard_well()
    alone = evaluation.model_copy(update={"differences": evaluation.differences[:1]})
    assert reasons_against(scores, alone, GATE) == ["GRPO was not compared with silence"]


def test_another_models_gain_does_not_help():
    scores, evaluation = heard_well(low_none=-0.1)
    better = difference("none", 0.3).model_copy(update={"model": "sft", "minus_model": "sft"})
    changed = evaluation.model_copy(update={"differences": [*evaluation.differences, better]})
    assert len(reasons_against(scores, changed, GATE)) == 1


# --- what lies in it -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> Path:
    return make_release(tmp_path_factory.mktemp("data"), *heard_well())


@pytest.fixture
def copy(released, tmp_path) -> Path:
    return Path(shutil.copytree(released, tmp_path / "release"))


def test_a_release_holds_weights_card_scores_and_checksums(released):
    info = open_release(released)
    assert info.status == "released"
    assert [q.family for q in info.questions] == ["drums"]
    assert info.max_audio_s == 6.0
    names = {p.relative_to(released).as_posix() for p in released.rglob("*") if p.is_file()}
    assert {"MODEL_CARD.md", "evaluation.json", "release.json", "checksums.json", "model/model.safetensors"} <= names
    assert set(json.loads((released / "checksums.json").read_text())) == names - {"checksums.json", "_manifest.json"}
    assert read_manifest(released).metrics["released"] is True


def test_the_card_tells_scores_data_teacher_licences_and_limits(released):
    card = (released / "MODEL_CARD.md").read_text()
    assert card.startswith("> music-flamingo passed the gate")
    for told in ("| drums | 90 (20) | 50 | 90 [85, 95] |", "8 of 4 works", "teacher: scripted", "CC BY-NC-SA", "6 s"):
        assert told in card


def test_families_that_could_not_be_taught_are_not_promised(tmp_path):
    give_model(tmp_path, "grpo_model", seed=0)
    (tmp_path / "grpo_model" / "plan.json").write_text(json.dumps({"left_out": {"drums": "only one answer (yes)"}}))
    families, requests = ["drums", "mode", "short_caption", "cadence"], {"short_caption": "Describe this."}
    release = make_release(tmp_path, *heard_well(), families=families, requests=requests)
    assert [(q.family, q.question) for q in open_release(release).questions] == [
        ("mode", "Is this piece in a major or a minor key?"),
        ("short_caption", "Describe this."),
        ("cadence", None),
    ]


def test_the_same_inputs_give_the_same_release(released, tmp_path):
    again = make_release(tmp_path, *heard_well())
    assert read_manifest(again).digest == read_manifest(released).digest


def test_a_refused_release_keeps_the_card_and_drops_the_weights(tmp_path):
    release = make_release(tmp_path, *heard_well(low_none=-0.01))
    assert read_manifest(release).metrics["status"] == "refused"
    assert not list(release.rglob("*.safetensors"))
    assert (release / "MODEL_CARD.md").read_text().startswith("> **Refused**")
    with pytest.raises(UserError, match=r"was refused and holds no weights.*not clearly better.*silence"):
        open_release(release)


def test_a_model_that_was_never_evaluated_is_released_as_that(tmp_path):
    _, evaluation = heard_well()
    nothing = Evaluation(note="no truth: evaluation skipped", chance={}, differences=[], corpus=evaluation.corpus)
    release = make_release(tmp_path, [], nothing)
    assert open_release(release).status == "unevaluated"
    assert (release / "MODEL_CARD.md").read_text().startswith("> **Not evaluated**")
    assert (release / "model" / "model.safetensors").is_file()


def test_a_pickle_among_the_models_files_stops_the_release(tmp_path):
    give_model(tmp_path, "grpo_model", seed=0)
    (tmp_path / "grpo_model" / "model" / "extra.bin").write_bytes(pickle.dumps({"weights": 1}))
    with pytest.raises(CorruptDataError, match=r"extra\.bin may not be part of a release"):
        make_release(tmp_path, *heard_well())


# --- opening it ------------------------------------------------------------------------------------------------------


def test_a_flipped_bit_anywhere_is_refused(copy):
    rng = random.Random(7)
    files = sorted(p for p in copy.rglob("*") if p.is_file() and p.name != "_manifest.json")
    assert len(files) >= 9
    for path in files:
        original = path.read_bytes()
        changed = bytearray(original)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        with pytest.raises(CorruptDataError):
            open_release(copy)
        path.write_bytes(original)
    assert open_release(copy).status == "released"


@pytest.mark.parametrize("name", ["model/model.safetensors", "model/tokenizer.json", "MODEL_CARD.md", "release.json"])
def test_a_missing_file_is_refused(copy, name):
    (copy / name).unlink()
    with pytest.raises((CorruptDataError, MissingInputError), match=name.split("/")[-1]):
        open_release(copy)


def test_a_release_without_checksums_is_refused(copy):
    (copy / CHECKSUMS_FILE).unlink()
    with pytest.raises(CorruptDataError, match=r"without checksums is not loaded"):
        open_release(copy)


def test_a_file_too_many_is_refused(copy):
    (copy / "model" / "added.json").write_text("{}")
    with pytest.raises(CorruptDataError, match=r"added\.json is no part of the release"):
        open_release(copy)


def torch_pickle(path: Path) -> None:
    import torch

    torch.save({"weight": torch.zeros(2)}, path)


def plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weight": 0}))


def zipped_pickle(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps({"weight": 0}))


@pytest.mark.parametrize("write", [torch_pickle, plain_pickle, zipped_pickle])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.safetensors", "vocab.txt", "notes.json", "x.pkl"])
def test_any_pickle_is_refused_under_any_name_even_with_a_checksum(copy, write, name):
    write(copy / "model" / name)
    with pytest.raises(CorruptDataError, match=r"pickle|may not be part"):
        seal(copy)
    with pytest.raises(CorruptDataError):
        require_harmless(copy / "model" / name)


def test_a_text_pickle_is_not_taken_for_json_or_safetensors(copy):
    for name in ("model/generation_config.json", "model/model.safetensors"):
        (copy / name).write_bytes(pickle.dumps({"weight": 0}, protocol=0))
        with pytest.raises(CorruptDataError, match=r"is not (JSON|a safetensors file)"):
            require_harmless(copy / name)


def test_code_that_a_model_brings_along_is_refused(copy):
    config = copy / "model" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "auto_map": {"AutoModel": "own.Model"}}))
    with pytest.raises(CorruptDataError, match="auto_map"):
        seal(copy)
    with pytest.raises(CorruptDataError):
        open_release(copy)


def test_a_link_out_of_the_release_is_refused(copy, tmp_path):
    (tmp_path / "elsewhere.json").write_text("{}")
    (copy / "model" / "config.json").unlink()
    (copy / "model" / "config.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(CorruptDataError, match="may not be part"):
        verify_checksums(copy)


def test_a_model_trained_with_another_prompt_is_not_served(copy):
    told = json.loads((copy / "release.json").read_text())
    (copy / "release.json").write_text(json.dumps({**told, "prompt_sha256": "0" * 64}))
    seal(copy)
    with pytest.raises(UserError, match="another wording of the prompt"):
        open_release(copy)


def test_a_folder_without_a_release_says_what_to_run(tmp_path):
    with pytest.raises(MissingInputError, match="make run"):
        open_release(tmp_path)
