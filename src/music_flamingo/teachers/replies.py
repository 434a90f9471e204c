"""Find the JSON of a reply: behind prose, in a fence, in harmony text, with trailing commas or raw line ends."""

import json
import re
from typing import Any

_FINAL = re.compile(r"<\|channel\|>final(?:[^<]*)<\|message\|>(.*?)(?:<\|(?:return|end)\|>|$)", re.DOTALL)
_FENCE = re.compile(r"```[a-zA-Z]*\n(.*?)```", re.DOTALL)
_TRAILING = re.compile(r",(\s*[}\]])")
_DECODER = json.JSONDecoder(strict=False)
"""Not strict: a raw line end inside of a string is read as one."""


def found_json(text: str) -> str:
    """Give the JSON object in a model's text; the text as it stands, trimmed, where there is none."""
    stripped = text.strip()
    if final := _FINAL.search(stripped):
        stripped = final.group(1).strip()
    if _is_json(stripped):
        return stripped
    for candidate in (*_FENCE.findall(stripped), stripped):
        if (value := _first_object(candidate)) is not None:
            return json.dumps(value, ensure_ascii=False)
    fenced = _FENCE.search(stripped)
    return fenced.group(1).strip() if fenced else stripped


def finished_items(text: str, name: str) -> str | None:
    """Give the whole items of a list that was cut short, as a reply of their own; None where there is none."""
    opening = re.search(rf'"{name}"\s*:\s*\[', text)
    items: list[Any] = []
    at = opening.end() if opening else len(text)
    while (start := text.find("{", at)) >= 0:
        try:
            item, at = _DECODER.raw_decode(text, start)
        except json.JSONDecodeError:
            break
        items.append(item)
    return json.dumps({name: items}, ensure_ascii=False) if items else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return False
    return True


def _first_object(text: str) -> dict[str, Any] | None:
    """The first object that can be read, with trailing commas left out where that helps."""
    for written in (text, _TRAILING.sub(r"\1", text)):
        at = 0
        while (start := written.find("{", at)) >= 0 and at < MOST_CHARACTERS:
            try:
                value, _ = _DECODER.raw_decode(written, start)
            except (json.JSONDecodeError, RecursionError):
                at = start + 1
                continue
            if isinstance(value, dict) and value and written[:start].count("{") == 0:
                return value  # an object inside of a broken one is not the reply
            at = start + 1
    return None


MOST_CHARACTERS = 20_000
"""Of prose before the object: beyond it nobody looks."""
