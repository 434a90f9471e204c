"""Croissant metadata (MLCommons, version 1.0): croissant.json in a data set's port, for catalogues and loaders of data.

One FileObject a shard with its SHA-256, one record set whose fields are the record's. Equal data give equal metadata.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from music_flamingo import __version__
from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.licences import Licence
from music_flamingo.core.record import Record, arrow_schema
from music_flamingo.core.shards import shard_paths, write_atomic

NAME = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The vocabulary, as the specification prints it."""
TYPES = {"bool": "sc:Boolean", "int64": "sc:Integer", "double": "sc:Float", "string": "sc:Text"}


def write_croissant(root: Path, name: str, description: str, record: type[Record], licences: Sequence[Licence]) -> None:
    """Write croissant.json next to the shards of a finished table."""
    metadata = croissant(root, name, description, record, licences)
    write_atomic(root / NAME, json.dumps(metadata, indent=1, ensure_ascii=False) + "\n")


def croissant(
    root: Path, name: str, description: str, record: type[Record], licences: Sequence[Licence]
) -> dict[str, Any]:
    """The JSON-LD of the shards in `root`; each scalar column is a field, nested ones are left to the card."""
    columns = [field for field in arrow_schema(record) if str(field.type) in TYPES]
    shards = shard_paths(root)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": description,
        "conformsTo": CONFORMS_TO,
        "version": __version__,
        "license": [f"{each.tool}: {each.licence}" for each in licences],
        "citeAs": "; ".join(each.citation for each in licences if each.citation),
        "distribution": [_file(path) for path in shards],
        "recordSet": [_record_set(path, columns) for path in shards],
    }


def _file(path: Path) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": sha256_file(path),
    }


def _record_set(path: Path, columns: list[pa.Field]) -> dict[str, Any]:
    rows = path.stem
    return {
        "@type": "cr:RecordSet",
        "@id": rows,
        "name": rows,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{rows}/{column.name}",
                "name": column.name,
                "dataType": TYPES[str(column.type)],
                "source": {"fileObject": {"@id": path.name}, "extract": {"column": column.name}},
            }
            for column in columns
        ],
    }
