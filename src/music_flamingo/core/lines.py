"""Lines of a text file, and strings that every writer can write.

`str.splitlines` also cuts at U+2028, U+2029, U+0085 and form feeds, which stand unescaped inside JSON strings: a file
of one object a line is cut at the line feed alone.
"""

import re
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")


def lines_of(text: str) -> list[str]:
    """The lines of a text, cut at line feeds alone, a carriage return before one dropped; none for an empty text."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def well_formed(value: Any) -> Any:
    """A JSON value whose strings can be encoded: surrogate pairs are joined, a lone surrogate becomes U+FFFD."""
    if isinstance(value, str):
        if not _SURROGATE.search(value):
            return value
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [well_formed(part) for part in value]
    if isinstance(value, dict):
        return {well_formed(name): well_formed(part) for name, part in value.items()}
    return value
