"""Arrow-backed item store: written once, memory-mapped, read row by row.

Millions of questions with their texts do not fit into memory; what planning needs of each (its recording, family,
seconds, size) does, as columns of numbers.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from music_flamingo.training.data.items import Tally, TrainingItem, counts_of, why_left_out

BLOCK_ROWS = 1024

SCHEMA = pa.schema(
    [
        ("source", pa.int16()),
        ("id", pa.large_string()),
        ("track_id", pa.large_string()),
        ("family", pa.string()),
        ("question", pa.string()),
        ("prompt", pa.string()),
        ("target", pa.string()),
        ("reference", pa.string()),
        ("options", pa.list_(pa.string())),
        ("is_caption", pa.bool_()),
        ("spans_s", pa.list_(pa.float64())),
        ("names_a_time", pa.bool_()),
        ("is_about_all", pa.bool_()),
        ("num_bytes", pa.int32()),
    ]
)
"""`spans_s` alternates starts and ends; `num_bytes` are those of prompt and target. What rewards need is absent."""


@dataclass(frozen=True)
class ItemStore(Sequence[TrainingItem]):
    """Items by row number. A row whose family is left out has no place in any plan."""

    table: pa.Table
    blocks: Sequence[pa.RecordBatch]
    """Of the table, BLOCK_ROWS each: a row is found without looking for it."""
    tallies: Mapping[str, Tally]
    families: Mapping[str, float]
    left_out: Mapping[str, str]

    @classmethod
    def write(
        cls,
        sources: Sequence[Iterable[TrainingItem]],
        families: Mapping[str, float],
        stage: str,
        *,
        min_answers: int = 2,
    ) -> "ItemStore":
        """The items of `families` (name -> weight), each source's numbered by its place in `sources`.

        The file lies among the machine's temporary files (TMPDIR) without a name: every rank has its own, gone when
        the run is, however that ends. A family needs
        `min_answers` different answers. Raises UserError when no family can be taught.
        """
        tallies = {name: Tally() for name in families}
        rows = _rows(sources, tallies)
        with tempfile.NamedTemporaryFile(suffix=".arrow") as file:
            with pa.ipc.new_file(file, SCHEMA) as writer:
                while block := list(islice(rows, BLOCK_ROWS)):
                    writer.write_batch(pa.RecordBatch.from_pylist(block, schema=SCHEMA))
            file.flush()
            table = pa.ipc.open_file(pa.memory_map(file.name)).read_all()
        return cls(table, table.to_batches(), tallies, families, why_left_out(tallies, stage, min_answers))

    def __len__(self) -> int:
        return self.table.num_rows

    @overload
    def __getitem__(self, row: int) -> TrainingItem: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[TrainingItem]: ...
    def __getitem__(self, row: int | slice) -> TrainingItem | Sequence[TrainingItem]:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        block, place = divmod(row, BLOCK_ROWS)
        return self._item(self.blocks[block].slice(place, 1).to_pylist()[0])

    def __iter__(self) -> Iterator[TrainingItem]:
        for block in self.blocks:
            yield from map(self._item, block.to_pylist())

    def _item(self, row: dict) -> TrainingItem:
        flat = row["spans_s"]
        return TrainingItem(
            id=row["id"],
            track_id=row["track_id"],
            family=row["family"],
            question=row["question"],
            prompt=row["prompt"],
            target=row["target"],
            reference=row["reference"],
            options=tuple(row["options"]),
            structured=(),
            is_caption=row["is_caption"],
            weight=self.tallies[row["family"]].weight(row["reference"], self.families[row["family"]]),
            spans_s=tuple(zip(flat[::2], flat[1::2], strict=True)),
            names_a_time=row["names_a_time"],
            is_about_all=row["is_about_all"],
        )

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Family -> answer -> items; captions and open answers count together."""
        return counts_of(self.tallies, self.left_out)

    def taught(self) -> np.ndarray:
        """(len,) True where the family is taught."""
        return ~np.asarray(pc.is_in(self.table["family"], pa.array(list(self.left_out), pa.string())))

    def in_order(self) -> np.ndarray:
        """(len,) rows by recording, those of a recording by id: the order in which they came plays no part."""
        order = pc.sort_indices(self.table.select(["track_id", "id"]), [("track_id", "ascending"), ("id", "ascending")])
        return order.to_numpy()

    def column(self, name: str) -> np.ndarray:
        """One column of the store, as a numpy array of one value per item."""
        return self.table[name].to_numpy()

    def spans(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows, spans): `spans[k]` is (start_s, end_s) of a reference of item `rows[k]`."""
        lists = self.table["spans_s"].combine_chunks()
        numbers = np.asarray(lists.flatten()).reshape(-1, 2)
        lengths = np.asarray(pc.list_value_length(lists)) // 2
        return np.repeat(np.arange(len(self)), lengths), numbers


def _rows(sources: Sequence[Iterable[TrainingItem]], tallies: Mapping[str, Tally]) -> Iterator[dict]:
    """One for each item of a family that has a tally, which counts it."""
    for number, items in enumerate(sources):
        for item in items:
            if item.family in tallies:
                tallies[item.family].add(item)
                yield _row(number, item)


def _row(source: int, item: TrainingItem) -> dict:
    return {
        "source": source,
        "id": item.id,
        "track_id": item.track_id,
        "family": item.family,
        "question": item.question,
        "prompt": item.prompt,
        "target": item.target,
        "reference": item.reference,
        "options": list(item.options),
        "is_caption": item.is_caption,
        "spans_s": [second for span in item.spans_s for second in span],
        "names_a_time": item.names_a_time,
        "is_about_all": item.is_about_all,
        "num_bytes": len(item.prompt.encode()) + len(item.target.encode()),
    }
