"""Track: one recording, its provenance, its loudness figures, and its 16 kHz copy for the model."""

from typing import Literal

from music_flamingo.core.record import Provenance, Record, RecordPart

Split = Literal["train", "dev", "test"]


class Audio(RecordPart):
    """The model's copy: FLAC, 16 kHz, mono. `datasets` reads this struct as an Audio feature."""

    bytes: bytes
    path: str


class Tag(RecordPart):
    """A tag of the file, whole. Untrusted text."""

    name: str
    """In lower case."""
    value: str


class Loudness(RecordPart):
    """EBU R128 loudness (LUFS) and range (LU), peak (dBFS), and shares of silence and clipping (0 to 1)."""

    integrated_lufs: float
    """EBU R128 integrated loudness; -70 where the track is silent."""
    range_lu: float
    """EBU R128 loudness range."""
    peak_dbfs: float
    silence_fraction: float
    """Fraction of 50 ms frames below -60 dBFS."""
    clipped_fraction: float
    """Fraction of samples at full scale, in runs of three or more."""


class Track(Record):
    """Title, artist, lyrics and tags are untrusted text: they enter prompts as JSON fields only."""

    work_id: str
    """The piece or song; all performances of a work share a split."""
    split: Split
    title: str | None
    artist: str | None
    tradition: str | None
    language: str | None
    lyrics: str | None
    """The words that the source itself carries, or None."""
    uri: str
    """Where the source found it, e.g. `score:bach/bwv66.6?performance=2` or `file:///music/song.mp3`."""
    original: str | None
    """The original recording: a path inside the `originals` port, or a `file:` uri. MIR tools read this."""
    source_sha256: str
    """Of the original's bytes; whoever opens the original verifies it."""
    audio_sha256: str | None
    """Of the decoded 16 kHz samples; equal for the same recording in another lossless container."""
    duration_s: float | None
    original_rate_hz: int | None
    num_channels: int | None
    loudness: Loudness | None
    fingerprint: list[int]
    """32-bit words, about 8 a second."""
    fingerprint_kind: Literal["chromaprint", "chroma"] = "chromaprint"
    """Words of different kinds are never compared."""
    audio: Audio | None
    """None when the track is quarantined before decoding."""
    provenance: Provenance
    album: str | None = None
    region: str | None = None
    licence: str | None = None
    """As its source states it; None is unknown, not free."""
    tags: tuple[Tag, ...] = ()
    """Every tag of the file, by name; a file with more than `max_tag_chars` of them is quarantined, none is cut."""
    given_split: Split | None = None
    """The split that the source asks for."""
    sampling_weight: float = 1.0
    """How often training draws the track next to others; 1.0 where nothing is corrected."""
