"""Data set cards: their figures are the data's, the `datasets` library reads them, equal data give equal cards."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from datasets import Audio, Features, load_dataset
from support.report_ports import HOSTILE_TITLE
from support.songs import make_facts, make_track, params, run_stage, write_port

from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.record import arrow_schema, read_parquet
from music_flamingo.core.shards import shard_paths
from music_flamingo.mir.choices.chords import CHORDINO
from music_flamingo.products.cards.front_matter import features
from music_flamingo.products.cards.parts import public
from music_flamingo.products.cards.tables import Spread, table
from music_flamingo.products.joined import joined
from music_flamingo.records import MEASURED, Caption, Chain, Example, Facts, Track
from music_flamingo.stages import captions, synthesize, validate

SPLITS = ("train", "train", "dev", "test")


@pytest.fixture(scope="module")
def annotated(tmp_path_factory) -> Path:
    """Eight tracks in two shards, annotated by the real stages from hand-made facts."""
    data = tmp_path_factory.mktemp("cards")
    tracks = [make_track(f"w{k}/0", f"w{k}", SPLITS[k % 4], tradition=("irish", None)[k % 2]) for k in range(8)]
    facts = [make_facts(t.id, work_id=t.work_id) for t in tracks]
    write_port(data / "tracks", Track, [tracks[:4], tracks[4:]])
    write_port(data / "facts", Facts, [facts[:4], facts[4:]], licences=(CHORDINO,))
    for stage in (captions.STAGE, synthesize.STAGE, validate.STAGE):
        run_stage(stage, config(stage.name), data)
    return data


def config(stage: str) -> dict:
    values = params(stage)
    if stage == "validate":
        values["expected"] = {**values["expected"], "min_kept_fraction": 0.0, "min_questions": 0.0}
    return values


def card(data: Path, port: str = "skills") -> str:
    return (data / port / "README.md").read_text()


def rows_of(text: str, heading: str) -> list[list[str]]:
    """The cells of all tables below a heading, their heads left out."""
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [row for k, row in enumerate(lines) if not row[0].startswith("---") and not _is_head(lines, k)]


def _is_head(lines: list[list[str]], k: int) -> bool:
    return k + 1 < len(lines) and lines[k + 1][0].startswith("---")


def examples(data: Path, port: str) -> list[Example]:
    return [e for path in shard_paths(data / port) for e in read_parquet(path, Example)]


def test_every_figure_of_the_card_is_the_datas(annotated):
    kept, text = examples(annotated, "skills"), card(annotated)
    by_family = Counter(e.family for e in kept)
    told = {row[0].replace("\\", ""): int(row[-1]) for row in rows_of(text, "Families and splits")}
    assert told == {**by_family, "all": len(kept)}
    by_skill = Counter(e.skill for e in kept)
    assert {row[0]: int(row[-1]) for row in rows_of(text, "Skills and types")} == {**by_skill, "all": len(kept)}
    reasons = Counter(e.status.split(":")[1] for e in examples(annotated, "rejects"))
    if reasons:
        assert {r: int(n) for r, n in rows_of(text, "Rejects")} == reasons
    words = {row[0]: row[1:] for row in rows_of(text, "Lengths in words")}
    answers = [len(e.answer.split()) for e in kept if e.skill != "caption"]
    assert words["answer"][0] == str(len(answers))
    assert words["answer"][3] == f"{sum(answers) / len(answers):.1f}"
    prompts = Counter((e.teacher.prompt_id, e.teacher.prompt_sha256) for e in kept)
    assert {(r[3], r[4]): int(r[5]) for r in rows_of(text, "Who wrote the words")} == prompts


def test_the_card_tells_music_tools_configurations_and_licences(annotated):
    text = card(annotated)
    music = rows_of(text, "The music")
    assert ["train", "4", "4"] in music
    assert ["irish", "4", "0.02"] in music
    assert {row[0] for row in rows_of(text, "Tools that measured the facts")} <= set(MEASURED)
    assert f"gave `candidates` with digest {read_manifest(annotated / 'candidates').digest}" in text
    assert "- Chordino (chords): GPL-2.0. Cite: M. Mauch" in text


def test_without_a_name_the_library_gives_training_rows_alone(annotated, tmp_path):
    kept = Counter(e.split for e in examples(annotated, "skills"))
    folder, cache = str(annotated / "skills"), str(tmp_path)
    for name in ("train", "dev", "test"):
        rows = load_dataset(folder, name, cache_dir=cache)[name]
        assert len(rows) == kept[name]
        assert set(rows["split"]) == {name}
    assert len(load_dataset(folder, cache_dir=cache)["train"]) == kept["train"]
    assert len(load_dataset(folder, "all", cache_dir=cache)["rows"]) == kept.total()
    streamed = load_dataset(folder, "test", streaming=True)["test"]
    assert sum(1 for _ in streamed) == kept["test"]


@pytest.mark.parametrize("record", [Track, Facts, Caption, Example, Chain])
def test_the_features_of_the_front_matter_are_those_of_the_shards(record):
    told = Features._from_yaml_list(features(arrow_schema(record)))
    expected = Features.from_arrow_schema(arrow_schema(record))
    if record is Track:
        expected["audio"] = Audio(decode=False)
    assert told == expected


def test_the_front_matter_is_yaml_with_size_tags_and_licence(annotated):
    head = yaml.safe_load(card(annotated).split("---\n")[1])
    assert head["size_categories"] == ["n<1K"]
    assert head["license"] == "other"
    assert "music" in head["tags"]


def test_equal_inputs_give_equal_cards(annotated, tmp_path):
    for port in ("tracks", "facts", "candidates"):
        (tmp_path / port).symlink_to(annotated / port)
    run_stage(validate.STAGE, config("validate"), tmp_path)
    assert card(tmp_path) == card(annotated)
    assert read_manifest(tmp_path / "skills").digest == read_manifest(annotated / "skills").digest


def test_a_card_shows_no_path_no_address_and_no_secrets_name():
    config = {
        "source": {"kind": "audio_folder", "path": "/home/me/songs"},
        "teacher": {"kind": "openai_compatible", "model": "m", "base_url": "http://10.0.0.1/v1", "api_key_env": "KEY"},
        "lyrics": {"kind": "endpoint", "url": "http://10.0.0.2"},
        "seed": 1,
    }
    text = yaml.safe_dump(public(config))
    assert not re.search(r"/home|http|KEY", text)
    assert "openai_compatible" in text


def test_other_peoples_words_stay_in_their_cell():
    row = table(["a", "b"], [[HOSTILE_TITLE + "\n| x |", 1]])[2]
    assert "\n" not in row
    assert "<script>" not in row
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


def test_a_spread_is_that_of_the_values():
    spread = Spread.of(Counter([3, 1, 4, 1]))
    assert (spread.number, spread.least, spread.median, spread.mean, spread.greatest) == (4, 1, 2.0, 2.25, 4)
    assert Spread.of(Counter([7])).median == 7


# --- with the audio beside each row -------------------------------------------------------------------------------


def test_questions_are_joined_with_the_audio_of_their_track(annotated):
    rows = list(joined(annotated, "skills", "test"))
    of_test = [e for e in examples(annotated, "skills") if e.split == "test"]
    assert sorted(r["id"] for r in rows) == sorted(e.id for e in of_test)
    assert {"audio", "question", "answer"} <= set(rows[0])
    assert rows[0]["audio"]["sampling_rate"] == 16000
    assert len(rows[0]["audio"]["array"]) == 16 * 16000


def test_the_joined_audio_can_stay_flac(annotated):
    row = next(iter(joined(annotated, "skills", "train", decode=False)))
    assert row["audio"]["bytes"][:4] == b"fLaC"


def test_workers_share_the_shards_of_the_joined_view(annotated):
    assert joined(annotated, "skills").num_shards == 2


def test_tracks_open_with_their_audio_undecoded(annotated, tmp_path):
    """The library's own decoding needs torchcodec; the bytes are FLAC that soundfile reads."""
    from music_flamingo.audio.flac import decode_flac

    track = load_dataset(str(annotated / "tracks"), cache_dir=str(tmp_path))["train"][0]
    assert len(decode_flac(track["audio"]["bytes"])) == 16 * 16000


def test_licences_of_every_stage_before_reach_the_manifest(annotated):
    tools = [licence.tool for licence in read_manifest(annotated / "skills").licences]
    assert tools == ["Chordino (chords)"]


def test_croissant_metadata_is_valid_and_gives_the_rows(annotated):
    mlcroissant = pytest.importorskip("mlcroissant")
    data_set = mlcroissant.Dataset(jsonld=str(annotated / "skills/croissant.json"))
    metadata = data_set.metadata
    assert not metadata.ctx.issues.errors
    assert metadata.ctx.issues.warnings <= {w for w in metadata.ctx.issues.warnings if "datePublished" in w}
    found = [r[f"{s.uuid}/id"].decode() for s in metadata.record_sets for r in data_set.records(s.uuid)]
    assert found == [e.id for path in shard_paths(annotated / "skills") for e in read_parquet(path, Example)]
