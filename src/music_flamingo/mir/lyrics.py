"""Lyrics from the source (table, tags, score). Nothing is transcribed: speech recognisers get more of a song's words
wrong than right, and no lyrics are better than false ones."""

from dataclasses import dataclass

from music_flamingo.mir import Signal
from music_flamingo.records import Lyrics, Segment, Track

UNAVAILABLE = Lyrics(
    tool="source",
    tool_version="1",
    confidence=0.0,
    available=False,
    lines=[],
    language=None,
    why_not="none_in_source",
)


@dataclass(frozen=True)
class SourceLyrics:
    """The words of `Track.lyrics`. They come without times: every line spans the whole recording."""

    def read(self, track: Track, signal: Signal, has_voice: bool | None) -> Lyrics:
        """The track's own lyrics as untimed lines; unavailable where it has none."""
        lines = [line.strip() for line in (track.lyrics or "").splitlines() if line.strip()]
        if not lines or not track.duration_s:
            return UNAVAILABLE
        return UNAVAILABLE.model_copy(
            update={
                "confidence": 1.0,
                "available": True,
                "lines": [Segment(start_s=0.0, end_s=track.duration_s, label=line) for line in lines],
                "language": track.language,
                "language_from": "source" if track.language else None,
                "why_not": None,
            }
        )
