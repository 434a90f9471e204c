"""docs/reference/data.md names every port and every field of every record, and none that does not exist."""

import re
from pathlib import Path

import pytest

from music_flamingo import records, stages
from music_flamingo.core.ports import Folder
from music_flamingo.core.record import Provenance, Record, RecordPart

TEXT = (Path(__file__).parents[2] / "docs/reference/data.md").read_text()
CLASSES = [found for name in records.__all__ if isinstance(found := getattr(records, name), type)]
PARTS = [Record, Provenance, *CLASSES]


def told(name: str) -> set[str]:
    """The field names listed below a record's heading."""
    found = re.search(rf"^### {name}\n(.*?)(?=^### |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert found, f"docs/reference/data.md has no heading `### {name}`"
    items = [line.split(" (")[0] for line in found.group(1).splitlines() if line.startswith("- ")]
    return {field for item in items for field in re.findall(r"`(\w+)`", item)}


def own_fields(part: type[RecordPart]) -> set[str]:
    """A record's fields without those it inherits from another documented one."""
    inherited = {name for base in part.__mro__[1:] if base in PARTS for name in base.model_fields}
    return set(part.model_fields) - inherited


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_field_of_a_record_is_documented_and_no_other(part):
    assert told(part.__name__) == own_fields(part)


def test_every_port_is_documented_with_its_stage_and_record():
    rows = {tuple(re.findall(r"[\w]+", line)[:3]) for line in TEXT.splitlines() if line.startswith("| `")}
    expected = {
        (port, name, "files" if issubclass(record, Folder) else record.__name__)
        for name in stages.ORDER
        for port, record in stages.load(name).outputs.items()
    }
    assert rows == expected
