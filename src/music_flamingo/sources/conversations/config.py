"""Parameters of published conversations as a source of MF-Skills and MF-Think."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.licences import Licence
from music_flamingo.core.stage import NOT_IDENTITY
from music_flamingo.records.example import Skill
from music_flamingo.sources.conversations.matching import RecordingsByName, RecordingTable
from music_flamingo.sources.conversations.reading import folder_sha256

PUBLISHED = Licence(tool="published conversations", licence="as their publisher states, and their recordings' sources")


class ConversationsConfig(BaseModel):
    """A folder of JSON in the layout of MF-Skills, AF-Think and AudioSkills."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    uses: ClassVar = (PUBLISHED,)
    kind: Literal["conversations"]
    path: str = Field(json_schema_extra=NOT_IDENTITY)
    """A folder of .json (an array of entries) and .jsonl files, at any depth."""
    recordings: RecordingsByName
    """Which track an entry speaks of."""
    max_duration_difference_s: float = Field(ge=0)
    """A recording whose length differs by more from what the entry says is another version of it."""
    caption_from_words: int = Field(ge=1)
    """An answer of so many words and more is a caption; a shorter one answers a question."""
    skill: Skill
    """What its questions count as: the layout does not say."""
    follow_ups: Literal["refuse", "keep"]
    """Of the second and later turns of a conversation, which may speak of the first: refused, or kept as questions of
    their own."""

    def content_sha256(self) -> str:
        """Stands for the conversations, and for the table from them to recordings."""
        table = sha256_file(Path(self.recordings.path)) if isinstance(self.recordings, RecordingTable) else ""
        return folder_sha256(Path(self.path)) + table
