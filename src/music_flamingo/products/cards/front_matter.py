"""The YAML front matter of a card: configurations, features, size category, tags, licence.

`datasets.load_dataset("data/skills")` reads it: without a name it gives the training rows alone, so that nobody trains
on held-out works by mistake; `dev`, `test` and `all` are configurations of the same shards.
"""

from typing import Any

import pyarrow as pa
import yaml

from music_flamingo.core.record import Record, arrow_schema

CARD_NAME = "README.md"
SHARDS = "part-*.parquet"
SPLITS = ("train", "dev", "test")
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LARGER = ((10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"))
AUDIO_FIELDS = {"bytes", "path"}


def front_matter(name: str, record: type[Record], num_rows: int, tags: tuple[str, ...]) -> str:
    """The block between `---` lines, newline included. Rows have a column `split` that the configurations filter."""
    columns = features(arrow_schema(record))
    value = {
        "pretty_name": name,
        "license": "other",
        "license_name": "see-licences-below",
        "language": ["en"],
        "task_categories": ["audio-text-to-text"],
        "size_categories": [_size(num_rows)],
        "tags": list(tags),
        "configs": [_config(split) for split in (*SPLITS, "all")],
        "dataset_info": [{"config_name": split, "features": columns} for split in (*SPLITS, "all")],
    }
    return f"---\n{yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)}---\n"


def _config(name: str) -> dict[str, Any]:
    # `all` is a word of the library's own for a split
    split = "rows" if name == "all" else name
    config: dict[str, Any] = {"config_name": name, "data_files": [{"split": split, "path": SHARDS}]}
    if name != "all":
        config["filters"] = [[["split", "==", name]]]
    return config | ({"default": True} if name == "train" else {})


def features(schema: pa.Schema) -> list[dict[str, Any]]:
    """The columns in the YAML form of `datasets.Features`; FLAC bytes with a path are Audio, left undecoded."""
    return [_feature(field) for field in schema]


def _feature(field: pa.Field) -> dict[str, Any]:
    return {"name": field.name, **_type(field.type)}


def _type(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_struct(kind):
        fields = list(kind)
        if {f.name for f in fields} == AUDIO_FIELDS:
            return {"dtype": {"audio": {"decode": False}}}
        return {"struct": [_feature(f) for f in fields]}
    if pa.types.is_list(kind):
        inner = _type(kind.value_type)
        return {"list": inner.get("dtype", inner.get("struct", inner))}
    return {"dtype": {"double": "float64"}.get(str(kind), str(kind))}


def _size(num_rows: int) -> str:
    return next((name for limit, name in (*SIZES, *LARGER) if num_rows < limit), "100M<n<1B")
