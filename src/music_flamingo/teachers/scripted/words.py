"""Phrases shared by all scripted writers: times, lists, numbers, references."""

import random
from collections.abc import Sequence

from music_flamingo.records import Reference
from music_flamingo.teachers.payloads import SongFacts
from music_flamingo.teachers.theory import ChordSpan

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def seconds(time_s: float) -> str:
    """`6.4 s`; `0.0 s` for the start."""
    return f"{time_s:.1f} s"


def number(value: int) -> str:
    """A number as an English word where it is small, otherwise in digits."""
    return NUMBERS[value] if 0 < value < len(NUMBERS) else str(value)


def plural(count: int, noun: str) -> str:
    """A count with its noun, in the plural unless the count is one."""
    return f"{number(count)} {noun}" + ("" if count == 1 else "s")


def felt_at(ratio: float) -> str:
    """`twice as fast` for 2: how another level of the pulse is to be felt."""
    names = {2.0: "twice as fast", 0.5: "half as fast", 3.0: "three times as fast", 1 / 3: "a third as fast"}
    names |= {1.5: "half as fast again", 2 / 3: "a third slower", 4 / 3: "a third faster", 0.75: "a quarter slower"}
    return names[min(names, key=lambda known: abs(known / ratio - 1))]


def listed(items: Sequence[str], last: str = "and") -> str:
    """`a, b and c`."""
    return f"{', '.join(items[:-1])} {last} {items[-1]}" if len(items) > 1 else "".join(items)


def one_of(wordings: Sequence[str], rng: random.Random) -> str:
    """Choose a wording; where there is only one, nothing is drawn."""
    return rng.choice(wordings) if len(wordings) > 1 else wordings[0]


def first_words(text: str, count: int) -> str:
    """The first `count` words of a text."""
    return " ".join(text.split()[:count])


def sentence(text: str) -> str:
    """Capitalise the first letter and end with a full stop."""
    return text[0].upper() + text[1:] + "."


def time_span(start_s: float, end_s: float, label: str | None = None) -> Reference:
    """A reference to the audio from `start_s` to `end_s`, rounded to 10 ms."""
    return Reference(kind="seconds", start_s=round(start_s, 2), end_s=round(end_s, 2), label=label)


def whole(facts: SongFacts) -> Reference:
    """A reference to the whole track."""
    return time_span(0.0, facts.duration_s)


def bars(facts: SongFacts, start_s: float, end_s: float) -> Reference:
    """The bars that a segment of time touches, named `bars 2-4`."""
    first, last = max(facts.bar_at(start_s), 1), max(facts.bar_at(max(end_s - 0.01, start_s)), 1)
    label = f"bar {first}" if first == last else f"bars {first}-{last}"
    return Reference(kind="bars", start_s=round(start_s, 2), end_s=round(end_s, 2), label=label)


def chord(span: ChordSpan) -> Reference:
    """A chord where it sounds, by its mir_eval label."""
    return Reference(kind="chords", start_s=round(span.start_s, 2), end_s=round(span.end_s, 2), label=span.label)
