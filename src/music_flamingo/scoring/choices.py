"""Parse a multiple-choice answer strictly: the chosen option or None, never a guess.

The answer is what stands inside the answer tags, or after the thoughts; an output that breaks off while thinking has
none. Marks (Markdown, boxes, JSON, full-width letters) are taken off (scoring/wrappings). It names an option
1. by being it: the option's words, its letter (`B`, `(B)`, `B. Cello`), its number where no option has one;
2. by what it marks as its answer (`[[B]]`, a box, `{"answer": "B"}`, `the answer is ...`), the last mark that can be
   read first: a mark that names none cancels none before it;
3. by a line that is an option, where no other line is another one;
4. by opening with it (`B. Cello, since ...`, `No, it is not.`), where nothing after it takes that back;
5. by stating exactly one option in its clauses, denied and doubted mentions aside (scoring/statements).
Anything else (two options, a denial, a refusal, a question, nothing) is unparsed, and counts as wrong. Of options with
the same words the first is meant.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from music_flamingo.scoring.announcements import json_fields, marked, named_values
from music_flamingo.scoring.named_options import LETTERED, ONLY_LETTERS, OptionNames
from music_flamingo.scoring.statements import clauses_of, stated_one
from music_flamingo.scoring.verdicts import flagged, verdict_of
from music_flamingo.scoring.wrappings import final_answer, plain_answer

MAX_ANSWER_CHARS = 10_000
"""An answer longer than this is no choice of an option."""


def parse_choice(
    output: str, options: Sequence[str], aliases: Mapping[str, str] | None = None, lettered: bool = True
) -> int | None:
    """The place of the option that an output chooses; None when it chooses none, or more than one.

    `aliases`: other words for an option, in their normalised form (`hip hop` -> `hiphop`).
    `lettered`: False where the options were not shown with letters, so that a letter or a number names none.
    """
    return _parse(output, tuple(options), tuple((aliases or {}).items()), lettered)


# every measure of an answer, and the table, ask for the same reading
@lru_cache(maxsize=256)
def _parse(output: str, options: tuple[str, ...], aliases: tuple[tuple[str, str], ...], lettered: bool) -> int | None:
    answer = final_answer(output)
    if answer is None or len(answer) > MAX_ANSWER_CHARS:
        return None
    names = OptionNames.of(options, aliases, lettered)
    if answer[0] in "{[`" and (fields := json_fields(answer)) is not None:
        return _of_fields(fields, names)
    verdict = verdict_of(answer, len(options), names.letter, names.on_line) if "\n" in answer else None
    if verdict is not None:
        return None if verdict == "none" else verdict
    plain = plain_answer(answer)
    if plain.endswith("?") and len(clauses_of(plain)) == 1 and not any(o.endswith("?") for o in options):
        return None
    if (place := names.is_option(plain)) is not None:
        return place
    if ONLY_LETTERS.fullmatch(plain) and len(set(re.findall(r"\b[A-Z]\b", plain))) > 1:
        return None
    for words in marked(answer, plain):
        if (place := names.head(plain_answer(words), ruled=True)) is not None:
            return place
    if _lists_all(plain, names):
        return _own_line(plain, names)
    if names.contradicts(plain):
        return None
    if (place := _own_line(plain, names)) is not None or (place := names.opening(plain)) is not None:
        return place
    return _stated(plain, names)


def _of_fields(fields: dict[str, Any] | list[Any], names: OptionNames) -> int | None:
    """The option that an answer in JSON names: by a field for it, or by flags; its other fields are no answer."""
    if isinstance(fields, dict) and (place := flagged(fields, names.is_option)) is not None:
        return place
    if isinstance(fields, dict) and all(names.is_option(str(name)) is not None for name in fields):
        return None
    said = named_values(fields)
    texts = [words for words in said if not words.isdecimal()] or said
    found = {place for words in texts if (place := names.head(plain_answer(words), ruled=True)) is not None}
    return found.pop() if len(found) == 1 else None


def _lists_all(plain: str, names: OptionNames) -> bool:
    """True for a text that repeats the question's options under their letters."""
    if ")" not in plain and "." not in plain and ":" not in plain:
        return False
    letters = {names.letter(letter) for letter in LETTERED.findall(plain)} - {None}
    return len(letters) > 1 and len(letters) >= min(3, len(names.options))


def _own_line(plain: str, names: OptionNames) -> int | None:
    """The option that a line is by itself; the last one, where all the options stand before it."""
    lines = plain.split("\n")
    if len(lines) < 2:
        return None
    said = [place for line in lines if (place := names.is_option(line)) is not None]
    restated = len(said) > len(names.options) and len(set(said[:-1])) == len(names.options)
    return said[-1] if said and (len(set(said)) == 1 or restated) else None


def _stated(plain: str, names: OptionNames) -> int | None:
    # what ends with a colon broke off
    return None if plain.rstrip().endswith(":") else stated_one(names.with_letters(plain), True)


__all__ = ["MAX_ANSWER_CHARS", "final_answer", "parse_choice"]
