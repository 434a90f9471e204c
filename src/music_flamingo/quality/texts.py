"""Near-duplicate texts: content words in common, and no difference that makes it another question.

A question about bar 4 is not the question about bar 5, and the loudest place is not the quietest: figures, ordinals,
chord and key names and words of contrast must be equal before words are compared at all. Composite questions are the
same where they name the same parts, in whatever order.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from music_flamingo.records import Example
from music_flamingo.scoring.families import FAMILIES, NamedPart, parts_asked
from music_flamingo.scoring.normalise import normalise_answer, parse_key


def _words(text: str) -> list[str]:
    return text.split()


STOP_WORDS = frozenset(
    _words(
        "a an and any are as at be been begin begins being by can do does for from has have heard hear here how in into"
        " is it its many much music of on or over piece play played plays please recording song sound sounds tell that"
        " the there these this those to track us was were what when where which who will with would you"
    )
)
"""Words that questions share whatever they ask."""
CONTRASTS = frozenset(
    _words(
        "after always before different earlier earliest falling fast faster fastest few fewer final first high higher"
        " highest last later latest least less longer longest loud louder loudest low lower lowest major minor more"
        " most never no not only quiet quieter quietest rising same short shorter shortest slow slower slowest soft"
        " softer softest without"
    )
)
ORDINALS = {
    name: str(k) for k, name in enumerate(_words("second third fourth fifth sixth seventh eighth ninth tenth"), start=2)
}
_FIGURE = re.compile(r"#?\d+(?:[.:/,]\d+)*")
_NAMED = re.compile(
    r"(?<!\w)(?:[B-H]|[A-H][b#♭♯])(?:maj|min|dim|aug|sus|m)?\d*(?!\w)|(?<!\w)A(?:maj|min|dim|m|\d)\d*(?!\w)"
)
"""Letters that stand for chords, keys or sections; a lone A may be the article."""


@lru_cache(maxsize=65536)
def figures(text: str) -> tuple[str, ...]:
    """What makes a text another text: figures, names of notes, words of contrast; sorted."""
    words = normalise_answer(text).split()
    numbers = [n for word in words for n in _FIGURE.findall(word)]
    ordinals = [ORDINALS[word] for word in words if word in ORDINALS]
    contrasts = [word for word in words if word in CONTRASTS]
    return tuple(sorted([*numbers, *ordinals, *contrasts, *_NAMED.findall(text)]))


@lru_cache(maxsize=65536)
def content_words(text: str) -> frozenset[str]:
    """The words that carry meaning, without plural endings."""
    words = (word.strip("'’") for word in normalise_answer(text).split())
    return frozenset(_singular(w) for w in words if w not in STOP_WORDS and not _FIGURE.fullmatch(w))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def overlap(words: frozenset[str], others: frozenset[str]) -> float:
    """Jaccard: 1 where all words are common, also where there are none."""
    return len(words & others) / len(words | others) if words or others else 1.0


@dataclass
class TextsOfTrack:
    """What has been said of one track so far."""

    least: float
    """Two texts that share this part of their words say the same."""
    _kept: dict[tuple[object, ...], list[tuple[frozenset[str], str]]] = field(default_factory=dict)
    _closed: dict[str, str] = field(default_factory=dict)
    _composite: dict[tuple[str, frozenset[NamedPart]], str] = field(default_factory=dict)

    def find(self, example: Example) -> str | None:
        """Id of the earlier example that says the same."""
        if example.family in FAMILIES and example.family in self._closed:
            return self._closed[example.family]
        if (parts := parts_asked(example.family, example.question)) is not None:
            return self._composite.get((example.family, frozenset(parts)))
        words = content_words(_text(example))
        said = self._kept.get(_key(example), ())
        return next((other for earlier, other in said if overlap(words, earlier) >= self.least), None)

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def add(self, example: Example) -> None:
        """Remember an example's texts, for later examples of the same track to be compared with."""
        self._kept.setdefault(_key(example), []).append((content_words(_text(example)), example.id))
        if example.family in FAMILIES:
            self._closed.setdefault(example.family, example.id)
        if (parts := parts_asked(example.family, example.question)) is not None:
            self._composite.setdefault((example.family, frozenset(parts)), example.id)


def _text(example: Example) -> str:
    return example.answer if example.type == "caption" else example.question


def _key(example: Example) -> tuple[object, ...]:
    """Only examples with equal keys are compared: captions with captions, questions with those of the same answer."""
    if example.type == "caption":
        return ("caption", figures(example.answer))
    answer = parse_key(example.answer) or normalise_answer(example.answer)
    return ("question", figures(example.question), answer)
