"""Write the pages of songs, also as a site of their own for a run that has annotated and not trained yet."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import OutputFolder, Table
from music_flamingo.core.record import Record
from music_flamingo.records import Caption, Example, Facts, Track, Truth, trusted
from music_flamingo.report.charts import nice_values
from music_flamingo.report.listening import Page, annotated_pages, choose, with_audio
from music_flamingo.report.run import AnnotationInputs, track_rows
from music_flamingo.report.site import Site

R = TypeVar("R", bound=Record)

RULER_MARKS = 12
PX_PER_MARK = 110.0
"""A time axis bears about a dozen times; more where the track is long enough to scroll."""
START = "index.html"
COMPARED = "compare.html"
OF_A_QUESTION = {"skill", "type", "family", "question", "options", "answer", "rationale", "references"}
_ALONE: dict[str, Any] = {"is_annotated_only": True, "navigation": ((START, "Songs"),)}
"""What the templates are given where there is no other page."""


def write_song_pages(out: Site, pages: Sequence[Page], px_per_s: float, is_annotated_only: bool = False) -> None:
    """Write each song's page and audio; a second takes at least `px_per_s` pixels on the time axis."""
    for page in pages:
        assert page.track.audio is not None
        duration_s = page.track.duration_s or 1.0
        num_marks = max(RULER_MARKS, int(duration_s * px_per_s / PX_PER_MARK))
        marks_s = [s for s in nice_values(0, duration_s, num_marks) if s == int(s) and s < duration_s - 0.4]
        values = {"page": page, "marks_s": marks_s, "px_per_s": px_per_s, "num_pages": len(pages)}
        out.page(page.address, "listen.html.j2", **values, **(_ALONE if is_annotated_only else {}))
        out.file(page.audio_address, page.track.audio.bytes)
        out.file(page.json_address, known_json(page))
    if len(pages) > 1:
        out.page(COMPARED, "compare.html.j2", pages=pages, **(_ALONE if is_annotated_only else {}))


def known_json(page: Page) -> bytes:
    """What is known of a song, for other programs: trusted facts, captions and questions that were kept."""
    track = page.track
    known = {
        "track": {"id": track.id, "title": track.title, "artist": track.artist, "source_sha256": track.source_sha256},
        "facts": trusted(page.facts).model_dump(exclude={"id", "work_id", "status"}) if page.facts else None,
        "captions": [c.model_dump(include={"start_s", "end_s", "text", "teacher"}) for c in page.captions],
        "questions": [e.model_dump(include=OF_A_QUESTION) for e in page.examples],
    }
    return (json.dumps(known, indent=1, ensure_ascii=False) + "\n").encode()


def write_annotated_site(
    data: Path, folder: Path, num_pages: int, max_audio_bytes: int, bins_per_s: float, px_per_s: float, seed: int
) -> list[Page]:
    """Write a site of the songs that `data` has annotated, `validate` included; gives its pages.

    Raises MissingInputError where a port is not finished.
    """
    run = AnnotationInputs(
        tracks=_table(data, "tracks", Track),
        facts=_table(data, "facts", Facts),
        captions=_table(data, "captions", Caption),
        candidates=_table(data, "candidates", Example),
        skills=_table(data, "skills", Example),
        rejects=_table(data, "rejects", Example),
        truth=_table(data, "truth", Truth),
    )
    rows = track_rows(run.tracks)
    folder.mkdir(parents=True, exist_ok=True)
    out = Site(OutputFolder(folder))
    heard = with_audio(run, choose(rows, (), num_pages, seed), max_audio_bytes)
    pages = list(annotated_pages(run, heard, bins_per_s).values())
    refused = [row for row in rows if not row.is_ok]
    out.page(START, "songs.html.j2", pages=pages, refused=refused, num_songs=len(rows), **_ALONE)
    write_song_pages(out, pages, px_per_s, is_annotated_only=True)
    return pages


def _table(data: Path, port: str, record: type[R]) -> Table[R]:
    return Table(data / port, record, read_manifest(data / port))
