"""One contract over all sources of speech: whatever the layout, the same utterances with the same promises."""

from pathlib import Path

import pytest
from support import speech_corpora as corpora
from support.songs import run_stage

from music_flamingo import stages
from music_flamingo.audio.flac import decode_flac
from music_flamingo.core.record import read_parquet
from music_flamingo.core.shards import shard_paths
from music_flamingo.records import Utterance
from music_flamingo.records.speech import END_TOLERANCE_S
from music_flamingo.stages.speech import AnySpeechConfig

KINDS = ("spoken", *corpora.CORPORA)
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, list[Utterance]]:
    """Kind -> the utterances of its small corpus, through the stage."""
    found = {}
    for kind in KINDS:
        root = tmp_path_factory.mktemp(kind)
        source = corpora.SPOKEN if kind == "spoken" else corpora.CORPORA[kind](root / "corpus")
        run_stage(stages.load("speech"), corpora.speech_config(**{kind: source}), root / "data")
        found[kind] = read_all(root / "data/speech")
    return found


def read_all(port: Path) -> list[Utterance]:
    return [u for path in shard_paths(port) for u in read_parquet(path, Utterance)]


def test_every_kind_of_source_is_held_to_the_contract():
    kinds = {c.model_fields["kind"].annotation.__args__[0] for c in AnySpeechConfig.__origin__.__args__}
    assert kinds == set(KINDS)


@each_kind
def test_good_utterances_have_words_and_audio_of_the_stated_length(made, kind):
    good = [u for u in made[kind] if u.is_ok]
    assert good
    for utterance in good:
        samples = decode_flac(utterance.audio.bytes)
        assert len(samples) / 16000 == pytest.approx(utterance.duration_s, abs=1e-4)
        assert 0.3 <= utterance.duration_s <= 30.0
        assert abs(samples).max() > 0.01
        assert all(s.text == s.text.strip() != "" for s in utterance.segments)


@each_kind
def test_times_are_seconds_that_increase_and_stay_within_the_recording(made, kind):
    for utterance in made[kind]:
        starts = [s.start_s for s in utterance.segments]
        assert starts == sorted(starts)
        if utterance.is_ok:
            assert starts[0] == pytest.approx(0.0, abs=1e-6)
            assert max(s.end_s for s in utterance.segments) <= utterance.duration_s + END_TOLERANCE_S


@each_kind
def test_ids_are_unique_and_begin_with_the_corpus(made, kind):
    ids = [u.id for u in made[kind]]
    assert len(set(ids)) == len(ids)
    assert all(name.startswith(f"{kind}/") and u.corpus == kind for name, u in zip(ids, made[kind], strict=True))


@each_kind
def test_language_split_licence_and_provenance_are_stated(made, kind):
    for utterance in made[kind]:
        assert utterance.language and utterance.split and utterance.licence
        assert utterance.provenance.tool and utterance.provenance.tool_version


@pytest.mark.parametrize("kind", corpora.CORPORA)
def test_audio_that_cannot_be_read_is_quarantined_and_keeps_nobody_from_the_rest(made, kind):
    unreadable = [u for u in made[kind] if u.status == "quarantined:unreadable"]
    assert unreadable
    assert all(u.audio is None for u in unreadable)


@pytest.mark.parametrize("kind", corpora.CORPORA)
def test_a_folder_without_the_layout_says_so(tmp_path, kind):
    source = {**corpora.CORPORA[kind](tmp_path / "made"), "path": str(tmp_path / "empty")}
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds no .* See docs/reference/speech.md"):
        run_stage(stages.load("speech"), corpora.speech_config(**{kind: source}), tmp_path / "data")
    with pytest.raises(ValueError, match="is not a folder"):
        run_stage(
            stages.load("speech"), corpora.speech_config(**{kind: {**source, "path": "/nowhere"}}), tmp_path / "data"
        )
