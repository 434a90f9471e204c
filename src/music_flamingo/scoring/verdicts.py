"""Answers that say of every option whether it is the one: ticks and crosses, a table with yes and no, JSON flags."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

Reader = Callable[[str], int | None]
"""The place of the option that a cell or a line names; None for none or several."""

_TICK = re.compile(r"[✓✔✅☑🗸]|\b(?:yes|true|correct|right|matches|fits|best match)\b", re.IGNORECASE)
_CROSS = re.compile(
    r"[✗✘❌✖☒]|\b(?:no|false|incorrect|wrong|not|doesn't|does not|isn't|ruled out|eliminated|excluded|unlikely)\b",
    re.IGNORECASE,
)
_SIGN = re.compile(r"[✓✔✅☑🗸✗✘❌✖☒]")
_LETTER_CELL = re.compile(r"^[\s|*_•>-]*(?:option\s+)?\(?([A-Z])(?:[).:]|\s*\||\s*[✓✔✅☑🗸✗✘❌✖☒])")
SURE = 0.5
"""Of options with numbers, one above this is chosen."""


def verdict_of(answer: str, num_options: int, letter: Reader, words: Reader) -> int | Literal["none"] | None:
    """The option that alone is said to be right; `none` where verdicts leave no option or several; None: no verdicts.

    Lines with a verdict on an option, at least two of them.
    """
    if not _is_list(answer):
        return None
    right, wrong = set(), set()
    for line in answer.split("\n"):
        lettered = _LETTER_CELL.match(line)
        place = letter(lettered.group(1)) if lettered else words(line)
        if place is None:
            continue
        if _CROSS.search(line):
            wrong.add(place)
        elif _TICK.search(line):
            right.add(place)
    # where some are crossed off and none is ticked, the words around them say which it is
    if len(right | wrong) < 2 or (not right and len(wrong) < num_options):
        return None
    return right.pop() if len(right) == 1 and not right & wrong else "none"


def _is_list(answer: str) -> bool:
    """True for a table, or lines that are ticked or crossed off: prose has reasons of its own."""
    lines = [line for line in answer.split("\n") if line.strip()]
    short = [line for line in lines if _LETTER_CELL.match(line) or line.lstrip().startswith("|")]
    return len(short) >= 2 and (
        any(line.count("|") >= 2 for line in lines) or re.search(r"[✓✔✅☑🗸✗✘❌✖☒]", answer) is not None
    )


def flagged(fields: Mapping[str, Any], is_option: Reader) -> int | None:
    """The option whose flag alone is true, or whose number alone is above one half, of an object over the options."""
    places = {name: is_option(str(name)) for name in fields}
    if len(places) < 2 or None in places.values():
        return None
    values = list(fields.values())
    chosen = [
        places[name]
        for name, value in fields.items()
        if value is True
        or (isinstance(value, float) and value > SURE)
        or str(value).lower() in ("yes", "true", "correct")
    ]
    return chosen[0] if len(chosen) == 1 and len(values) > 1 else None
