"""`mf demo`: one song through annotation, and its page of facts, captions and questions. Nothing is trained."""

from pathlib import Path

from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.runs.workspace import ANNOTATED, reproduce, runs_folder

PERFORMED = ("ingest.source.num_works=1", "ingest.source.performances=1", "ingest.source.excerpt_s=40.0")
"""The first score of the default's list, by one group of instruments."""
FOR_ONE_SONG = (
    "ingest.split.train=1.0",
    "ingest.split.dev=0.0",
    "ingest.split.test=0.0",
    "validate.text_only=null",
    "validate.expected.min_kept_fraction=0.0",
    "validate.expected.min_rich_words=0.0",
    "validate.expected.min_questions=0.0",
)
"""What is expected of a catalogue says nothing of one song."""


def demo(song: Path | None) -> int:
    """Annotate a recording, or a performed score; print the address of its page. Gives the exit status.

    Raises UserError where `song` is no file. What is made stays in runs/demo-NAME-DIGEST; a second call does only what
    is missing.
    """
    if song is None:
        return reproduce((), None, PERFORMED + FOR_ONE_SONG, runs_folder() / "demo", until=ANNOTATED)
    if not song.is_file():
        raise UserError(
            f"{song} is no file. Give one recording; for a folder: mf repro --source FOLDER --until validate"
        )
    path = song.resolve()
    folder = runs_folder() / f"demo-{sha256_bytes(str(path).encode(errors='surrogateescape'))[:8]}"
    songs = folder / "song"
    songs.mkdir(parents=True, exist_ok=True)
    link = songs / path.name
    if not link.is_symlink():
        link.symlink_to(path)
    return reproduce((), songs, FOR_ONE_SONG, folder, until=ANNOTATED)
