"""Facts as JAMS: read back by the jams library where it is installed, and by its schema's shape everywhere."""

import json

import pytest
from support import songs

from music_flamingo.cli import main
from music_flamingo.products.jams import jams_of
from music_flamingo.records import Facts, Track
from music_flamingo.records.facts import Withheld

ABOUT = {"title": "A Song", "artist": None, "audio_sha256": "0" * 64}


def by_namespace(jam: dict) -> dict[str, list]:
    return {a["namespace"]: a["data"] for a in jam["annotations"]}


def test_each_fact_stands_under_the_namespace_of_its_kind_with_its_confidence():
    facts = songs.make_facts("w1/0", "w1")
    found = by_namespace(jams_of(facts, ABOUT))
    assert found["tempo"][0]["value"] == facts.tempo.bpm
    assert found["tempo"][0]["confidence"] == facts.tempo.confidence
    assert [o["time"] for o in found["beat"]] == facts.beats.beats_s
    assert [o["value"] for o in found["beat"]] == facts.beats.positions
    assert found["key_mode"][0]["value"] == facts.key.label.replace(" ", ":")
    assert [o["value"] for o in found["chord"]] == [s.label for s in facts.chords.segments]


def test_what_is_not_trusted_is_left_out_and_named():
    facts = songs.make_facts("w1/0", "w1", withheld=[Withheld(fact="key", reason="unsure")])
    jam = jams_of(facts, ABOUT)
    assert "key_mode" not in by_namespace(jam)
    assert jam["sandbox"]["withheld"] == [{"fact": "key", "reason": "unsure"}]


def test_every_track_with_facts_becomes_a_file_that_the_jams_library_validates(tmp_path, capsys):
    songs.write_port(tmp_path / "tracks", Track, [[songs.make_track("w1/0", "w1"), songs.make_track("w2/0", "w2")]])
    songs.write_port(tmp_path / "facts", Facts, [[songs.make_facts("w1/0", "w1"), songs.make_facts("w2/0", "w2")]])
    assert main(["export", "jams", "-o", str(tmp_path / "jams"), "--data", str(tmp_path)]) == 0
    assert "2 JAMS files" in capsys.readouterr().out
    paths = sorted((tmp_path / "jams").iterdir())
    assert [json.loads(p.read_text())["file_metadata"]["identifiers"]["track"] for p in paths] == ["w1/0", "w2/0"]
    jams = pytest.importorskip("jams")
    for path in paths:
        assert jams.load(str(path), strict=True).validate(strict=True)
