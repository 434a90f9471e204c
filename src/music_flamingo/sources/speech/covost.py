"""Common Voice and CoVoST 2: a folder per language, with tables of clips (TSV) and a folder `clips/`.

`<path>/<language>/{train,dev,test}.tsv` with `client_id`, `path`, `sentence` is Common Voice's own layout. CoVoST 2
adds `covost_v2.<language>_<target>.{train,dev,test}.tsv` (`path`, `sentence`, `translation`, `client_id`); where such
a table stands, its choice of clips is taken, each clip once however many targets it is translated to.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np

from music_flamingo.audio.decode import DecodeLimits, decode_model_copy
from music_flamingo.core.errors import UserError
from music_flamingo.records.track import Split
from music_flamingo.sources.speech import SpeechSettings, SpokenUtterance, Whole
from music_flamingo.sources.speech.reading import files_sha256, inside, require_folder, require_found

LICENCE = "CC0-1.0"
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
COLUMNS = ("client_id", "path", "sentence")


class CovostConfig(SpeechSettings):
    """Common Voice or CoVoST 2 on disk."""

    kind: Literal["covost"]
    path: str
    """A folder with a folder for each language, which holds tables and `clips/`."""

    def open(self, limits: DecodeLimits) -> "CovostSource":
        """Make the source."""
        return CovostSource(require_folder(self.path, self.kind), limits)

    def listing_sha256(self) -> str:
        """SHA-256 over all tables."""
        root = require_folder(self.path, self.kind)
        return files_sha256(table for _, _, table in _tables(root))


def _tables(root: Path) -> list[tuple[str, Split, Path]]:
    """(language, split, table): CoVoST's where there are any, else Common Voice's."""
    found: list[tuple[str, Split, Path]] = []
    for folder in sorted(p for p in root.iterdir() if (p / "clips").is_dir()):
        for split in SPLITS:
            own = sorted(folder.glob(f"covost_v2.{folder.name}_*.{split}.tsv"))
            common = folder / f"{split}.tsv"
            found += [(folder.name, split, table) for table in own or [common] if table.is_file()]
    return found


class CovostSource:
    """Units are JSON texts: a clip's row."""

    tool = "covost"

    def __init__(self, root: Path, limits: DecodeLimits) -> None:
        self.root = root
        self.limits = limits

    def tool_version(self) -> str:
        """Version of PyAV."""
        return f"av {version('av')}"

    def units(self) -> Sequence[str]:
        """Rows of the tables as JSON, one a clip."""
        rows: dict[tuple[str, str], str] = {}
        for language, split, table in _tables(self.root):
            for row in _rows(table):
                unit = {"language": language, "split": split, **row}
                rows.setdefault((language, row["path"]), json.dumps(unit, ensure_ascii=False))
        return require_found([*rows.values()], self.root, "LANGUAGE/clips with a tsv next to it")

    def utterances(self, unit: str) -> Iterator[SpokenUtterance]:
        """The utterance of one clip."""
        row = json.loads(unit)
        yield SpokenUtterance(
            id=f"{row['language']}-{Path(row['path']).stem}",
            language=row["language"],
            split=row["split"],
            words=Whole(row["client_id"], row["sentence"]),
            read=partial(self._read, row["language"], row["path"]),
            licence=LICENCE,
        )

    def _read(self, language: str, name: str) -> np.ndarray:
        return decode_model_copy(inside(self.root / language / "clips", name), self.limits)


def _rows(table: Path) -> Iterator[dict[str, str]]:
    """Raises UserError naming columns that are missing."""
    with table.open(encoding="utf-8", newline="") as file:
        # sentences hold single quotation marks: none of them opens a field
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise UserError(f"{table} has no column {', '.join(missing)}. Give a table of Common Voice or CoVoST 2.")
        for row in reader:
            yield {name: row[name] or "" for name in COLUMNS}
