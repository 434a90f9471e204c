"""What a run says at its end."""

from support import songs

from music_flamingo.records import Example, Track
from music_flamingo.runs.closing import closing_lines


def test_what_was_kept_and_refused_is_counted_with_its_reasons(tmp_path):
    tracks = [songs.make_track(f"w{k}/0", f"w{k}") for k in range(3)]
    refused = [tracks[1].quarantined("too_short"), tracks[2].quarantined("too_short")]
    songs.write_port(tmp_path / "tracks", Track, [[tracks[0], *refused]])
    songs.write_port(tmp_path / "skills", Example, [[]])
    songs.write_port(tmp_path / "rejects", Example, [[]])
    assert list(closing_lines(tmp_path)) == [
        "  1 recordings kept, 2 refused (too short 2)",
        "  0 questions and captions kept, 0 refused",
    ]


def test_a_run_that_made_nothing_yet_says_nothing(tmp_path):
    assert list(closing_lines(tmp_path)) == []
