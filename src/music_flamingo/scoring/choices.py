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
from functools import cached_property, lru_cache

from music_flamingo.scoring.languages import english_of
from music_flamingo.scoring.mentions import Mentions
from music_flamingo.scoring.normalise import lettered_option, normalise_answer, parse_key, same_answer
from music_flamingo.scoring.options import RANKS
from music_flamingo.scoring.statements import MARK, clauses_of, refuses, stances
from music_flamingo.scoring.wrappings import final_answer, marked, plain_answer

MAX_ANSWER_CHARS = 10_000
"""An answer longer than this is no choice of an option."""

_LETTER = re.compile(r"[\[(<{\"']*\s*(?:(?:the\s+)?(?:option|choice|answer|letter)\s+)?[\[(<{\"']*\s*([A-Za-z])"
                     r"\s*[\])>}\"']*"
                     r"[.,:;!]*(?:\s*\(?\d{1,3} ?%[^)]*\)?)?[.!]*", re.IGNORECASE)  # fmt: skip
_IN_FRONT = re.compile(r"[\[(<{]*(?:option\s+)?([A-Z])(?:[\])>}]+[.:,]?\s*|\s*[.:]\s*|,\s+|\s*[-–—=|]\s*)(?=\S)")
_BARE_IN_FRONT = re.compile(r"([A-Z])\s+(?=because\b|since\b|as\b|is\b|-|\()")
_JOINT = re.compile(r"\s*(?:[-–—=|:/]|\t)\s*|\s+")
_RANK = re.compile(rf"(?:the )?({'|'.join(RANKS)})(?: (?:option|choice|answer|one))", re.IGNORECASE)
_NUMBERED = re.compile(r"\(?(\d{1,2})[.):]?\s+(.+)", re.DOTALL)
_LEAD = re.compile(r"^(?:it(?:'s| is)|this is|that is|the|an?|its|probably|definitely|clearly|likely|option|is|well)"
                   r"\s+",
                   re.IGNORECASE)  # fmt: skip
_JOINING = re.compile(
    r"\b(?:or|and|maybe|perhaps|possibly|also|no|wait|actually|then|rather|hmm|it is|it's|i mean|the answer is|und|oder"
    r"|as well as|plus|with|either|both|the|an|a|could be|might be|sorry|correction|instead)\b",
    re.IGNORECASE,
)
_LETTERED = re.compile(r"(?:^|[\s,;])\(?([A-Z])(?:\)|\.(?=\s|[A-Z])|:)")


def parse_choice(output: str, options: Sequence[str], aliases: Mapping[str, str] | None = None) -> int | None:
    """The place of the option that an output chooses; None when it chooses none, or more than one.

    `aliases`: other words for an option, in their normalised form (`hip hop` -> `hiphop`).
    """
    return _parse(output, tuple(options), tuple((aliases or {}).items()))


# every measure of an answer, and the table, ask for the same reading
@lru_cache(maxsize=256)
def _parse(output: str, options: tuple[str, ...], aliases: tuple[tuple[str, str], ...]) -> int | None:
    answer = final_answer(output)
    if answer is None or len(answer) > MAX_ANSWER_CHARS:
        return None
    names = _Names.of(options, aliases)
    plain = plain_answer(answer)
    if plain.endswith("?") and len(clauses_of(plain)) == 1 and not any(o.endswith("?") for o in options):
        return None
    if (place := names.is_option(plain)) is not None:
        return place
    for words in marked(answer, plain):
        if (place := names.head(plain_answer(words), ruled=True)) is not None:
            return place
    if _lists_all(plain, names):
        return _own_line(plain, names)
    if names.contradicts(plain):
        return None
    for read in (_own_line, _opening, _stated):
        if (place := read(plain, names)) is not None:
            return place
    return None


class _Names:
    """The options of a question and the words that mean them."""

    def __init__(self, options: tuple[str, ...], aliases: tuple[tuple[str, str], ...]) -> None:
        self.options, self._aliases = options, dict(aliases)

    @cached_property
    def _has_numbers(self) -> bool:
        return any(re.search(r"\d", normalise_answer(option)) for option in self.options)

    @cached_property
    def by_words(self) -> dict[str, int]:
        """Normalised words -> place: of options, aliases, and both in other languages."""
        found: dict[str, int] = {}
        for place, option in enumerate(self.options):
            found.setdefault(_words(option), place)
        for alias, option in self._aliases.items():
            if option in self.options:
                found.setdefault(_words(alias), self.options.index(option))
        for foreign, english in english_of(tuple(found)):
            found.setdefault(foreign, found[english])
        return found

    @cached_property
    def _mentions(self) -> Mentions:
        return Mentions(self.by_words)

    @staticmethod
    @lru_cache(maxsize=256)
    def of(options: tuple[str, ...], aliases: tuple[tuple[str, str], ...]) -> "_Names":
        return _Names(options, aliases)

    def is_option(self, words: str) -> int | None:
        """The option that the words are, and nothing else."""
        wanted = self._aliases.get(normalise_answer(words), words)
        alike = self._same_as(wanted)
        if len(alike) != 1 and (option := lettered_option(wanted, self.options)) is not None:
            return self.options.index(option)
        if len({self.options[place] for place in alike}) == 1:
            return alike[0]
        return self._by_sign(words.strip())

    @cached_property
    def _by_normal(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, option in enumerate(self.options):
            found.setdefault(normalise_answer(option), []).append(place)
        return found

    def _same_as(self, words: str) -> list[int]:
        """Places of the options that say the same (normalise.same_answer)."""
        if parse_key(words) is not None:
            return [place for place, option in enumerate(self.options) if same_answer(words, option)]
        return self._by_normal.get(normalise_answer(words), [])

    def _by_sign(self, words: str) -> int | None:
        if letter := _LETTER.fullmatch(words):
            return self.letter(letter.group(1))
        bare = words.strip(" .,:;!()[]\"'")
        if (place := self.by_words.get(_words(bare))) is not None:
            return place
        if rank := _RANK.fullmatch(bare):
            return self._at(RANKS.index(rank.group(1).lower()))
        if bare.isdecimal() and not self._has_numbers and len(bare) < 3:
            return self._at(int(bare) - 1)
        if numbered := _NUMBERED.fullmatch(words):
            return self.by_words.get(_words(numbered.group(2)))
        return self._joined(bare)

    def _joined(self, bare: str) -> int | None:
        """Letter and words that agree (`B = Cello`, `Cello (B)`), or one option said several times."""
        for left, right in ((bare[:1], bare[1:]), (bare[-1:], bare[:-1])):
            place = self.letter(left) if re.match(r"[A-Za-z]$", left) else None
            rest = right.strip(" \t\n.,:;!()[]<>{}\"'-–—=|/")
            if place is not None and self.by_words.get(_words(rest)) == place and rest != right:
                return place
        if bare.startswith(("Option ", "option ")):
            return self._joined(bare[7:])
        parts = {self.by_words.get(_words(part)) for part in re.split(r"[,/\n]|\bno wait\b", bare) if part.strip()}
        return parts.pop() if len(parts) == 1 else None

    def letter(self, letter: str) -> int | None:
        return self._at(ord(letter.upper()) - ord("A"))

    def _at(self, place: int) -> int | None:
        return place if 0 <= place < len(self.options) else None

    def with_marks(self, plain: str) -> str:
        """The text with every mention of an option, whole words and the longest first, replaced by its mark."""
        return self._mentions.replaced(plain, "\x01{}\x02")

    def head(self, plain: str, ruled: bool = False) -> int | None:
        """The option that a text opens with, where nothing after takes it back.

        `ruled`: a letter alone may be followed by any words, for the text says that it is the answer.
        """
        if (place := self.is_option(plain)) is not None:
            return place
        if (place := self._letter_in_front(plain, ruled)) is not None:
            return place
        clauses = clauses_of(plain)
        first = _LEAD.sub("", _LEAD.sub("", clauses[0])) if clauses else ""
        if clauses and not first.endswith("?") and (place := self.is_option(first)) is not None:
            return place if not self._taken_back(plain[len(clauses[0]) :], place) else None
        return _one_stated(self.with_marks(_first_sentence(plain)), False) if ruled else None

    def _letter_in_front(self, plain: str, ruled: bool) -> int | None:
        found = _IN_FRONT.match(plain) or _BARE_IN_FRONT.match(plain)
        if found is None and ruled:
            found = re.match(r"(?:option |choice )?[\[(]?([A-Z])\b[\])]?(?!['’]| (?:flat|sharp|major|minor)\b)", plain)
            if found and found.group(1) in "AI" and re.match(r"\s+[a-z]", plain[found.end() :]):
                found = None  # `A cello`, `I hear`
        place = self.letter(found.group(1)) if found else None
        if found is None or place is None:
            return None
        rest = plain[found.end() :].lstrip(" ,.:;-–—=|()[]")
        return None if self._other_first(rest, place) or self._taken_back(rest, place) else place

    def contradicts(self, plain: str) -> bool:
        """True where a text opens with one option's letter and another's words."""
        found = _IN_FRONT.match(plain)
        place = self.letter(found.group(1)) if found else None
        return found is not None and place is not None and self._other_first(plain[found.end() :], place)

    def _other_first(self, rest: str, place: int) -> bool:
        """True where the words after the letter are another option (`(A) Piano` of B)."""
        marks = self.with_marks(_first_sentence(rest))
        opening = MARK.match(_LEAD.sub("", _LEAD.sub("", marks)).lstrip("\"'( "))
        if opening:
            return int(opening.group(1)) != place
        first = clauses_of(marks)[:1]
        named = {p for p, how in stances(first[0]).items() if "states" in how} if first else set()
        return bool(named) and place not in named and len(first[0].split()) <= 8 and not _reasons(marks)

    def _taken_back(self, rest: str, place: int) -> bool:
        """True where a later sentence is another option, or `or`, `no`, `wait` and another one."""
        if (other := _LETTER.fullmatch(rest.strip(" ,;.&\n"))) and self.letter(other.group(1)) not in (None, place):
            return True
        if not _is_yes_or_no(self.options, place):
            for sentence in re.split(r"[.;!\n]", self.with_marks(rest)):
                others = [m for m in MARK.finditer(sentence) if int(m.group(1)) != place]
                left = _JOINING.sub("", MARK.sub("", sentence)).strip(" ,:?\"'-–—")
                if others and not left and not sentence.rstrip().endswith("?"):
                    return True
        return len({letter for letter in _LETTERED.findall(rest) if self.letter(letter) not in (None, place)}) > 0


def _reasons(text: str) -> bool:
    return re.match(r"(?:since|because|as|for|given|it has|it is the)\b", text, re.IGNORECASE) is not None


def _is_yes_or_no(options: Sequence[str], place: int) -> bool:
    return normalise_answer(options[place]) in ("yes", "no", "true", "false")


def _lists_all(plain: str, names: _Names) -> bool:
    """True for a text that repeats the question's options under their letters."""
    letters = {names.letter(letter) for letter in _LETTERED.findall(plain)} - {None}
    return len(letters) > 1 and len(letters) >= min(3, len(names.options))


def _own_line(plain: str, names: _Names) -> int | None:
    """The option that a line is by itself; the last one, where all the options stand before it."""
    lines = plain.split("\n")
    if len(lines) < 2:
        return None
    said = [place for line in lines if (place := names.is_option(line)) is not None]
    restated = len(said) > len(names.options) and len(set(said[:-1])) == len(names.options)
    return said[-1] if said and (len(set(said)) == 1 or restated) else None


def _opening(plain: str, names: _Names) -> int | None:
    return names.head(plain)


def _stated(plain: str, names: _Names) -> int | None:
    return _one_stated(names.with_marks(plain), True)


def _one_stated(marks: str, no_refusal: bool) -> int | None:
    found = stances(marks)
    stated = {place for place, how in found.items() if "states" in how}
    doubted = {place for place, how in found.items() if "doubts" in how}
    if len(stated) != 1 or doubted - stated or (no_refusal and refuses(marks)):
        return None
    place = stated.pop()
    return place if "denies" not in found[place] else None


def _first_sentence(plain: str) -> str:
    return re.split(r"(?<=[.!?])\s|\n", plain, maxsplit=1)[0]


@lru_cache(maxsize=4096)
def _words(text: str) -> str:
    """Normalised words with single spaces, punctuation between them gone."""
    return " ".join(re.findall(r"[\w#/]+", normalise_answer(text.replace("_", " "))))


__all__ = ["MAX_ANSWER_CHARS", "final_answer", "parse_choice"]
