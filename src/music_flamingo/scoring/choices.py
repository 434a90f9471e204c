"""Parse a multiple-choice answer strictly: the chosen option or None, never a guess.

The answer is what stands inside the answer tags, or after the thoughts; an output that breaks off while thinking has
none. It names an option
1. by being it: the option's words, its letter (`B`, `(B)`, `[[B]]`, `B. Cello`), or both agreeing;
2. in its last `[[B]]`, then in its last `answer is ...` or `Answer: ...`, by the same rules;
3. by a letter in front (`(B) since ...`) that no option's words in the rest contradict;
4. by holding exactly one option's words, whole words only, the longest first, in an answer that denies nothing.
Anything else (two options, a denial, another language, nothing) is unparsed, and counts as wrong. Of options with the
same words the first is meant.
"""

import re
from collections.abc import Mapping, Sequence

from music_flamingo.scoring.extract import ANSWER, END_ANSWER, END_THINK, THINK, extract_answer
from music_flamingo.scoring.normalise import match_option, normalise_answer, same_answer

_BRACKETED = re.compile(r"(?:\[\[|\[|\(|\*\*)?\s*(?:option\s+)?([A-Za-z])\s*(?:\]\]|\]|\)|\*\*)?[.:]?", re.IGNORECASE)
_DOUBLE = re.compile(r"\[\[\s*([A-Za-z])\s*\]\]")
_IN_FRONT = re.compile(r"(?:\[\[|\(|\*\*)?([A-Z])(?:\]\]|\)|\*\*|\.|:)\s+\S")
_ANNOUNCED = re.compile(r"\b(?:answer|choice|option)(?:\s+is|\s*:)\s*(.+)", re.IGNORECASE | re.DOTALL)
_DENIAL = re.compile(r"\b(?:not|no|neither|nor|never|without|cannot|rather than|instead of|except|unlike)\b|n't\b")
MAX_ANSWER_CHARS = 10_000
"""An answer longer than this is no choice of an option."""


def final_answer(output: str) -> str | None:
    """The words that answer: inside the answer tags, after the thoughts, or all; None when there are none."""
    if ANSWER not in output and END_ANSWER not in output and output.count(END_THINK) == 1:
        before, _, after = output.partition(END_THINK)
        return (after.strip() or None) if before.count(THINK) <= 1 else None
    return extract_answer(output)


def parse_choice(output: str, options: Sequence[str], aliases: Mapping[str, str] | None = None) -> int | None:
    """The place of the option that an output chooses; None when it chooses none, or more than one.

    `aliases`: other words for an option, in their normalised form (`hip hop` -> `hiphop`).
    """
    answer = final_answer(output)
    if answer is None or len(answer) > MAX_ANSWER_CHARS:
        return None
    names = aliases or {}
    announced = _announced(answer)
    for words in (answer, *_DOUBLE.findall(answer)[-1:], announced):
        if words and (place := _is_option(words, options, names)) is not None:
            return place
    rest = announced or answer
    mentioned = _mentioned(rest, options, names)
    if (letter := _in_front(rest, options)) is not None:
        return letter if mentioned <= {letter} else None
    denies = _DENIAL.search(rest.lower()) is not None
    return mentioned.pop() if len(mentioned) == 1 and not denies else None


def _in_front(answer: str, options: Sequence[str]) -> int | None:
    found = _IN_FRONT.match(answer.strip())
    place = ord(found.group(1)) - ord("A") if found else len(options)
    return place if place < len(options) else None


def _announced(answer: str) -> str | None:
    """What follows the last `answer is`, up to the end of its line."""
    parts = re.split(r"(?=\b(?:answer|choice|option)(?:\s+is|\s*:))", answer, flags=re.IGNORECASE)
    found = _ANNOUNCED.match(parts[-1]) if len(parts) > 1 else None
    return found.group(1).strip().split("\n")[0] if found else None


def _is_option(words: str, options: Sequence[str], aliases: Mapping[str, str]) -> int | None:
    wanted = aliases.get(normalise_answer(words), words)
    if (option := match_option(wanted, options)) is not None:
        return options.index(option)
    alike = {option for option in options if same_answer(wanted, option)}
    if len(alike) == 1:
        return options.index(alike.pop())
    if letter := _BRACKETED.fullmatch(words.strip().rstrip(".")):
        place = ord(letter.group(1).upper()) - ord("A")
        return place if place < len(options) else None
    return None


def _mentioned(answer: str, options: Sequence[str], aliases: Mapping[str, str]) -> set[int]:
    """Places of the options whose words stand in the answer, each stretch of it counted for the longest."""
    text = f" {_plain(answer)} "
    names: dict[str, int] = {}
    for place, option in enumerate(options):
        names.setdefault(_plain(option), place)
    for alias, option in aliases.items():
        if option in options:
            names.setdefault(_plain(alias), options.index(option))
    found = set()
    for name in sorted(filter(None, names), key=len, reverse=True):
        if f" {name} " in text:
            found.add(names[name])
            text = text.replace(f" {name} ", " | ")
    return found


def _plain(text: str) -> str:
    """Normalised words with single spaces, punctuation between them gone."""
    return " ".join(re.findall(r"[\w#/]+", normalise_answer(text.replace("_", " "))))
