"""Annotations made elsewhere become facts and captions with their origin, and JAMS files come back as they left."""

import gzip
import hashlib
import io
import json
from pathlib import Path

import pytest
from support import songs

from music_flamingo.cli import main
from music_flamingo.core.errors import UserError
from music_flamingo.core.measurements import MeasurementStore
from music_flamingo.products.jams import jams_of
from music_flamingo.records import Facts, Genre, Instruments, Track, Vocals
from music_flamingo.records.facts import Withheld
from music_flamingo.sources.about import name_of
from music_flamingo.sources.annotated import read_annotated, with_annotated
from music_flamingo.sources.annotated.jams_files import JamsFile, recording_of
from music_flamingo.sources.annotated.listings import read_jamendo, read_musiccaps

ABOUT = {"title": "A Song", "artist": None, "audio_sha256": "a" * 64}
PLACED = ("tempo", "beats", "key", "chords", "sections", "lyrics", "instruments", "genre", "voice")
JAMENDO = """TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS
track_0000214\tartist_000014\talbum_000031\t14/214.mp3\t124.6\tgenre---punkrock\tinstrument---electricguitar\tinstrument---voice
track_0000215\tartist_000014\talbum_000031\t15/215.mp3\t151.4\tgenre---metal\tmood/theme---dark
"""
MUSICCAPS_HEADER = "ytid,start_s,end_s,audioset_positive_labels,aspect_list,caption,author_id"
MUSICCAPS = f"""{MUSICCAPS_HEADER},is_balanced_subset,is_audioset_eval
-0Gj8-vB1q4,30,40,/m/0140xf,"['low quality']","A ballad, with a ""passionate"" singer.",4,False,False
-0SdAVK79lg,30,40,/m/0155w,"['guitar']",This song features an electric guitar.,0,False,True
"""


def tagged(**changes) -> Facts:
    instruments = {"labels": [{"name": "drums", "probability": 0.9}, {"name": "piano", "probability": 0.8}]}
    return songs.make_facts(
        lyrics=songs.with_lyrics(),
        instruments=Instruments.model_validate({**songs.TOOL, "confidence": 0.8, **instruments}),
        genre=Genre.model_validate({**songs.TOOL, "confidence": 0.8, "labels": [{"name": "jazz", "probability": 0.8}]}),
        voice=Vocals(present=True, heard=songs.segments(["singing"], 4.0), confidence=0.9, **songs.TOOL),
        **changes,
    )


def read_back(jam: dict, confidence: float = 1.0) -> Facts:
    known = recording_of(JamsFile.model_validate_json(json.dumps(jam)), ("w1/0",), confidence)
    assert known.unread == ()
    return with_annotated(songs.empty_facts(), songs.empty_facts().model_copy(update=known.facts))


def test_facts_that_left_as_jams_come_back_equal():
    facts = tagged()
    back = read_back(jams_of(facts, ABOUT))
    assert {name: getattr(back, name) for name in PLACED} == {name: getattr(facts, name) for name in PLACED}


def test_bars_that_nobody_trusts_stay_unknown_on_the_way_back():
    beats = songs.make_facts().beats.model_copy(update={"beats_per_bar": None})
    assert read_back(jams_of(songs.make_facts(beats=beats), ABOUT)).beats == beats


def test_what_was_withheld_is_not_in_the_file_and_does_not_come_back():
    facts = songs.make_facts(withheld=[Withheld(fact="key", reason="unsure")])
    assert read_back(jams_of(facts, ABOUT)).key is None


def test_the_jams_library_validates_what_leaves_and_mir_eval_finds_it_equal_to_itself():
    jams = pytest.importorskip("jams")
    jam = jams.load(io.StringIO(json.dumps(jams_of(tagged(), ABOUT))))
    assert jam.validate(strict=True)
    one = {space: jam.search(namespace=space)[0] for space in ("beat", "chord", "segment_open", "tempo")}
    assert jams.eval.beat(one["beat"], one["beat"])["F-measure"] == 1.0
    assert jams.eval.chord(one["chord"], one["chord"])["thirds"] == 1.0
    assert jams.eval.segment(one["segment_open"], one["segment_open"])["F-measure@0.5"] == 1.0


def foreign(**annotations) -> dict:
    origin = {"corpus": "Isophonics", "data_source": "expert human", "version": "2.0"}
    given = [{"namespace": space, "annotation_metadata": origin, "data": data} for space, data in annotations.items()]
    return {"file_metadata": {"duration": 8.0, "identifiers": {}}, "annotations": given}


def at(time, duration, value, confidence=None) -> dict:
    return {"time": time, "duration": duration, "value": value, "confidence": confidence}


def test_annotations_by_people_have_their_corpus_as_their_origin():
    jam = foreign(
        key_mode=[at(0, 3, "D:aeolian"), at(3, 5, "F:ionian")], beat=[at(k / 2, 0, k % 3 + 1) for k in range(9)]
    )
    known = recording_of(JamsFile.model_validate(jam), ("x",), 0.9)
    key, beats = known.facts["key"], known.facts["beats"]
    assert (key.label, [c.label for c in key.changes]) == ("F major", ["D minor", "F major"])
    assert (key.tool, key.tool_version, key.confidence) == ("Isophonics (expert human)", "2.0", 0.9)
    assert beats.beats_per_bar == 3


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({"key_mode": [at(0, 8, "D:dorian")]}, "key_mode: dorian is neither major nor minor"),
        ({"key_mode": [at(0, 8, "D")]}, "key_mode: a key without its mode is neither major nor minor"),
        ({"chord_harte": [at(0, 8, "H:maj")]}, "chord_harte: Value error, not a chord label: 'H:maj'"),
        ({"beat": [at(1, 0, 1), at(1, 0, 2)]}, "beat: Value error, beats_s must increase: 1.0 follows 1.0"),
        ({"pitch_contour": [at(0, 1, 440)]}, "pitch_contour: no fact of this project"),
        (
            {"chord": [at(0, 8, "C:maj")], "chord_harte": [at(0, 8, "D:maj")]},
            "chord_harte: a further annotation of the same kind",
        ),
    ],
)
def test_what_cannot_be_said_here_is_counted_and_the_rest_is_read(annotations, said):
    known = recording_of(JamsFile.model_validate(foreign(tempo=[at(0, 8, 99.0)], **annotations)), ("x",), 1.0)
    assert known.unread == (said,)
    assert known.facts["tempo"].bpm == 99.0


def test_a_folder_of_jams_finds_its_songs_and_says_what_belongs_to_none(tmp_path, capsys):
    jam = json.dumps(jams_of(songs.make_facts(), {**ABOUT, "audio_sha256": ""})).replace('"w1/0"', '""')
    (tmp_path / "music/album").mkdir(parents=True)
    (tmp_path / "music/album/one.mp3").write_bytes(b"")
    (tmp_path / "jams/album").mkdir(parents=True)
    (tmp_path / "jams/album/one.jams").write_text(jam)
    (tmp_path / "jams/stray.jamz").write_bytes(gzip.compress(jam.encode()))
    arguments = [
        "import",
        "jams",
        str(tmp_path / "jams"),
        "--songs",
        str(tmp_path / "music"),
        "-o",
        str(tmp_path / "out"),
    ]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "1 recordings: facts of 1, 0 captions" in said
    assert "1 annotations belong to no recording here: stray" in said
    found = read_annotated(str(tmp_path / "out/facts.jsonl"))
    assert [(f.id, f.key.label) for f in found.values()] == [(name_of("album/one.mp3"), "C major")]


def test_two_annotations_of_one_recording_are_refused(tmp_path):
    (tmp_path / "one.jams").write_text(json.dumps(jams_of(songs.make_facts(), ABOUT)))
    (tmp_path / "two.jams").write_text(json.dumps(jams_of(songs.make_facts(), ABOUT)))
    assert main(["import", "jams", str(tmp_path), "-o", str(tmp_path / "out")]) == 2


@pytest.mark.parametrize("content", ["{", "[]", '{"annotations": []}'])
def test_a_file_that_is_no_jams_is_named(tmp_path, capsys, content):
    (tmp_path / "bad.jams").write_text(content)
    assert main(["import", "jams", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "bad.jams is no JAMS file" in capsys.readouterr().err


def test_jamendos_tags_become_genres_instruments_and_a_voice(tmp_path):
    path = tmp_path / "autotagging.tsv"
    path.write_text(JAMENDO)
    first, second = read_jamendo(path, 0.7)
    assert "14/214.low.mp3" in first.names
    assert first.facts["genre"]["labels"] == [{"name": "punk rock", "probability": 0.7}]
    assert first.facts["instruments"]["labels"] == [{"name": "electric guitar", "probability": 0.7}]
    assert first.facts["voice"]["present"]
    assert first.facts["genre"]["tool"] == "MTG-Jamendo (autotagging.tsv)"
    assert second.unread == ("mood/theme: no fact of this project",)


def test_musiccaps_captions_keep_their_author_and_the_evaluation_part_stays_out(tmp_path, capsys):
    path = tmp_path / "musiccaps-public.csv"
    path.write_text(MUSICCAPS)
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio/[-0Gj8-vB1q4]-[30-40].wav").write_bytes(b"")
    out = tmp_path / "out"
    assert main(["import", "musiccaps", str(path), "--songs", str(tmp_path / "audio"), "-o", str(out)]) == 0
    assert "captions of the evaluation part (1)" in capsys.readouterr().out
    (caption,) = map(json.loads, (out / "captions.jsonl").read_text().splitlines())
    assert caption["track_id"] == name_of("[-0Gj8-vB1q4]-[30-40].wav")
    assert caption["text"].endswith('with a "passionate" singer.')
    assert (caption["end_s"], caption["teacher"]["model"]) == (10.0, "MusicCaps, author 4")


@pytest.mark.parametrize("read", [read_jamendo, read_musiccaps])
def test_a_listing_of_another_kind_is_named(tmp_path, read):
    path = tmp_path / "listing.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"listing\.csv is no listing of"):
        list(read(path, 1.0))


def test_facts_annotated_elsewhere_stand_in_place_of_measured_ones_and_only_they_change(tmp_path):
    from music_flamingo.stages.facts import FactsConfig, MeasureTrack, words_of

    known = tmp_path / "facts.jsonl"
    jam = foreign(key_mode=[at(0, 8, "F#:minor")])
    facts = songs.empty_facts("t").model_copy(update=recording_of(JamsFile.model_validate(jam), ("t",), 1.0).facts)
    known.write_text(facts.model_dump_json() + "\n")
    config = FactsConfig.model_validate_json(json.dumps({**songs.params("facts"), "annotated": str(known)}))
    recording = tmp_path / "t.wav"
    recording.write_bytes(b"sound")
    track = songs.make_track("t", original=recording.as_uri(), source_sha256=hashlib.sha256(b"sound").hexdigest())
    store = MeasurementStore.of(tmp_path / "kept", "facts", {}, MeasureTrack, FactsConfig, Facts)
    store.put(songs.make_facts("t").model_dump_json().encode(), track.source_sha256, *words_of(track, config))
    (found,) = MeasureTrack(config.model_dump_json(), Path(), store)(track)
    assert (found.key.label, found.key.tool) == ("F# minor", "Isophonics (expert human)")
    assert found.tempo == songs.make_facts().tempo
    other = config.model_copy(update={"annotated": None})
    assert other.identity() != config.identity()


def test_a_line_that_is_no_fact_is_named(tmp_path):
    path = tmp_path / "facts.jsonl"
    path.write_text('{"id": 1}\n')
    with pytest.raises(UserError, match=r"facts\.jsonl, line 1"):
        read_annotated(str(path))
    with pytest.raises(UserError, match="cannot be read"):
        read_annotated(str(tmp_path / "none.jsonl"))


def test_a_run_knows_its_tracks_by_id_by_sound_and_by_file(tmp_path):
    from music_flamingo.sources.annotated import names_in_run

    tracks = [
        songs.make_track("a", uri="file:///x/song.mp3", audio_sha256="1" * 64),
        songs.make_track("b", uri="file:///y/song.mp3"),
    ]
    songs.write_port(tmp_path / "tracks", Track, [tracks])
    names = names_in_run(tmp_path)
    assert names.find(("1" * 64,)) == "a"
    assert names.find(("b",)) == "b"
    assert names.find(("song",)) is None, "two tracks are called so"
